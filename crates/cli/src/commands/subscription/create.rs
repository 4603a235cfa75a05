//! `tidings subscription create`.

use clap::Args;
use serde_json::{Value, json};
use tidings_domain::resource::ChangeTypes;

use crate::{
    client::{Client, ServerArguments},
    commands::create,
    context::Context,
    exit::{Exit, Failure},
};

/// What is to be watched.
#[derive(Args, Clone, Debug)]
pub struct Create {
    /// The connection whose consent is used
    #[arg(long, value_name = "ID")]
    pub connection: String,
    /// What to watch, as Graph writes it: `users/{id}/events`; `tidings subscription resources` shows the forms. With
    /// `users/*/events` it is every mailbox of the tenant, also those to come
    #[arg(long, value_name = "PATH")]
    pub resource: String,
    /// Which changes: created, updated, deleted, with commas
    #[arg(long, value_name = "TYPES")]
    pub change_types: ChangeTypes,
    /// Deliver what is there already, too, as if it were created now
    #[arg(long)]
    pub deliver_existing: bool,
    /// The server
    #[command(flatten)]
    pub server: ServerArguments,
}

/// Asks for a subscription.
pub async fn create(arguments: &Create, context: &Context) -> Result<(), Failure> {
    let client = Client::open(&arguments.server, context).await?;
    let mut body = json!({
        "connection_id": arguments.connection,
        "resource": arguments.resource,
        "change_types": arguments.change_types,
    });
    if arguments.deliver_existing {
        body["deliver_existing"] = json!(true);
    }
    let mut made = create::create(&client, "subscriptions", &body, context).await?;
    let state = made.take("state");
    match state.as_ref().and_then(Value::as_str) {
        Some(state @ ("failed" | "conflict")) => {
            let last_error = made.take("last_error");
            let why = last_error
                .as_ref()
                .and_then(Value::as_str)
                .unwrap_or("the server does not say why");
            Err(Failure::new(
                Exit::Failed,
                format!("Graph does not serve this subscription ({state}): {why}"),
            )
            .code(format!("subscription_{state}"))
            .hint("what was asked for is kept: delete it and ask anew once the cause is gone"))
        }
        Some("pending") => Ok(context.output.note(
            "Graph has not confirmed it yet: `tidings subscription show ID` says where it stands",
        )?),
        _ => Ok(()),
    }
}
