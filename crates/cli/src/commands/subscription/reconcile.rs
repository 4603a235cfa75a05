//! `tidings subscription reconcile`.

use clap::{ArgGroup, Args};
use serde_json::json;

use crate::{
    client::{Client, ServerArguments},
    commands::show,
    context::Context,
    exit::Failure,
};

/// Which subscriptions are compared with Graph.
#[derive(Args, Clone, Debug)]
#[command(group(ArgGroup::new("which").required(true)))]
pub struct Reconcile {
    /// One subscription
    #[arg(value_name = "ID", group = "which")]
    pub id: Option<String>,
    /// All subscriptions of this connection
    #[arg(long, value_name = "ID", group = "which")]
    pub connection: Option<String>,
    /// All subscriptions of the environment
    #[arg(long, group = "which")]
    pub all: bool,
    /// The server
    #[command(flatten)]
    pub server: ServerArguments,
}

/// Has subscriptions compared with Graph now.
pub async fn reconcile(arguments: &Reconcile, context: &Context) -> Result<(), Failure> {
    let client = Client::open(&arguments.server, context).await?;
    let answer = if let Some(id) = &arguments.id {
        let path = ["subscriptions", id, "reconcile"];
        client.post(&path, &json!({})).await?
    } else {
        let body = match &arguments.connection {
            Some(id) => json!({ "connection_id": id }),
            None => json!({}),
        };
        client.post(&["reconcile"], &body).await?
    };
    match answer {
        Some(answer) => show::print(&answer, context),
        None => Ok(()),
    }
}
