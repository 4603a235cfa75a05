//! The store's promises, verb by verb.
//!
//! One verb is one transaction: when it answers `Ok`, its change is on disk and survives `kill -9` and power loss; when
//! it answers `Err`, nothing of it holds; only where the disk took too long to say (`Unavailable`) it may hold after
//! all, and every verb can be repeated. Not found is `None`. Times come in, none is asked for. Every sentence here has
//! a test by its name in `contract`.

mod completeness;
mod configured;
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

use crate::{
    Holdings, Lease, Signal, StoreError,
    record::{
        AttemptResult, DeliveryFilter, DueDelivery, DueSubscription, EventFilter, KeyedHash,
        NewNotification, NotificationFilter, Outcome, QueuedNotification, Seq, StoreHealth,
        SubscriptionUpdate, WebhookChange,
    },
};

pub use completeness::CompletenessStore;
pub use configured::ConfiguredStore;
pub use policies::PolicyStore;
pub use reconcile::ReconcileStore;

/// For how many subscriptions one transaction asks that they be reconciled: some milliseconds.
pub(crate) const ASKED_AT_ONCE: usize = 1_000;

/// The longest id of an item or a scope that is kept, in bytes. Microsoft's are of 150 or so; an index has no room for
/// any length.
pub(crate) const LONGEST_ID: usize = 1_024;

/// Whether an id of an item or a scope is too long to be one.
pub(crate) fn is_too_long(id: &str) -> bool {
    id.len() > LONGEST_ID
}

/// What outlives the process.
#[async_trait]
pub trait Store:
    CompletenessStore + ConfiguredStore + PolicyStore + ReconcileStore + std::fmt::Debug
{
    // --- subscriptions ---

    /// Adds a subscription: the intent, before Graph is asked. `Conflict` if its connection has one with the same
    /// resource and change types.
    ///
    /// The loop on the node that holds `shard` looks after it.
    async fn create_subscription(
        &self,
        subscription: Subscription,
        shard: Shard,
    ) -> Result<(), StoreError>;
    /// One subscription.
    async fn subscription(&self, id: SubscriptionId) -> Result<Option<Subscription>, StoreError>;
    /// Subscriptions, newest first, of one environment or connection or of all.
    async fn subscriptions(
        &self,
        environment: Option<EnvironmentId>,
        connection: Option<ConnectionId>,
        page: Page,
    ) -> Result<Listing<Subscription>, StoreError>;
    /// Subscriptions of held shards whose `due_at` has come, the longest due first.
    async fn due_subscriptions(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<DueSubscription>, StoreError>;
    /// The earliest `due_at` of all subscriptions of held shards.
    async fn next_due_subscription(&self) -> Result<Option<Timestamp>, StoreError>;
    /// Records what was done for a subscription, and the events of that, in one transaction: by the loop, under the lease
    /// it was read with, or because somebody asked for it (`None`), which any node may record. `Missing` if the row is
    /// gone.
    ///
    /// One that is to be removed stays so, and due, whatever was under way.
    ///
    /// Lifecycle notifications that came after those it has seen to stay noted, and keep the subscription due.
    async fn update_subscription(
        &self,
        update: SubscriptionUpdate,
        lease: Option<Lease>,
    ) -> Result<(), StoreError>;
    /// Makes up to `limit` subscriptions of an integration due at `due_at` that Graph is known to send to another URL than
    /// this one, and that would be due later, and says how many those are.
    async fn hasten_subscriptions_sent_elsewhere(
        &self,
        integration: IntegrationId,
        notification_url: &str,
        due_at: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError>;
    /// Removes a subscription with what is known of its items; `false` if there was none. Of many thousand items the
    /// last go some seconds later.
    async fn delete_subscription(&self, id: SubscriptionId) -> Result<bool, StoreError>;

    // --- webhooks ---

    /// Adds a webhook.
    async fn create_webhook(&self, webhook: Webhook) -> Result<(), StoreError>;
    /// One webhook.
    async fn webhook(&self, id: WebhookId) -> Result<Option<Webhook>, StoreError>;
    /// Webhooks, newest first, of one environment or of all.
    async fn webhooks(
        &self,
        environment: Option<EnvironmentId>,
        page: Page,
    ) -> Result<Listing<Webhook>, StoreError>;
    /// Changes a webhook and gives it as it then is; `None` if there is none. Enabling it ends its `failing_since`.
    async fn change_webhook(
        &self,
        id: WebhookId,
        change: WebhookChange,
    ) -> Result<Option<Webhook>, StoreError>;
    /// Removes a webhook with its deliveries that have not arrived; `false` if there was none. Of many thousands the
    /// last go some seconds later. What has arrived stays listed.
    async fn delete_webhook(&self, id: WebhookId) -> Result<bool, StoreError>;

    // --- ingest ---

    /// Records the notifications of one POST, all or none, and gives the verdict of each.
    ///
    /// An accepted notification claims its dedup key and enters the queue of enrich in the same transaction; where the
    /// key is taken, its verdict becomes `Duplicate` and it does not. Keys last at least 24 hours. A held one enters the
    /// queue without claiming. `Overloaded` after the configured wait, `Full` below the disk floor: then no key is
    /// claimed, and the same notifications can come again.
    async fn record_notifications(
        &self,
        notifications: Vec<NewNotification>,
    ) -> Result<Vec<Verdict>, StoreError>;
    /// Records rejected notifications as far as there is room: of each integration only the newest are kept, and when
    /// the store is busy none is. Their items are cut to 4 KiB. Never makes an accepted one wait.
    async fn record_rejected(&self, notifications: Vec<Notification>) -> Result<(), StoreError>;
    /// The keyed hash of a clientState.
    fn hash_client_state(&self, client_state: &str) -> KeyedHash;

    // --- enrich ---

    /// Notifications of held shards in the queue of enrich behind `after`, in the order of their places, due or not.
    /// Fewer than `limit` where items are large; none only if there is none.
    ///
    /// Where several write at the same time, a place up to `after` may be committed only now: it comes too, with the
    /// next call, once or more often. Ignore those that are known. After [`Signal::Shards`]
    /// begin again from the first place.
    async fn queued_notifications(
        &self,
        after: Seq,
        limit: u32,
    ) -> Result<Vec<QueuedNotification>, StoreError>;
    /// Those of these that still are in the queue of enrich and of held shards.
    async fn queued_notifications_at(
        &self,
        places: Vec<Seq>,
    ) -> Result<Vec<QueuedNotification>, StoreError>;
    /// Puts a notification off: it stays in the queue, to be looked at again then, with one more failure.
    async fn postpone_notification(
        &self,
        seq: Seq,
        lease: Lease,
        due_at: Timestamp,
    ) -> Result<(), StoreError>;
    /// Ends a held notification's wait: with the match it got meanwhile (it then claims its dedup key, as in
    /// [`Store::record_notifications`], and stays queued if accepted, in the shard of `settled`), or as rejected. Gives
    /// its verdict. Repeated, it only gives the verdict again; `Missing` if there is no such notification.
    async fn settle_held(
        &self,
        seq: Seq,
        lease: Lease,
        settled: NewNotification,
    ) -> Result<Verdict, StoreError>;
    /// Takes a notification out of the queue and records what it led to, in one transaction: its events, and for each a
    /// delivery to each webhook that still exists; what the app then knows; what is to be seen to at a subscription, and
    /// how the change became known, if that still exists. Does nothing and answers `false` if it is no longer queued, so that a repetition leads to
    /// nothing twice.
    async fn finish_notification(
        &self,
        seq: Seq,
        lease: Lease,
        outcome: Outcome,
    ) -> Result<bool, StoreError>;

    // --- deliver ---

    /// Webhooks of held shards that are not disabled and have pending deliveries, with the time of the earliest.
    async fn webhooks_with_pending(&self) -> Result<Vec<(WebhookId, Timestamp)>, StoreError>;
    /// Pending deliveries of a webhook that are due, the longest due first; none of a disabled webhook, nor of
    /// one whose shard is not held.
    /// Fewer than `limit` where bodies are large; none only if there is none.
    async fn due_deliveries(
        &self,
        webhook: WebhookId,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<DueDelivery>, StoreError>;
    /// The earliest time after `now` at which a pending delivery of a webhook is due.
    async fn next_due_delivery(
        &self,
        webhook: WebhookId,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError>;
    /// Records an attempt and what becomes of the delivery, if that is pending, and of its webhook. Does nothing if the
    /// delivery is gone, or if this attempt has been recorded before.
    async fn record_attempt(&self, result: AttemptResult) -> Result<(), StoreError>;
    /// Makes a delivery pending again, due at `now`, with the whole retry schedule before it (its `attempts` are 0
    /// again); `None` if there is none, the delivery as it then is otherwise. `Missing` if its webhook is gone.
    async fn redeliver(
        &self,
        id: DeliveryId,
        now: Timestamp,
    ) -> Result<Option<Delivery>, StoreError>;

    // --- lists ---
    //
    // A filter that hardly anything fits can make a page shorter than its limit, or empty, and still have a next one:
    // what bounds a page is the work it takes. A cursor that is none of ours is `InvalidCursor`.

    /// One notification.
    async fn notification(&self, id: NotificationId) -> Result<Option<Notification>, StoreError>;
    /// Notifications, newest first, with their items left out (empty).
    async fn notifications(
        &self,
        filter: NotificationFilter,
        page: Page,
    ) -> Result<Listing<Notification>, StoreError>;
    /// One event.
    async fn event(&self, id: EventId) -> Result<Option<Event>, StoreError>;
    /// Events, newest first, with their bodies left out (empty).
    async fn events(&self, filter: EventFilter, page: Page) -> Result<Listing<Event>, StoreError>;
    /// One delivery. A pending delivery of a disabled webhook shows as held, here and in lists.
    async fn delivery(&self, id: DeliveryId) -> Result<Option<Delivery>, StoreError>;
    /// Deliveries, newest first.
    async fn deliveries(
        &self,
        filter: DeliveryFilter,
        page: Page,
    ) -> Result<Listing<Delivery>, StoreError>;
    /// The attempts of a delivery, oldest first.
    async fn attempts(&self, delivery: DeliveryId) -> Result<Vec<Attempt>, StoreError>;

    // --- many nodes ---
    //
    // Where several nodes use one store, each holds some of the shards for as long as it renews its leases. Verbs that
    // give work give that of held shards; verbs that record what came of it are refused with `Fenced` when the shard
    // has had another owner since the work was read.

    /// Which shards this node may act for. It shares its state with the store.
    fn holdings(&self) -> Holdings;
    /// The next thing that other nodes did and that concerns this one; waits until there is one.
    async fn next_signal(&self) -> Signal;

    // --- the store itself ---

    /// What it can say of itself. Answers quickly, also when writes fail.
    async fn health(&self) -> StoreHealth;
    /// Checks the whole of it for damage; each finding is one sentence. Reads everything: slow.
    async fn check(&self) -> Result<Vec<String>, StoreError>;
    /// Answers what is under way, then closes. Every later verb is `Unavailable`.
    async fn close(&self);
}
