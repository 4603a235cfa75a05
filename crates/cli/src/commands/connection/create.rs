//! `tidings connection create`.

use clap::Args;
use serde_json::json;

use crate::{
    client::{Client, ServerArguments},
    commands::create,
    context::Context,
    exit::Failure,
};

/// Which tenant is connected, and to what.
#[derive(Args, Clone, Debug)]
pub struct Create {
    /// The integration's key
    #[arg(long, value_name = "KEY")]
    pub integration: String,
    /// The tenant: its id, or one of its domains
    #[arg(long, value_name = "TENANT")]
    pub tenant_id: String,
    /// The server
    #[command(flatten)]
    pub server: ServerArguments,
}

/// Connects a tenant: the server asks for a first token at once.
pub async fn create(arguments: &Create, context: &Context) -> Result<(), Failure> {
    let client = Client::open(&arguments.server, context).await?;
    let body = json!({"integration": arguments.integration, "tenant_id": arguments.tenant_id});
    create::create(&client, "connections", &body, context).await?;
    Ok(())
}
