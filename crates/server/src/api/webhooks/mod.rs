//! Webhooks: the destinations of apps.

use serde::Serialize;
use tidings_domain::{
    Timestamp,
    ids::{ConnectionId, EnvironmentId, WebhookId},
    trigger::Trigger,
    webhook::{DisabledReason, Webhook, WebhookState},
};
use tidings_pipeline::gateway::Gateway;

use super::access::Access;
use crate::problem::Problem;

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod disable;
pub(crate) mod enable;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod update;

/// A webhook as it is shown.
#[derive(Debug, Serialize)]
pub(crate) struct WebhookJson<'a> {
    id: WebhookId,
    environment_id: EnvironmentId,
    /// Without the values of its query: those are often tokens.
    url: String,
    description: &'a str,
    triggers: &'a [Trigger],
    connections: &'a [ConnectionId],
    state: &'static str,
    disabled_reason: Option<DisabledReason>,
    disabled_since: Option<Timestamp>,
    failing_since: Option<Timestamp>,
    created_at: Timestamp,
    /// What its deliveries are signed with; only in the answer to its creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
}

impl<'a> From<&'a Webhook> for WebhookJson<'a> {
    fn from(webhook: &'a Webhook) -> Self {
        let (state, disabled_reason, disabled_since) = match webhook.state {
            WebhookState::Active => ("active", None, None),
            WebhookState::Disabled { reason, since } => ("disabled", Some(reason), Some(since)),
        };
        Self {
            id: webhook.id,
            environment_id: webhook.environment,
            url: webhook.url.safe().to_string(),
            description: &webhook.description,
            triggers: &webhook.triggers,
            connections: &webhook.connections,
            state,
            disabled_reason,
            disabled_since,
            failing_since: webhook.failing_since,
            created_at: webhook.created_at,
            secret: None,
        }
    }
}

/// The webhook with this id that the caller can see.
async fn find(gateway: &Gateway, access: &Access, id: WebhookId) -> Result<Webhook, Problem> {
    let webhook = gateway.store.webhook(id).await?;
    webhook
        .filter(|webhook| webhook.environment == access.environment)
        .ok_or_else(|| missing(id))
}

fn missing(id: WebhookId) -> Problem {
    Problem::not_found(format_args!("webhook `{id}`"))
}
