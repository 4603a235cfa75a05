//! Connections: consents of tenants to integrations.

use serde::Serialize;
use tidings_domain::{
    Timestamp,
    connection::{Connection, ConnectionIntent, ConnectionState},
    ids::{ConnectionId, EnvironmentId},
    integration::IntegrationKey,
};
use tidings_pipeline::gateway::Gateway;
use uuid::Uuid;

use super::{access::Access, integrations};
use crate::problem::Problem;

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod disable;
pub(crate) mod enable;
pub(crate) mod get;
pub(crate) mod list;

/// A connection as it is shown.
#[derive(Debug, Serialize)]
pub(crate) struct ConnectionJson<'a> {
    id: ConnectionId,
    environment_id: EnvironmentId,
    integration: IntegrationKey,
    tenant_id: Uuid,
    state: &'static str,
    reason: Option<&'a str>,
    since: Option<Timestamp>,
    created_at: Timestamp,
}

impl<'a> ConnectionJson<'a> {
    /// Shows `connection`, with the key of its integration.
    fn new(gateway: &Gateway, connection: &'a Connection) -> Result<Self, Problem> {
        let (state, reason, since) = match (connection.intent, &connection.state) {
            (ConnectionIntent::Deleting { since }, _) => ("deleting", None, Some(since)),
            (ConnectionIntent::Disabled { since }, _) => ("disabled", None, Some(since)),
            (ConnectionIntent::Kept, ConnectionState::Active) => ("active", None, None),
            (ConnectionIntent::Kept, ConnectionState::Broken { reason, since }) => {
                ("broken", Some(reason.as_str()), Some(*since))
            }
        };
        Ok(Self {
            id: connection.id,
            environment_id: connection.environment,
            integration: integrations::key(gateway, connection.integration)?,
            tenant_id: connection.tenant_id,
            state,
            reason,
            since,
            created_at: connection.created_at,
        })
    }
}

/// The connection with this id that the caller can see.
async fn find(gateway: &Gateway, access: &Access, id: ConnectionId) -> Result<Connection, Problem> {
    let connection = gateway.store.connection(id).await?;
    connection
        .filter(|connection| connection.environment == access.environment)
        .ok_or_else(|| Problem::not_found(format_args!("connection `{id}`")))
}
