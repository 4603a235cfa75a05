//! `tidings webhook create`.

use clap::{Args, builder::Resettable};
use serde_json::json;
use tidings_domain::trigger::Trigger;

use crate::{
    client::{Client, ServerArguments},
    commands::create,
    context::Context,
    exit::Failure,
};

/// What the new webhook is. Its `--url` is the destination, so that the server's is only `--server-url` here.
#[derive(Args, Clone, Debug)]
#[command(mut_arg("server_url", |arg| arg.visible_alias(Resettable::Reset)))]
pub struct Create {
    /// Where deliveries are sent
    #[arg(long, value_name = "URL")]
    pub url: String,
    /// Which events it asks for, with commas; `tidings webhook triggers` lists them
    #[arg(long, value_name = "TRIGGERS", required = true, value_delimiter = ',', value_parser = Trigger::parse)]
    pub triggers: Vec<Trigger>,
    /// Whose events it asks for; can be given more than once. Without it: all connections of the environment
    #[arg(long = "connection", value_name = "ID")]
    pub connections: Vec<String>,
    /// What it is for, for people
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub description: String,
    /// The server
    #[command(flatten)]
    pub server: ServerArguments,
}

/// Registers a destination.
pub async fn create(arguments: &Create, context: &Context) -> Result<(), Failure> {
    let client = Client::open(&arguments.server, context).await?;
    let body = json!({
        "url": arguments.url,
        "triggers": arguments.triggers,
        "connections": arguments.connections,
        "description": arguments.description,
    });
    create::create(&client, "webhooks", &body, context).await?;
    context
        .output
        .note("the secret is shown only now: the receiver verifies signatures with it")?;
    Ok(())
}
