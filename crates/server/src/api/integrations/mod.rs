//! Integrations: app registrations. Named by their key; the id (`int_…`) is taken too.

use std::sync::Arc;

use serde::Serialize;
use tidings_domain::{
    Timestamp,
    ids::{EnvironmentId, IntegrationId},
    integration::{Integration, IntegrationKey},
};
use tidings_pipeline::gateway::Gateway;

use super::access::Access;
use crate::problem::Problem;

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod list;

/// An integration as it is shown. Its client secret never is.
#[derive(Debug, Serialize)]
pub(crate) struct IntegrationJson<'a> {
    id: IntegrationId,
    environment_id: EnvironmentId,
    key: &'a IntegrationKey,
    client_id: &'a str,
    login_url: &'a str,
    graph_url: &'a str,
    notification_url: String,
    created_at: Timestamp,
    /// The clientState for subscriptions made by hand; only where one integration is shown to an administrator.
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_secret: Option<&'a str>,
}

impl<'a> IntegrationJson<'a> {
    /// Shows `integration`, with the URL that Graph posts its notifications to.
    fn new(gateway: &Gateway, integration: &'a Integration) -> Self {
        Self {
            id: integration.id,
            environment_id: integration.environment,
            key: &integration.key,
            client_id: &integration.client_id,
            login_url: shown(&integration.login_url),
            graph_url: shown(&integration.graph_url),
            notification_url: gateway.manage.notification_url(integration).into(),
            created_at: integration.created_at,
            webhook_secret: None,
        }
    }
}

/// The key of the integration with this id, which something refers to.
pub(crate) fn key(gateway: &Gateway, id: IntegrationId) -> Result<IntegrationKey, Problem> {
    gateway
        .directory
        .integration_by_id(id)
        .map(|integration| integration.key.clone())
        .ok_or_else(|| {
            Problem::internal(format_args!(
                "{id} is referred to, but the directory has it not"
            ))
        })
}

/// The integration with this key or id that the caller can see.
fn find(gateway: &Gateway, access: &Access, name: &str) -> Result<Arc<Integration>, Problem> {
    let by_id = || {
        name.parse()
            .ok()
            .and_then(|id| gateway.directory.integration_by_id(id))
    };
    gateway
        .directory
        .integration(access.environment, name)
        .or_else(by_id)
        .filter(|integration| integration.environment == access.environment)
        .ok_or_else(|| Problem::not_found(format_args!("integration `{name}`")))
}

/// A URL without a path, as people write it.
fn shown(url: &url::Url) -> &str {
    url.as_str().trim_end_matches('/')
}
