//! Subscriptions: what is wanted from Graph, and what serves it.

use serde::Serialize;
use tidings_domain::{
    Timestamp,
    ids::{ConnectionId, EnvironmentId, PolicyId, SubscriptionId},
    integration::IntegrationKey,
    resource::{ChangeTypes, ResourceKind},
    subscription::{Subscription, SubscriptionState},
};
use tidings_pipeline::gateway::Gateway;

use super::{access::Access, integrations};
use crate::problem::Problem;

pub(crate) mod completeness;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod reconcile;

/// A subscription as it is shown.
#[derive(Debug, Serialize)]
pub(crate) struct SubscriptionJson<'a> {
    id: SubscriptionId,
    environment_id: EnvironmentId,
    connection_id: ConnectionId,
    integration: IntegrationKey,
    policy_id: Option<PolicyId>,
    resource: &'a str,
    kind: ResourceKind,
    change_types: ChangeTypes,
    state: SubscriptionState,
    graph_id: Option<&'a str>,
    expires_at: Option<Timestamp>,
    due_at: Timestamp,
    failures: u32,
    last_error: Option<&'a str>,
    created_at: Timestamp,
    renewed_at: Option<Timestamp>,
}

impl<'a> SubscriptionJson<'a> {
    /// Shows `subscription`, with the key of its integration.
    fn new(gateway: &Gateway, subscription: &'a Subscription) -> Result<Self, Problem> {
        Ok(Self {
            id: subscription.id,
            environment_id: subscription.environment,
            connection_id: subscription.connection,
            integration: integrations::key(gateway, subscription.integration)?,
            policy_id: subscription.policy,
            resource: &subscription.resource,
            kind: subscription.kind,
            change_types: subscription.change_types,
            state: subscription.state,
            graph_id: subscription.graph_id.as_deref(),
            expires_at: subscription.expires_at,
            due_at: subscription.due_at,
            failures: subscription.failures,
            last_error: subscription.last_error.as_deref(),
            created_at: subscription.created_at,
            renewed_at: subscription.renewed_at,
        })
    }
}

/// The subscription with this id that the caller can see.
async fn find(
    gateway: &Gateway,
    access: &Access,
    id: SubscriptionId,
) -> Result<Subscription, Problem> {
    let subscription = gateway.store.subscription(id).await?;
    subscription
        .filter(|subscription| subscription.environment == access.environment)
        .ok_or_else(|| Problem::not_found(format_args!("subscription `{id}`")))
}
