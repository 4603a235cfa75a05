//! `tidings webhook enable` and `tidings webhook disable`.

use serde_json::json;

use crate::{
    client::Client,
    commands::show::{self, Show},
    context::Context,
    exit::Failure,
};

/// Does `verb` (`enable` or `disable`) to a webhook.
pub async fn switch(arguments: &Show, verb: &str, context: &Context) -> Result<(), Failure> {
    let client = Client::open(&arguments.server, context)?;
    let path = ["webhooks", arguments.id.as_str(), verb];
    match client.post(&path, &json!({})).await? {
        Some(answer) => show::print(&answer, context),
        None => Ok(()),
    }
}
