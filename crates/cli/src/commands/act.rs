//! Verbs of one noun only that take nothing but an id: `tidings delivery redeliver`, `tidings webhook enable`.

use serde_json::json;

use super::{
    Noun,
    show::{self, Show},
};
use crate::{client::Client, context::Context, exit::Failure};

/// Does `verb` to one `noun` and shows what it then is.
pub async fn act(
    noun: &Noun,
    arguments: &Show,
    verb: &str,
    context: &Context,
) -> Result<(), Failure> {
    let client = Client::open(&arguments.server, context).await?;
    let path = [noun.path, &arguments.id, verb];
    match client.post(&path, &json!({})).await? {
        Some(answer) => show::print(&answer, context),
        None => Ok(()),
    }
}
