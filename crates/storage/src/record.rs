//! What goes into the verbs of the store and comes out of them, beside the words of the domain.

use bytes::Bytes;
use tidings_domain::{
    Timestamp,
    delivery::{Attempt, DeadReason, DeliveryState},
    event::Event,
    ids::{
        ConnectionId, DeliveryId, EnvironmentId, EventId, IntegrationId, SubscriptionId, WebhookId,
    },
    notification::{Notification, Verdict},
    shard::Shard,
    subscription::Subscription,
    trigger::Trigger,
    webhook::DisabledReason,
};

use crate::Lease;

/// The place of a row in a queue: what is recorded after an earlier one was answered has a higher one.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Seq(pub i64);

/// A notification on its way into the store.
#[derive(Clone, Debug)]
pub struct NewNotification {
    /// What is kept of it. Its verdict is ingest's; the store turns `Accepted` into `Duplicate` where `dedup_key` is
    /// taken.
    pub notification: Notification,
    /// What tells it from every other change; `None` where nothing does, and it counts as a change of its own.
    pub dedup_key: Option<DedupKey>,
    /// The keyed hash of its clientState, for those that are held; kept only as long as they are.
    pub client_state_hash: Option<KeyedHash>,
    /// When the next stage is to look at it first: now, or later for those that are held.
    pub due_at: Timestamp,
    /// Whose work it is: of one mailbox there is one owner at a time.
    pub shard: Shard,
}

/// What tells a change from every other: a hash of subscription, change type, item and id, etag or sequence number.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct DedupKey(pub [u8; 16]);

/// A hash that only the holder of the store's key can compute. Compare it in constant time.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct KeyedHash(pub [u8; 32]);

/// A notification that waits for enrich (accepted), or for its verdict (held).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedNotification {
    /// Its place in the queue.
    pub seq: Seq,
    /// When it is to be looked at.
    pub due_at: Timestamp,
    /// How often enrich has tried and put it off.
    pub failures: u32,
    /// The keyed hash of its clientState, if it is held.
    pub client_state_hash: Option<KeyedHash>,
    /// All that is kept of it.
    pub notification: Notification,
    /// Whose work it is, and under which lease it was read.
    pub lease: Lease,
}

/// A subscription that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueSubscription {
    /// The row.
    pub subscription: Subscription,
    /// Whose work it is, and under which lease it was read.
    pub lease: Lease,
}

/// An event and the webhooks that are to get it.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// The event, with the bytes that will be delivered.
    pub event: Event,
    /// A delivery is made for each of these that still exists.
    pub deliveries: Vec<NewDelivery>,
}

/// A delivery to be made with its event.
#[derive(Clone, Copy, Debug)]
pub struct NewDelivery {
    /// Its id.
    pub id: DeliveryId,
    /// To where.
    pub webhook: WebhookId,
}

/// A delivery that is due, with all that an attempt needs beside the webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueDelivery {
    /// Its id.
    pub id: DeliveryId,
    /// To where.
    pub webhook: WebhookId,
    /// What is delivered.
    pub event: EventId,
    /// How many attempts were made.
    pub attempts: u32,
    /// When it was due.
    pub due_at: Timestamp,
    /// The event's body.
    pub body: Bytes,
    /// Whose work it is, and under which lease it was read.
    pub lease: Lease,
}

/// What an attempt leads to.
#[derive(Clone, Debug)]
pub struct AttemptResult {
    /// Of which delivery.
    pub delivery: DeliveryId,
    /// To which webhook.
    pub webhook: WebhookId,
    /// Under which lease the delivery was read.
    pub lease: Lease,
    /// The attempt, to be kept.
    pub attempt: Attempt,
    /// What becomes of the delivery.
    pub next: AfterAttempt,
    /// What becomes of the webhook's health.
    pub health: HealthChange,
}

/// What becomes of a delivery after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterAttempt {
    /// It will not be tried again by itself.
    Dead(DeadReason),
    /// It has arrived.
    Delivered,
    /// It is tried again then.
    Retry(Timestamp),
}

/// What becomes of a webhook's health after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthChange {
    /// The webhook is disabled: its deliveries are held.
    Disable(DisabledReason),
    /// A first failure after a success: it is failing from then on.
    Failing(Timestamp),
    /// A success after failures.
    Healthy,
    /// Nothing changes, and nothing is written.
    None,
}

/// What of a subscription changes when the subscribe loop has acted.
#[derive(Clone, Debug)]
pub struct SubscriptionUpdate {
    /// Which one.
    pub id: SubscriptionId,
    /// Where it stands now.
    pub state: tidings_domain::subscription::SubscriptionState,
    /// Graph's id, once known.
    pub graph_id: Option<String>,
    /// When Graph lets it lapse.
    pub expires_at: Option<Timestamp>,
    /// When to look at it next.
    pub due_at: Timestamp,
    /// Failed tries since the last that succeeded.
    pub failures: u32,
    /// What the last failure was.
    pub last_error: Option<String>,
    /// When Graph last extended it.
    pub renewed_at: Option<Timestamp>,
}

/// A key to be kept: only its hash is stored.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    /// What can be shown of it.
    pub key: tidings_domain::key::ApiKey,
    /// SHA-256 of the key's text.
    pub hash: [u8; 32],
}

/// Which notifications a list shows.
#[derive(Clone, Debug, Default)]
pub struct NotificationFilter {
    /// Only of this environment.
    pub environment: Option<EnvironmentId>,
    /// Only of this integration.
    pub integration: Option<IntegrationId>,
    /// Only of this connection.
    pub connection: Option<ConnectionId>,
    /// Only with this verdict.
    pub verdict: Option<Verdict>,
}

/// Which events a list shows.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// Only of this environment.
    pub environment: Option<EnvironmentId>,
    /// Only of this connection.
    pub connection: Option<ConnectionId>,
    /// Only of this trigger.
    pub trigger: Option<Trigger>,
}

/// Which deliveries a list shows.
#[derive(Clone, Debug, Default)]
pub struct DeliveryFilter {
    /// Only of this environment.
    pub environment: Option<EnvironmentId>,
    /// Only of this webhook.
    pub webhook: Option<WebhookId>,
    /// Only of this event.
    pub event: Option<EventId>,
    /// Only in this state.
    pub state: Option<DeliveryState>,
}

/// What of a webhook can be changed. `None` leaves a member as it is.
#[derive(Clone, Debug, Default)]
pub struct WebhookChange {
    /// Where deliveries are sent.
    pub url: Option<tidings_domain::webhook::WebhookUrl>,
    /// What it is for.
    pub description: Option<String>,
    /// Which events it asks for.
    pub triggers: Option<Vec<Trigger>>,
    /// Whose events it asks for.
    pub connections: Option<Vec<ConnectionId>>,
    /// Whether deliveries are sent.
    pub state: Option<tidings_domain::webhook::WebhookState>,
}

/// What the store can say of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreHealth {
    /// Whether it takes writes now; if not, why.
    pub trouble: Option<String>,
    /// Accepted notifications that wait for enrich.
    pub queued_notifications: u64,
    /// Deliveries that wait for an attempt, held ones included.
    pub pending_deliveries: u64,
    /// Since when the longest waiting has waited: a notification since it was received, a delivery since it was due
    /// (which may still come). `None` if none waits, or if it cannot be said quickly.
    pub oldest_waiting: Option<Timestamp>,
}
