//! `tidings <noun> show`.

use clap::Args;
use serde_json::value::RawValue;

use super::Noun;
use crate::{
    client::{Client, ServerArguments},
    context::Context,
    exit::{Exit, Failure},
    output::{Members, record},
};

/// Which one is wanted.
#[derive(Args, Clone, Debug)]
pub struct Show {
    /// Its id
    #[arg(value_name = "ID")]
    pub id: String,
    /// The server
    #[command(flatten)]
    pub server: ServerArguments,
}

/// Shows one `noun`.
pub async fn show(noun: &Noun, arguments: &Show, context: &Context) -> Result<(), Failure> {
    let client = Client::open(&arguments.server, context).await?;
    let answer = client.get(&[noun.path, &arguments.id], &[]).await?;
    print(&answer, context)
}

/// Writes one entry as the API gave it: as a line of JSON, or member by member.
pub(super) fn print(answer: &RawValue, context: &Context) -> Result<(), Failure> {
    if context.output.is_json() {
        return Ok(context.output.raw(answer)?);
    }
    Ok(context.output.line(&record(&members(answer)?))?)
}

/// The members of an answer.
pub(super) fn members(answer: &RawValue) -> Result<Members, Failure> {
    serde_json::from_str(answer.get()).map_err(|error| {
        Failure::new(
            Exit::Failed,
            format!("the server's answer is no object: {error}"),
        )
    })
}
