//! `tidings environment create`.

use clap::Args;
use serde_json::json;

use crate::{
    client::{Client, ServerArguments},
    commands::create,
    context::Context,
    exit::Failure,
};

/// What the new environment is.
#[derive(Args, Clone, Debug)]
pub struct Create {
    /// A name for people, such as `dev` or `prod`
    #[arg(long, value_name = "NAME")]
    pub name: String,
    /// The server
    #[command(flatten)]
    pub server: ServerArguments,
}

/// Makes an environment.
pub async fn create(arguments: &Create, context: &Context) -> Result<(), Failure> {
    let client = Client::open(&arguments.server, context).await?;
    let body = json!({"name": arguments.name});
    create::create(&client, "environments", &body, context).await?;
    Ok(())
}
