//! `tidings policy create`.

use clap::{ArgGroup, Args};
use serde_json::json;
use tidings_domain::resource::ChangeTypes;

use crate::{
    client::{Client, ServerArguments},
    commands::create,
    context::Context,
    exit::Failure,
};

/// What is to be watched of whom.
#[derive(Args, Clone, Debug)]
#[command(group(ArgGroup::new("whom").required(true)))]
pub struct Create {
    /// Every connection of this integration, those to come included: its key
    #[arg(long, value_name = "KEY", group = "whom")]
    pub integration: Option<String>,
    /// This connection only
    #[arg(long, value_name = "ID", group = "whom")]
    pub connection: Option<String>,
    /// What to watch: `users/{user}/events`, `teams/{team}/channels`, or one resource of each tenant, such as `users`
    #[arg(long, value_name = "PATH")]
    pub resource: String,
    /// Which changes: created, updated, deleted, with commas
    #[arg(long, value_name = "TYPES")]
    pub change_types: ChangeTypes,
    /// Also deliver what is there already, as `created`
    #[arg(long)]
    pub deliver_existing: bool,
    /// The server
    #[command(flatten)]
    pub server: ServerArguments,
}

/// Makes a policy.
pub async fn create(arguments: &Create, context: &Context) -> Result<(), Failure> {
    let client = Client::open(&arguments.server, context).await?;
    let mut body = json!({
        "resource": arguments.resource,
        "change_types": arguments.change_types,
        "deliver_existing": arguments.deliver_existing,
    });
    if let Some(key) = &arguments.integration {
        body["integration"] = json!(key);
    }
    if let Some(id) = &arguments.connection {
        body["connection_id"] = json!(id);
    }
    create::create(&client, "policies", &body, context).await?;
    Ok(context.output.note(
        "its subscriptions are made one after the other: `tidings policy show ID` says how far that is",
    )?)
}
