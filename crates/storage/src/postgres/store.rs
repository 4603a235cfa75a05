//! The verbs, each in one line: to a lane of the writer, or on a connection.

use async_trait::async_trait;
use tidings_domain::{
    Timestamp,
    connection::{Connection, ConnectionState},
    delivery::{Attempt, Delivery},
    environment::Environment,
    event::Event,
    ids::{
        ConnectionId, DeliveryId, EnvironmentId, EventId, IntegrationId, KeyId, NotificationId,
        SubscriptionId, WebhookId,
    },
    integration::{Integration, IntegrationKey},
    key::ApiKey,
    notification::{Notification, Verdict},
    page::{Listing, Page},
    reconcile::{Reconcile, ReconcileScope},
    shard::Shard,
    subscription::Subscription,
    webhook::Webhook,
};

use super::{
    PostgresStore, connections, deliver, deliveries, enrich, environments, events, ingest,
    integrations, keys, known_items, lists, notifications,
    pool::Purpose,
    reconcile, reconcile_page, subscriptions,
    trouble::{Trouble, Undone},
    webhooks,
};
use crate::{
    Holdings, Lease, Signal, Store, StoreError,
    record::{
        AskReconcile, AttemptResult, DeliveryFilter, DueDelivery, DueReconcile, DueSubscription,
        EventFilter, KeyedHash, KnownItem, NewApiKey, NewEvent, NewNotification,
        NotificationFilter, Outcome, QueuedNotification, ReconcilePage, ReconcileUpdate, Seq,
        StoreHealth, SubscriptionFilter, SubscriptionUpdate, WebhookChange,
    },
    rejected,
    store::ASKED_AT_ONCE,
};

/// How often a verb is tried again that collided with another.
const COLLISIONS: u32 = 5;

type Done<T> = Result<T, StoreError>;

/// Does something on a connection: `read`, `write` and `list` for whoever asks, `take` and `complete` for the stages.
///
/// Once, or, where it only reads, once more on a new one if the first had died.
macro_rules! on {
    ($store:expr, list $sql:ident => $work:expr) => { on!($store, Purpose::Listing, reads $sql => $work) };
    ($store:expr, read $sql:ident => $work:expr) => { on!($store, Purpose::Asking, reads $sql => $work) };
    ($store:expr, take $sql:ident => $work:expr) => { on!($store, Purpose::Work, reads $sql => $work) };
    ($store:expr, write $sql:ident => $work:expr) => { on!($store, Purpose::Asking, writes $sql => $work) };
    ($store:expr, complete $sql:ident => $work:expr) => { on!($store, Purpose::Work, writes $sql => $work) };
    ($store:expr, $purpose:expr, reads $sql:ident => $work:expr) => {{
        let lent = $store.shared.pool.lend($purpose).await?;
        let used = lent.used;
        match lent.run(async |$sql| $work.await).await {
            Err(Undone::Sql(error)) if used && Trouble::of(&error) == Trouble::Lost => {
                let lent = $store.shared.pool.lend($purpose).await?;
                Ok(lent.run(async |$sql| $work.await).await?)
            }
            done => Ok(done?),
        }
    }};
    ($store:expr, $purpose:expr, writes $sql:ident => $work:expr) => {{
        let mut collisions = 0;
        loop {
            let lent = $store.shared.pool.lend($purpose).await?;
            match lent.run(async |$sql| $work.await).await {
                // Two who waited for each other: this one was rolled back whole.
                Err(Undone::Sql(error))
                    if collisions < COLLISIONS && Trouble::of(&error) == Trouble::Collision =>
                {
                    collisions += 1;
                }
                done => break Ok(done?),
            }
        }
    }};
}

#[async_trait]
impl Store for PostgresStore {
    async fn create_environment(&self, environment: Environment) -> Result<(), StoreError> {
        on!(self, write sql => environments::create(&self.shared, sql, &environment))
    }

    async fn environments(&self) -> Result<Vec<Environment>, StoreError> {
        on!(self, read sql => environments::all(sql))
    }

    async fn delete_environment(&self, id: EnvironmentId) -> Result<bool, StoreError> {
        on!(self, write sql => environments::delete(&self.shared, sql, id))
    }

    async fn create_integration(&self, integration: Integration) -> Result<(), StoreError> {
        on!(self, write sql => integrations::create(&self.shared, sql, &integration))
    }

    async fn integrations(&self) -> Result<Vec<Integration>, StoreError> {
        on!(self, read sql => integrations::all(&self.shared, sql))
    }

    async fn integration(
        &self,
        environment: EnvironmentId,
        key: &IntegrationKey,
    ) -> Result<Option<Integration>, StoreError> {
        on!(self, read sql => integrations::by_key(&self.shared, sql, environment, key))
    }

    async fn delete_integration(&self, id: IntegrationId) -> Result<bool, StoreError> {
        on!(self, write sql => integrations::delete(&self.shared, sql, id))
    }

    async fn create_connection(&self, connection: Connection) -> Result<(), StoreError> {
        on!(self, write sql => connections::create(&self.shared, sql, &connection))
    }

    async fn connection(&self, id: ConnectionId) -> Result<Option<Connection>, StoreError> {
        on!(self, read sql => connections::one(sql, id))
    }

    async fn connections(
        &self,
        environment: Option<EnvironmentId>,
        page: Page,
    ) -> Result<Listing<Connection>, StoreError> {
        let after = lists::after(&page)?;
        on!(self, read sql => connections::list(sql, environment, &page, after))
    }

    async fn set_connection_state(
        &self,
        id: ConnectionId,
        state: ConnectionState,
        events: Vec<NewEvent>,
    ) -> Result<(), StoreError> {
        on!(self, write sql => connections::set_state(&self.shared, sql, id, &state, &events))
    }

    async fn delete_connection(&self, id: ConnectionId) -> Result<bool, StoreError> {
        on!(self, write sql => connections::delete(&self.shared, sql, id))
    }

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

    async fn create_key(&self, key: NewApiKey) -> Result<(), StoreError> {
        on!(self, write sql => keys::create(sql, &key))
    }

    async fn key_by_hash(&self, hash: [u8; 32]) -> Result<Option<ApiKey>, StoreError> {
        on!(self, read sql => keys::by_hash(sql, hash))
    }

    async fn keys(
        &self,
        environment: Option<EnvironmentId>,
        page: Page,
    ) -> Result<Listing<ApiKey>, StoreError> {
        let after = lists::after(&page)?;
        on!(self, read sql => keys::list(sql, environment, &page, after))
    }

    async fn delete_key(&self, id: KeyId) -> Result<bool, StoreError> {
        on!(self, write sql => keys::delete(sql, id))
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

    async fn due_reconciles(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<DueReconcile>, StoreError> {
        on!(self, take sql => reconcile::due(&self.shared, sql, now, limit))
    }

    async fn next_due_reconcile(&self) -> Result<Option<Timestamp>, StoreError> {
        on!(self, take sql => reconcile::next_due(&self.shared, sql))
    }

    async fn reconcile(&self, id: SubscriptionId) -> Result<Option<Reconcile>, StoreError> {
        on!(self, read sql => reconcile::one(sql, id))
    }

    async fn ask_reconcile(
        &self,
        which: SubscriptionFilter,
        ask: AskReconcile,
    ) -> Result<u64, StoreError> {
        let meant: Done<Vec<String>> = on!(self, read sql => reconcile::meant(sql, which));
        let mut asked = 0;
        for slice in meant?.chunks(ASKED_AT_ONCE) {
            let done: Done<u64> =
                on!(self, write sql => reconcile::ask(&self.shared, sql, slice, &ask));
            asked += done?;
        }
        Ok(asked)
    }

    async fn reconcile_scopes(
        &self,
        id: SubscriptionId,
    ) -> Result<Vec<ReconcileScope>, StoreError> {
        on!(self, take sql => reconcile::scopes(sql, id))
    }

    async fn known_items(
        &self,
        id: SubscriptionId,
        items: Vec<String>,
    ) -> Result<Vec<KnownItem>, StoreError> {
        on!(self, take sql => known_items::these(sql, id, &items))
    }

    async fn items_not_shown(
        &self,
        id: SubscriptionId,
        scope: String,
        enumeration: u64,
        after: String,
        limit: u32,
    ) -> Result<Vec<KnownItem>, StoreError> {
        on!(self, take sql => known_items::not_shown(sql, id, &scope, enumeration, &after, limit))
    }

    async fn record_reconcile_page(
        &self,
        page: ReconcilePage,
        lease: Lease,
    ) -> Result<(), StoreError> {
        on!(self, complete sql => reconcile_page::record(&self.shared, sql, &page, lease))
    }

    async fn update_reconcile(
        &self,
        update: ReconcileUpdate,
        lease: Lease,
    ) -> Result<(), StoreError> {
        on!(self, complete sql => reconcile::update(&self.shared, sql, &update, lease))
    }

    async fn note_alive(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        on!(self, complete sql => reconcile::note_alive(sql, now))
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
