//! Notifications: what Graph sent, item by item, with what was made of it.

use serde::Serialize;
use serde_json::Value;
use tidings_domain::{
    Timestamp,
    ids::{ConnectionId, EnvironmentId, IntegrationId, NotificationId, SubscriptionId},
    notification::{LifecycleEvent, Notification, Origin, Verdict},
    resource::ChangeType,
};
use uuid::Uuid;

pub(crate) mod get;
pub(crate) mod list;

/// A notification as it is shown.
#[derive(Debug, Serialize)]
pub(crate) struct NotificationJson<'a> {
    id: NotificationId,
    environment_id: EnvironmentId,
    integration_id: IntegrationId,
    origin: Origin,
    received_at: Timestamp,
    verdict: Verdict,
    connection_id: Option<ConnectionId>,
    subscription_id: Option<SubscriptionId>,
    graph_subscription_id: Option<&'a str>,
    tenant_id: Option<Uuid>,
    change_type: Option<ChangeType>,
    lifecycle_event: Option<LifecycleEvent>,
    resource: &'a str,
    /// The item as sent, without its clientState; only where one notification is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<Value>,
}

impl<'a> From<&'a Notification> for NotificationJson<'a> {
    fn from(notification: &'a Notification) -> Self {
        Self {
            id: notification.id,
            environment_id: notification.environment,
            integration_id: notification.integration,
            origin: notification.origin,
            received_at: notification.received_at,
            verdict: notification.verdict,
            connection_id: notification.connection,
            subscription_id: notification.subscription,
            graph_subscription_id: notification.graph_subscription_id.as_deref(),
            tenant_id: notification.tenant_id,
            change_type: notification.change_type,
            lifecycle_event: notification.lifecycle_event,
            resource: &notification.resource,
            item: None,
        }
    }
}
