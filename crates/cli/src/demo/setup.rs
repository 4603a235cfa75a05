//! What an operator would do first: integration, connections, subscriptions, a webhook, all through the API.

use serde_json::{Value, json};
use tidings_domain::Secret;

use super::{
    mailbox::Mailbox,
    script::{CHANGES, KINDS, Script},
};
use crate::{
    client::Client,
    exit::{Exit, Failure},
    output::Output,
};

/// A tenant as the gateway knows it.
#[derive(Clone, Debug)]
pub(super) struct Connected {
    /// Its connection's id.
    pub(super) connection: String,
    /// A mailbox in it.
    pub(super) mailbox: Mailbox,
}

/// Connects each tenant and subscribes to the events and messages of its mailbox.
pub(super) async fn connect(
    api: &Client,
    mailboxes: Vec<Mailbox>,
    output: Output,
) -> Result<Vec<Connected>, Failure> {
    let Some(first) = mailboxes.first() else {
        return Err(Failure::new(Exit::Failed, "the emulator has no tenants"));
    };
    let integration = json!({
        "key": "demo",
        "client_id": first.access.client_id,
        "client_secret": first.access.client_secret.expose(),
        "login_url": first.access.login_url,
        "graph_url": first.access.graph_url,
    });
    make(api, "integrations", &integration).await?;
    let mut connected = Vec::new();
    for mailbox in mailboxes {
        let tenant = &mailbox.access.tenant;
        let body = json!({"integration": "demo", "tenant_id": tenant});
        let connection = id(&make(api, "connections", &body).await?)?;
        output.note(&format!(
            "connected {} (tenant {tenant}) as {connection}",
            mailbox.domain
        ))?;
        for kind in KINDS {
            let resource = format!("users/{}/{kind}s", mailbox.user);
            let body =
                json!({"connection_id": connection, "resource": resource, "change_types": CHANGES});
            let subscription = make(api, "subscriptions", &body).await?;
            if subscription["state"] != "active" {
                return Err(Failure::new(
                    Exit::Failed,
                    format!("the subscription to {resource} is {subscription}"),
                ));
            }
            output.note(&format!("subscribed to {resource}"))?;
        }
        connected.push(Connected {
            connection,
            mailbox,
        });
    }
    Ok(connected)
}

/// Registers a webhook at `url` for everything; gives its id and its secret.
pub(super) async fn webhook(api: &Client, url: &str) -> Result<(String, Secret), Failure> {
    let body = json!({
        "url": url,
        "triggers": Script::triggers(),
        "description": "the demo's receiver",
    });
    let webhook = make(api, "webhooks", &body).await?;
    let secret = webhook["secret"]
        .as_str()
        .ok_or_else(|| Failure::new(Exit::Failed, "the gateway gave no webhook secret"))?;
    Ok((id(&webhook)?, Secret::new(secret)))
}

async fn make(api: &Client, path: &str, body: &Value) -> Result<Value, Failure> {
    let made = api.post(&[path], body).await?;
    made.and_then(|made| serde_json::from_str(made.get()).ok())
        .ok_or_else(|| Failure::new(Exit::Failed, format!("the gateway made nothing in {path}")))
}

fn id(made: &Value) -> Result<String, Failure> {
    made["id"]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| Failure::new(Exit::Failed, "the gateway gave no id"))
}
