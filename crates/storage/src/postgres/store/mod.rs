//! The verbs, each in one line: to a lane of the writer, or on a connection.

mod completeness;
mod configured;
mod on;
mod policies;
mod reconcile;

use async_trait::async_trait;
use tidings_domain::{
    Timestamp,
    delivery::{Attempt, Delivery},
    event::Event,
    ids::{
        ConnectionId, DeliveryId, EnvironmentId, EventId, IntegrationId, NotificationId,
        SubscriptionId, WebhookId,
    },
    notification::{Notification, Verdict},
    page::{Listing, Page},
    shard::Shard,
    subscription::Subscription,
    webhook::Webhook,
};

use on::on;

use super::{
    PostgresStore, deliver, deliveries, enrich, events, ingest, lists, notifications,
    subscriptions, webhooks,
};
use crate::{
    Holdings, Lease, Signal, Store, StoreError,
    record::{
        AttemptResult, DeliveryFilter, DueDelivery, DueSubscription, EventFilter, KeyedHash,
        NewNotification, NotificationFilter, Outcome, QueuedNotification, Seq, StoreHealth,
        SubscriptionUpdate, WebhookChange,
    },
    rejected,
};

#[async_trait]
impl Store for PostgresStore {
    async fn create_subscription(
        &self,
        subscription: Subscription,
        shard: Shard,
    ) -> Result<(), StoreError> {
        on!(self, write sql => subscriptions::create(&self.shared, sql, &subscription, shard))
    }

    async fn subscription(&self, id: SubscriptionId) -> Result<Option<Subscription>, StoreError> {
        on!(self, read sql => subscriptions::one(&self.shared, sql, id))
    }

    async fn subscriptions(
        &self,
        environment: Option<EnvironmentId>,
        connection: Option<ConnectionId>,
        page: Page,
    ) -> Result<Listing<Subscription>, StoreError> {
        let after = lists::after(&page)?;
        on!(self, read sql => subscriptions::list(&self.shared, sql, environment, connection, &page, after))
    }

    async fn due_subscriptions(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<DueSubscription>, StoreError> {
        on!(self, take sql => subscriptions::due(&self.shared, sql, now, limit))
    }

    async fn next_due_subscription(&self) -> Result<Option<Timestamp>, StoreError> {
        on!(self, take sql => subscriptions::next_due(&self.shared, sql))
    }

    async fn update_subscription(
        &self,
        update: SubscriptionUpdate,
        lease: Option<Lease>,
    ) -> Result<(), StoreError> {
        on!(self, complete sql => subscriptions::update(&self.shared, sql, &update, lease))
    }

    async fn hasten_subscriptions_sent_elsewhere(
        &self,
        integration: IntegrationId,
        notification_url: &str,
        due_at: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        on!(self, write sql => subscriptions::hasten_sent_elsewhere(sql, integration, notification_url, due_at, limit))
    }

    async fn delete_subscription(&self, id: SubscriptionId) -> Result<bool, StoreError> {
        on!(self, write sql => subscriptions::delete(&self.shared, sql, id))
    }

    async fn create_webhook(&self, webhook: Webhook) -> Result<(), StoreError> {
        on!(self, write sql => webhooks::create(&self.shared, sql, &webhook))
    }

    async fn webhook(&self, id: WebhookId) -> Result<Option<Webhook>, StoreError> {
        on!(self, read sql => webhooks::one(&self.shared, sql, id))
    }

    async fn webhooks(
        &self,
        environment: Option<EnvironmentId>,
        page: Page,
    ) -> Result<Listing<Webhook>, StoreError> {
        let after = lists::after(&page)?;
        on!(self, read sql => webhooks::list(&self.shared, sql, environment, &page, after))
    }

    async fn change_webhook(
        &self,
        id: WebhookId,
        change: WebhookChange,
    ) -> Result<Option<Webhook>, StoreError> {
        on!(self, write sql => webhooks::change(&self.shared, sql, id, &change))
    }

    async fn delete_webhook(&self, id: WebhookId) -> Result<bool, StoreError> {
        on!(self, write sql => webhooks::delete(&self.shared, sql, id))
    }

    async fn record_notifications(
        &self,
        notifications: Vec<NewNotification>,
    ) -> Result<Vec<Verdict>, StoreError> {
        self.lanes
            .record
            .write_new(ingest::Record(notifications))
            .await
    }

    async fn record_rejected(
        &self,
        mut notifications: Vec<Notification>,
    ) -> Result<(), StoreError> {
        if self.shared.keep_rejected == 0 {
            return Ok(());
        }
        let now = self.shared.clock.monotonic();
        notifications.truncate(self.shared.rejected.take(notifications.len(), now));
        if notifications.is_empty() {
            return Ok(());
        }
        let cut: Vec<Notification> = notifications.into_iter().map(rejected::cut).collect();
        let written = self.lanes.reject.write_new(ingest::Reject(cut)).await;
        // They are worth keeping only where that costs nothing.
        if let Err(error) = written {
            tracing::debug!(%error, "rejected notifications are not kept");
        }
        Ok(())
    }

    fn hash_client_state(&self, client_state: &str) -> KeyedHash {
        self.shared.seal.hash(client_state)
    }

    async fn queued_notifications(
        &self,
        after: Seq,
        limit: u32,
    ) -> Result<Vec<QueuedNotification>, StoreError> {
        on!(self, take sql => enrich::queued(&self.shared, sql, after, limit))
    }

    async fn queued_notifications_at(
        &self,
        places: Vec<Seq>,
    ) -> Result<Vec<QueuedNotification>, StoreError> {
        on!(self, take sql => enrich::queued_at(&self.shared, sql, &places))
    }

    async fn postpone_notification(
        &self,
        seq: Seq,
        lease: Lease,
        due_at: Timestamp,
    ) -> Result<(), StoreError> {
        on!(self, complete sql => enrich::postpone(&self.shared, sql, seq, lease, due_at))
    }

    async fn settle_held(
        &self,
        seq: Seq,
        lease: Lease,
        mut settled: NewNotification,
    ) -> Result<Verdict, StoreError> {
        if settled.notification.verdict.is_rejection() {
            settled.notification = rejected::cut(settled.notification);
        }
        on!(self, complete sql => ingest::settle_held(&self.shared, sql, seq, lease, &settled))
    }

    async fn finish_notification(
        &self,
        seq: Seq,
        lease: Lease,
        outcome: Outcome,
    ) -> Result<bool, StoreError> {
        self.lanes
            .finish
            .write(enrich::Finish {
                seq,
                lease,
                outcome,
            })
            .await
    }

    async fn webhooks_with_pending(&self) -> Result<Vec<(WebhookId, Timestamp)>, StoreError> {
        on!(self, take sql => deliver::webhooks_with_pending(&self.shared, sql))
    }

    async fn due_deliveries(
        &self,
        webhook: WebhookId,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<DueDelivery>, StoreError> {
        on!(self, take sql => deliver::due(&self.shared, sql, webhook, now, limit))
    }

    async fn next_due_delivery(
        &self,
        webhook: WebhookId,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        on!(self, take sql => deliver::next_due(&self.shared, sql, webhook, now))
    }

    async fn record_attempt(&self, result: AttemptResult) -> Result<(), StoreError> {
        self.lanes.attempted.write(deliver::Attempted(result)).await
    }

    async fn redeliver(
        &self,
        id: DeliveryId,
        now: Timestamp,
    ) -> Result<Option<Delivery>, StoreError> {
        on!(self, write sql => deliver::redeliver(&self.shared, sql, id, now))
    }

    async fn notification(&self, id: NotificationId) -> Result<Option<Notification>, StoreError> {
        on!(self, read sql => notifications::one(sql, id))
    }

    async fn notifications(
        &self,
        filter: NotificationFilter,
        page: Page,
    ) -> Result<Listing<Notification>, StoreError> {
        let after = lists::after(&page)?;
        on!(self, list sql => notifications::list(sql, &filter, &page, after))
    }

    async fn event(&self, id: EventId) -> Result<Option<Event>, StoreError> {
        on!(self, read sql => events::one(sql, id))
    }

    async fn events(&self, filter: EventFilter, page: Page) -> Result<Listing<Event>, StoreError> {
        let after = lists::after(&page)?;
        on!(self, list sql => events::list(sql, &filter, &page, after))
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        on!(self, read sql => deliveries::one(sql, id))
    }

    async fn deliveries(
        &self,
        filter: DeliveryFilter,
        page: Page,
    ) -> Result<Listing<Delivery>, StoreError> {
        let after = lists::after(&page)?;
        on!(self, list sql => deliveries::list(sql, &filter, &page, after))
    }

    async fn attempts(&self, delivery: DeliveryId) -> Result<Vec<Attempt>, StoreError> {
        on!(self, read sql => deliveries::attempts(sql, delivery))
    }

    fn holdings(&self) -> Holdings {
        self.shared.holdings.clone()
    }

    async fn next_signal(&self) -> Signal {
        self.shared.signals.next().await
    }

    async fn health(&self) -> StoreHealth {
        self.ask_health().await
    }

    async fn check(&self) -> Result<Vec<String>, StoreError> {
        self.ask_check().await
    }

    async fn close(&self) {
        self.lanes.close();
        self.lanes.drained().await;
        // Leases are given back last: what was written just now was written under them.
        self.stop.cancel();
        self.tasks.wait().await;
        self.shared.pool.close().await;
        self.shared.health.close().await;
    }
}
