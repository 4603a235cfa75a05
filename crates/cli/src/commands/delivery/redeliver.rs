//! `tidings delivery redeliver`.

use serde_json::json;

use crate::{
    client::Client,
    commands::show::{self, Show},
    context::Context,
    exit::Failure,
};

/// Sends a delivery again.
pub async fn redeliver(arguments: &Show, context: &Context) -> Result<(), Failure> {
    let client = Client::open(&arguments.server, context)?;
    let path = ["deliveries", arguments.id.as_str(), "redeliver"];
    match client.post(&path, &json!({})).await? {
        Some(answer) => show::print(&answer, context),
        None => Ok(()),
    }
}
