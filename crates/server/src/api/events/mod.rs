//! Events: changes as apps hear of them.

use serde::Serialize;
use serde_json::value::RawValue;
use tidings_domain::{
    Timestamp,
    event::{Event, ObjectState},
    ids::{ConnectionId, EnvironmentId, EventId, NotificationId, SubscriptionId},
    trigger::Trigger,
};

pub(crate) mod get;
pub(crate) mod list;

/// An event as it is shown.
#[derive(Debug, Serialize)]
pub(crate) struct EventJson<'a> {
    id: EventId,
    environment_id: EnvironmentId,
    connection_id: ConnectionId,
    subscription_id: Option<SubscriptionId>,
    notification_id: Option<NotificationId>,
    trigger: Trigger,
    subject: &'a str,
    object_state: ObjectState,
    created_at: Timestamp,
    /// What is delivered; only where one event is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a RawValue>,
}

impl<'a> From<&'a Event> for EventJson<'a> {
    fn from(event: &'a Event) -> Self {
        Self {
            id: event.id,
            environment_id: event.environment,
            connection_id: event.connection,
            subscription_id: event.subscription,
            notification_id: event.notification,
            trigger: event.trigger,
            subject: &event.subject,
            object_state: event.object_state,
            created_at: event.created_at,
            body: None,
        }
    }
}
