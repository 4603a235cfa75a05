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

/// Whose finds they are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Finder<'a> {
    pub(super) ids: &'a Ids,
    pub(super) subscription: &'a Subscription,
    pub(super) connection: &'a Connection,
    pub(super) origin: Origin,
    pub(super) shard: Shard,
}

impl Finder<'_> {
    /// The notification that Graph did not send.
    ///
    /// It needs no dedup key: enrich compares what it fetches with what the app knows, and tells nothing twice.
    pub(super) fn notification(
        &self,
        now: Timestamp,
        item: &ItemPath,
        change: ChangeType,
    ) -> NewNotification {
        let subscription = self.subscription;
        NewNotification {
            notification: Notification {
                id: self.ids.next(),
                environment: subscription.environment,
                integration: subscription.integration,
                origin: self.origin,
                received_at: now,
                verdict: Verdict::Accepted,
                connection: Some(self.connection.id),
                subscription: Some(subscription.id),
                graph_subscription_id: None,
                tenant_id: Some(self.connection.tenant_id),
                change_type: Some(change),
                lifecycle_event: None,
                resource: item.canonical().to_owned(),
                etag: None,
                item: Bytes::new(),
            },
            dedup_key: None,
            client_state_hash: None,
            due_at: now,
            shard: self.shard,
        }
    }
}
