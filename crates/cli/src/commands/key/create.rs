//! `tidings key create`.

use clap::{Args, builder::PossibleValuesParser};
use serde_json::json;
use tidings_domain::key::Scope;

use crate::{
    client::{Client, ServerArguments},
    commands::create,
    context::Context,
    exit::Failure,
};

/// What the new key is.
#[derive(Args, Clone, Debug)]
pub struct Create {
    /// A name for people
    #[arg(long, value_name = "NAME")]
    pub name: String,
    /// What it may do
    #[arg(long, value_name = "SCOPE", value_parser = PossibleValuesParser::new([Scope::Admin, Scope::Read].map(Scope::as_str)))]
    pub scope: String,
    /// The server
    #[command(flatten)]
    pub server: ServerArguments,
}

/// Makes an API key.
pub async fn create(arguments: &Create, context: &Context) -> Result<(), Failure> {
    let client = Client::open(&arguments.server, context).await?;
    let body = json!({"name": arguments.name, "scope": arguments.scope});
    create::create(&client, "keys", &body, context).await?;
    context
        .output
        .note("the key is shown only now: keep it where the app keeps its secrets")?;
    Ok(())
}
