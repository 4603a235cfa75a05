//! One consent to an integration.

use serde::Serialize;
use uuid::Uuid;

use crate::{
    Timestamp,
    ids::{ConnectionId, EnvironmentId, IntegrationId},
};

/// One consent to an integration: a tenant, for app-only access.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Its id.
    pub id: ConnectionId,
    /// Where it lives.
    pub environment: EnvironmentId,
    /// What was consented to. One connection per integration and tenant.
    pub integration: IntegrationId,
    /// The `tid` of its first token: whose data this is.
    pub tenant_id: Uuid,
    /// Whether it can be used.
    pub state: ConnectionState,
    /// Whether somebody wants it to be used.
    pub intent: ConnectionIntent,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What somebody wants of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConnectionIntent {
    /// Its subscriptions are kept at Graph.
    #[default]
    Kept,
    /// Its subscriptions are removed at Graph, and wait here until it is enabled.
    Disabled {
        /// Since when.
        since: Timestamp,
    },
    /// Its subscriptions are removed at Graph and here, then it is.
    Deleting {
        /// Since when.
        since: Timestamp,
    },
}

/// Whether a connection can be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ConnectionState {
    /// The last token request was granted.
    Active,
    /// Sign-in refuses the credentials; nothing is asked of Graph until that changes.
    Broken {
        /// What the sign-in said, for people.
        reason: String,
        /// Since when.
        since: Timestamp,
    },
}
