//! `tidings integration create`.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use tidings_domain::{Secret, integration::IntegrationKey};
use url::Url;

use crate::{
    client::{Client, ServerArguments},
    commands::create,
    context::Context,
    exit::{Exit, Failure},
    secret_input::SecretInput,
};

/// What the new integration is.
#[derive(Args, Clone, Debug)]
pub struct Create {
    /// Its name in URLs, such as `microsoft-oauth2-cc`
    #[arg(long, value_name = "KEY")]
    pub key: IntegrationKey,
    /// The app registration's client id
    #[arg(long, value_name = "ID")]
    pub client_id: String,
    /// Read the app registration's client secret from this file; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "client_secret")]
    pub client_secret_file: Option<PathBuf>,
    /// The client secret itself. It shows in the list of processes and in the shell's history: prefer
    /// `--client-secret-file` or the variable `TIDINGS_CLIENT_SECRET`
    #[arg(long, value_name = "SECRET")]
    pub client_secret: Option<Secret>,
    /// Read the secret that subscriptions made by hand carry as clientState from this file (or from the variable
    /// `TIDINGS_INTEGRATION_WEBHOOK_SECRET`): 16 to 128 characters; otherwise one is made
    #[arg(long, value_name = "FILE")]
    pub webhook_secret_file: Option<PathBuf>,
    /// Where tokens come from, for an emulator or a national cloud; otherwise the global one
    #[arg(long, value_name = "URL")]
    pub login_url: Option<Url>,
    /// Where Graph is, without a version, for an emulator or a national cloud; otherwise the global one
    #[arg(long, value_name = "URL")]
    pub graph_url: Option<Url>,
    /// The server
    #[command(flatten)]
    pub server: ServerArguments,
}

/// Adds an app registration.
pub async fn create(arguments: &Create, context: &Context) -> Result<(), Failure> {
    let is_stdin = |file: &Option<PathBuf>| file.as_deref() == Some(Path::new("-"));
    if is_stdin(&arguments.client_secret_file) && is_stdin(&arguments.webhook_secret_file) {
        return Err(Failure::new(
            Exit::Usage,
            "both secrets cannot come from standard input",
        ));
    }
    let secret = SecretInput {
        what: "client secret",
        flag: "--client-secret",
        file: arguments.client_secret_file.as_deref(),
        value: arguments.client_secret.as_ref(),
        variable: "TIDINGS_CLIENT_SECRET",
    }
    .required(context)?;
    let webhook_secret = SecretInput {
        what: "webhook secret",
        flag: "--webhook-secret",
        file: arguments.webhook_secret_file.as_deref(),
        value: None,
        variable: "TIDINGS_INTEGRATION_WEBHOOK_SECRET",
    }
    .optional(context)?;
    let client = Client::open(&arguments.server, context).await?;
    let mut body = json!({
        "key": arguments.key,
        "client_id": arguments.client_id,
        "client_secret": secret.expose(),
    });
    if let Some(secret) = webhook_secret {
        body["webhook_secret"] = json!(secret.expose());
    }
    if let Some(url) = &arguments.login_url {
        body["login_url"] = json!(url);
    }
    if let Some(url) = &arguments.graph_url {
        body["graph_url"] = json!(url);
    }
    create::create(&client, "integrations", &body, context).await?;
    context.output.note(
        "next: `tidings connection create --integration KEY --tenant-id TENANT` for each tenant that has consented",
    )?;
    Ok(())
}
