//! `tidings <noun> create`: what is the same for every noun.

use serde_json::Value;

use super::show;
use crate::{
    client::Client,
    context::Context,
    exit::{Exit, Failure},
    output::Members,
};

/// Posts `body` to `path`, shows what was made and gives it back.
pub async fn create(
    client: &Client,
    path: &str,
    body: &Value,
    context: &Context,
) -> Result<Members, Failure> {
    let answer = client.post(&[path], body).await?.ok_or_else(|| {
        Failure::new(
            Exit::Failed,
            "the server answered success, but not what it made",
        )
    })?;
    show::print(&answer, context)?;
    show::members(&answer)
}
