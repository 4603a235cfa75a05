//! A find on its way to enrich: by the door through which notifications come.

use bytes::Bytes;
use tidings_domain::{
    Ids, Timestamp,
    connection::Connection,
    notification::{Notification, Origin, Verdict},
    resource::ChangeType,
    shard::Shard,
    subscription::Subscription,
};
use tidings_graph::resource::ItemPath;
use tidings_storage::record::NewNotification;

/// The notification that Graph did not send.
///
/// It needs no dedup key: enrich compares what it fetches with what the app knows, and tells nothing twice.
pub(super) fn notification(
    ids: &Ids,
    now: Timestamp,
    subscription: &Subscription,
    connection: &Connection,
    origin: Origin,
    item: &ItemPath,
    change: ChangeType,
    shard: Shard,
) -> NewNotification {
    NewNotification {
        notification: Notification {
            id: ids.next(),
            environment: subscription.environment,
            integration: subscription.integration,
            origin,
            received_at: now,
            verdict: Verdict::Accepted,
            connection: Some(connection.id),
            subscription: Some(subscription.id),
            graph_subscription_id: None,
            tenant_id: Some(connection.tenant_id),
            change_type: Some(change),
            lifecycle_event: None,
            resource: item.canonical().to_owned(),
            etag: None,
            item: Bytes::new(),
        },
        dedup_key: None,
        client_state_hash: None,
        due_at: now,
        shard,
    }
}
