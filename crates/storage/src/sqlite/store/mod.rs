//! The verbs, each in one line: to the writer or to a reader.

mod completeness;
mod configured;
mod policies;
mod reconcile;

use std::sync::Arc;

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

use super::{
    SqliteStore,
    arrivals::Arrived,
    deliver, deliveries, enrich, events, ingest, lists, notifications,
    outcomes::SummedEvent,
    subscriptions, webhooks,
    writer::{Kind, Tx, Undone},
};
use crate::{
    Holdings, Lease, Signal, Store, StoreError,
    record::{
        AttemptResult, DeliveryFilter, DueDelivery, DueSubscription, EventFilter, KeyedHash,
        NewNotification, NotificationFilter, Outcome, QueuedNotification, Seq, StoreHealth,
        SubscriptionUpdate, WebhookChange,
    },
    rejected,
    seal::Seal,
};

impl SqliteStore {
    /// Has something new written.
    async fn create<T, F>(&self, mut run: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, Undone> + Send + 'static,
    {
        let run = move |tx: &mut Tx<'_>| {
            tx.left.write(tx.sql)?;
            run(tx)
        };
        self.writer.write(Kind::New, 1, run).await
    }

    /// Has something changed, ended or removed.
    async fn change<T, F>(&self, mut run: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, Undone> + Send + 'static,
    {
        let run = move |tx: &mut Tx<'_>| {
            tx.left.write(tx.sql)?;
            run(tx)
        };
        self.writer.write(Kind::Completion, 1, run).await
    }

    /// Has something read that holds secrets.
    async fn read_sealed<T, F>(&self, run: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&rusqlite::Connection, &Seal) -> rusqlite::Result<T> + Send + 'static,
    {
        let seal = Arc::clone(&self.seal);
        self.readers.read(move |sql| run(sql, &seal)).await
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn create_subscription(
        &self,
        subscription: Subscription,
        _: Shard,
    ) -> Result<(), StoreError> {
        self.create(move |tx| subscriptions::create(tx, &subscription, 0))
            .await
    }

    async fn subscription(&self, id: SubscriptionId) -> Result<Option<Subscription>, StoreError> {
        self.read_sealed(move |sql, seal| subscriptions::one(sql, seal, id))
            .await
    }

    async fn subscriptions(
        &self,
        environment: Option<EnvironmentId>,
        connection: Option<ConnectionId>,
        page: Page,
    ) -> Result<Listing<Subscription>, StoreError> {
        let after = lists::after(&page)?;
        self.read_sealed(move |sql, seal| {
            subscriptions::list(sql, seal, environment, connection, &page, after)
        })
        .await
    }

    async fn due_subscriptions(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<DueSubscription>, StoreError> {
        self.read_sealed(move |sql, seal| subscriptions::due(sql, seal, now, limit))
            .await
    }

    async fn next_due_subscription(&self) -> Result<Option<Timestamp>, StoreError> {
        self.readers.read(subscriptions::next_due).await
    }

    async fn update_subscription(
        &self,
        update: SubscriptionUpdate,
        _: Option<Lease>,
    ) -> Result<(), StoreError> {
        self.change(move |tx| subscriptions::update(tx, &update))
            .await
    }

    async fn hasten_subscriptions_sent_elsewhere(
        &self,
        integration: IntegrationId,
        notification_url: &str,
        due_at: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let url = notification_url.to_owned();
        self.change(move |tx| {
            subscriptions::hasten_sent_elsewhere(tx, integration, &url, due_at, limit)
        })
        .await
    }

    async fn delete_subscription(&self, id: SubscriptionId) -> Result<bool, StoreError> {
        self.change(move |tx| subscriptions::delete(tx, id)).await
    }

    async fn create_webhook(&self, webhook: Webhook) -> Result<(), StoreError> {
        self.create(move |tx| webhooks::create(tx, &webhook)).await
    }

    async fn webhook(&self, id: WebhookId) -> Result<Option<Webhook>, StoreError> {
        self.read_sealed(move |sql, seal| webhooks::one(sql, seal, id))
            .await
    }

    async fn webhooks(
        &self,
        environment: Option<EnvironmentId>,
        page: Page,
    ) -> Result<Listing<Webhook>, StoreError> {
        let after = lists::after(&page)?;
        self.read_sealed(move |sql, seal| webhooks::list(sql, seal, environment, &page, after))
            .await
    }

    async fn change_webhook(
        &self,
        id: WebhookId,
        change: WebhookChange,
    ) -> Result<Option<Webhook>, StoreError> {
        self.change(move |tx| webhooks::change(tx, id, &change))
            .await
    }

    async fn delete_webhook(&self, id: WebhookId) -> Result<bool, StoreError> {
        self.change(move |tx| webhooks::delete(tx, id)).await
    }

    async fn record_notifications(
        &self,
        notifications: Vec<NewNotification>,
    ) -> Result<Vec<Verdict>, StoreError> {
        let post: Arc<[Arrived]> = notifications.into_iter().map(Arrived::new).collect();
        self.writer
            .write(Kind::New, post.len(), move |tx| ingest::record(tx, &post))
            .await
    }

    async fn record_rejected(
        &self,
        mut notifications: Vec<Notification>,
    ) -> Result<(), StoreError> {
        if self.keep_rejected == 0 {
            return Ok(());
        }
        notifications.truncate(
            self.rejected
                .take(notifications.len(), self.clock.monotonic()),
        );
        if notifications.is_empty() {
            return Ok(());
        }
        let cut: Vec<Notification> = notifications.into_iter().map(rejected::cut).collect();
        let (rows, keep) = (cut.len(), self.keep_rejected);
        let written = self
            .writer
            .write(Kind::Rejected, rows, move |tx| {
                tx.left.write(tx.sql)?;
                ingest::record_rejected(tx, &cut, keep)
            })
            .await;
        // They are worth keeping only where that costs nothing.
        if let Err(error) = written {
            tracing::debug!(%error, "rejected notifications are not kept");
        }
        Ok(())
    }

    fn hash_client_state(&self, client_state: &str) -> KeyedHash {
        self.seal.hash(client_state)
    }

    async fn queued_notifications(
        &self,
        after: Seq,
        limit: u32,
    ) -> Result<Vec<QueuedNotification>, StoreError> {
        self.readers
            .read(move |sql| enrich::queued(sql, after, limit))
            .await
    }

    async fn queued_notifications_at(
        &self,
        places: Vec<Seq>,
    ) -> Result<Vec<QueuedNotification>, StoreError> {
        self.readers
            .read(move |sql| enrich::queued_at(sql, &places))
            .await
    }

    async fn postpone_notification(
        &self,
        seq: Seq,
        _: Lease,
        due_at: Timestamp,
    ) -> Result<(), StoreError> {
        self.change(move |tx| enrich::postpone(tx, seq, due_at))
            .await
    }

    async fn settle_held(
        &self,
        seq: Seq,
        _: Lease,
        mut settled: NewNotification,
    ) -> Result<Verdict, StoreError> {
        if settled.notification.verdict.is_rejection() {
            settled.notification = rejected::cut(settled.notification);
        }
        let keep = self.keep_rejected;
        self.change(move |tx| ingest::settle_held(tx, seq, &settled, keep))
            .await
    }

    async fn finish_notification(
        &self,
        seq: Seq,
        _: Lease,
        mut outcome: Outcome,
    ) -> Result<bool, StoreError> {
        let Outcome { events, .. } = &mut outcome;
        let rows = 2 + events
            .iter()
            .map(|new| 1 + new.deliveries.len())
            .sum::<usize>();
        let events: Arc<[SummedEvent]> = std::mem::take(events)
            .into_iter()
            .map(SummedEvent::new)
            .collect();
        let outcome = Arc::new(outcome);
        self.writer
            .write(Kind::Completion, rows, move |tx| {
                enrich::finish(tx, seq, &outcome, &events)
            })
            .await
    }

    async fn webhooks_with_pending(&self) -> Result<Vec<(WebhookId, Timestamp)>, StoreError> {
        self.readers.read(deliver::webhooks_with_pending).await
    }

    async fn due_deliveries(
        &self,
        webhook: WebhookId,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<DueDelivery>, StoreError> {
        self.readers
            .read(move |sql| deliver::due(sql, webhook, now, limit))
            .await
    }

    async fn next_due_delivery(
        &self,
        webhook: WebhookId,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.readers
            .read(move |sql| deliver::next_due(sql, webhook, now))
            .await
    }

    async fn record_attempt(&self, result: AttemptResult) -> Result<(), StoreError> {
        let result = Arc::new(result);
        self.writer
            .write(Kind::Completion, 1, move |tx| {
                deliver::record_attempt(tx, &result)
            })
            .await
    }

    async fn redeliver(
        &self,
        id: DeliveryId,
        now: Timestamp,
    ) -> Result<Option<Delivery>, StoreError> {
        self.change(move |tx| deliver::redeliver(tx, id, now)).await
    }

    async fn notification(&self, id: NotificationId) -> Result<Option<Notification>, StoreError> {
        self.readers
            .read(move |sql| notifications::one(sql, id))
            .await
    }

    async fn notifications(
        &self,
        filter: NotificationFilter,
        page: Page,
    ) -> Result<Listing<Notification>, StoreError> {
        let after = lists::after(&page)?;
        self.readers
            .read(move |sql| notifications::list(sql, &filter, &page, after))
            .await
    }

    async fn event(&self, id: EventId) -> Result<Option<Event>, StoreError> {
        self.readers.read(move |sql| events::one(sql, id)).await
    }

    async fn events(&self, filter: EventFilter, page: Page) -> Result<Listing<Event>, StoreError> {
        let after = lists::after(&page)?;
        self.readers
            .read(move |sql| events::list(sql, &filter, &page, after))
            .await
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        self.readers.read(move |sql| deliveries::one(sql, id)).await
    }

    async fn deliveries(
        &self,
        filter: DeliveryFilter,
        page: Page,
    ) -> Result<Listing<Delivery>, StoreError> {
        let after = lists::after(&page)?;
        self.readers
            .read(move |sql| deliveries::list(sql, &filter, &page, after))
            .await
    }

    async fn attempts(&self, delivery: DeliveryId) -> Result<Vec<Attempt>, StoreError> {
        self.readers
            .read(move |sql| deliveries::attempts(sql, delivery))
            .await
    }

    fn holdings(&self) -> Holdings {
        Holdings::all()
    }

    async fn next_signal(&self) -> Signal {
        // There are no others.
        std::future::pending().await
    }

    async fn health(&self) -> StoreHealth {
        self.ask_health().await
    }

    async fn check(&self) -> Result<Vec<String>, StoreError> {
        self.ask_check().await
    }

    async fn close(&self) {
        self.readers.close();
        self.writer.close();
        // An error says that the writer's thread has ended, which is what is waited for.
        let _ = self.closed.clone().wait_for(|closed| *closed).await;
    }
}
