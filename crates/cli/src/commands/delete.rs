//! `tidings <noun> delete`.

use clap::Args;
use serde_json::json;

use super::Noun;
use crate::{
    client::{Client, ServerArguments},
    context::Context,
    exit::{Exit, Failure},
};

/// Which one is to go.
#[derive(Args, Clone, Debug)]
pub struct Delete {
    /// Its id
    #[arg(value_name = "ID")]
    pub id: String,
    /// Do not ask; needed where nobody is there to answer
    #[arg(long, short = 'y')]
    pub yes: bool,
    /// The server
    #[command(flatten)]
    pub server: ServerArguments,
}

/// Deletes one `noun`, after asking.
pub async fn delete(noun: &Noun, arguments: &Delete, context: &Context) -> Result<(), Failure> {
    delete_with(noun, arguments, &[], context).await
}

/// Deletes one `noun`, after asking, in the way that these query parameters say.
pub async fn delete_with(
    noun: &Noun,
    arguments: &Delete,
    query: &[(&str, String)],
    context: &Context,
) -> Result<(), Failure> {
    let (word, id) = (noun.word, &arguments.id);
    if !arguments.yes {
        match context.output.ask(&format!("Delete {word} {id}?"))? {
            Some(true) => {}
            Some(false) => return Err(Failure::new(Exit::Failed, format!("{word} {id} was kept"))),
            None => {
                return Err(Failure::new(
                    Exit::Usage,
                    "nobody is there to ask whether it may be deleted",
                )
                .hint("add `--yes`"));
            }
        }
    }
    let client = Client::open(&arguments.server, context).await?;
    match client.delete(&[noun.path, id], query).await? {
        Some(answer) if context.output.is_json() => Ok(context.output.raw(&answer)?),
        None if context.output.is_json() => {
            Ok(context.output.value(&json!({"id": id, "deleted": true}))?)
        }
        Some(_) => Ok(context.output.line(&format!(
            "{word} {id} is being deleted: it goes when Graph has been told"
        ))?),
        None => Ok(context.output.line(&format!("deleted {word} {id}"))?),
    }
}
