//! `tidings webhook update`.

use clap::{ArgGroup, Args, builder::Resettable};
use serde_json::{Map, Value, json};
use tidings_domain::trigger::Trigger;

use crate::{
    client::{Client, ServerArguments},
    commands::show,
    context::Context,
    exit::Failure,
};

/// What of a webhook changes; what is not named stays. Its `--url` is the destination, so that the server's is only
/// `--server-url` here.
#[derive(Args, Clone, Debug)]
#[command(
    mut_arg("server_url", |arg| arg.visible_alias(Resettable::Reset)),
    group(ArgGroup::new("change").required(true).multiple(true))
)]
pub struct Update {
    /// Its id
    #[arg(value_name = "ID")]
    pub id: String,
    /// Where deliveries are sent
    #[arg(long, value_name = "URL", group = "change")]
    pub url: Option<String>,
    /// Which events it asks for, with commas: all of them, not only the new ones
    #[arg(long, value_name = "TRIGGERS", value_delimiter = ',', value_parser = Trigger::parse, group = "change")]
    pub triggers: Option<Vec<Trigger>>,
    /// Whose events it asks for: all of them, not only the new ones
    #[arg(long = "connection", value_name = "ID", group = "change")]
    pub connections: Option<Vec<String>>,
    /// Ask for the events of all connections of the environment
    #[arg(long, conflicts_with = "connections", group = "change")]
    pub all_connections: bool,
    /// What it is for, for people
    #[arg(long, value_name = "TEXT", group = "change")]
    pub description: Option<String>,
    /// The server
    #[command(flatten)]
    pub server: ServerArguments,
}

/// Changes a webhook.
pub async fn update(arguments: &Update, context: &Context) -> Result<(), Failure> {
    let client = Client::open(&arguments.server, context).await?;
    let mut change = Map::new();
    if let Some(url) = &arguments.url {
        change.insert("url".to_owned(), json!(url));
    }
    if let Some(triggers) = &arguments.triggers {
        change.insert("triggers".to_owned(), json!(triggers));
    }
    if let Some(connections) = &arguments.connections {
        change.insert("connections".to_owned(), json!(connections));
    }
    if arguments.all_connections {
        change.insert("connections".to_owned(), json!([]));
    }
    if let Some(description) = &arguments.description {
        change.insert("description".to_owned(), json!(description));
    }
    let path = ["webhooks", &arguments.id];
    match client.patch(&path, &Value::Object(change)).await? {
        Some(answer) => show::print(&answer, context),
        None => Ok(()),
    }
}
