use bytes::Bytes;
use tidings_domain::{
    Timestamp,
    connection::{Connection, ConnectionState},
    ids::{ConnectionId, EnvironmentId, IntegrationId, NotificationId, SubscriptionId},
    notification::{Notification, Verdict},
    resource::ChangeType,
};
use tidings_storage::record::{QueuedNotification, Seq};
use ulid::Ulid;
use uuid::Uuid;

/// The connection that [`queued`] notifications are of.
pub(super) fn connection() -> Connection {
    Connection {
        id: ConnectionId::from(Ulid(3)),
        environment: EnvironmentId(Uuid::from_u128(1)),
        integration: IntegrationId::from(Ulid(2)),
        tenant_id: Uuid::from_u128(9),
        state: ConnectionState::Active,
        created_at: Timestamp::from_millis(0),
    }
}

/// An accepted notification of an updated item, received at one second.
pub(super) fn queued(seq: i64, resource: &str, due_at: i64) -> QueuedNotification {
    let connection = connection();
    QueuedNotification {
        seq: Seq(seq),
        due_at: Timestamp::from_millis(due_at),
        failures: 0,
        client_state_hash: None,
        notification: Notification {
            id: NotificationId::from(Ulid(u128::try_from(seq).unwrap())),
            environment: connection.environment,
            integration: connection.integration,
            received_at: Timestamp::from_millis(1_000),
            verdict: Verdict::Accepted,
            connection: Some(connection.id),
            subscription: Some(SubscriptionId::from(Ulid(4))),
            graph_subscription_id: None,
            tenant_id: Some(connection.tenant_id),
            change_type: Some(ChangeType::Updated),
            lifecycle_event: None,
            resource: resource.to_owned(),
            etag: None,
            item: Bytes::from_static(b"{}"),
        },
    }
}
