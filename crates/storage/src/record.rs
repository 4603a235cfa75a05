//! What goes into the verbs of the store and comes out of them, beside the words of the domain.

use bytes::Bytes;
use tidings_domain::{
    Timestamp,
    completeness::Counted,
    connection::Connection,
    delivery::{Attempt, DeadReason, DeliveryState},
    event::Event,
    ids::{
        ConnectionId, DeliveryId, EnvironmentId, EventId, IntegrationId, SubscriptionId, WebhookId,
    },
    notification::{LifecycleEvent, Notification, Verdict},
    policy::{Expansion, Policy},
    reconcile::{Reconcile, ReconcileReason, ReconcileScope},
    shard::Shard,
    subscription::{Former, Subscription, SubscriptionState},
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

/// A connection whose subscriptions are to be looked at as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueConnection {
    /// The connection.
    pub connection: Connection,
    /// When it was due.
    pub due_at: Timestamp,
    /// When Graph was last asked which subscriptions it has.
    pub listed_at: Option<Timestamp>,
    /// Whose work it is, and under which lease it was read.
    pub lease: Lease,
}

/// How far the subscriptions of a connection follow what is wanted of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// How many were told to.
    pub changed: u64,
    /// How many there are that Graph may still serve, though it is not to.
    pub served: u64,
}

/// An expansion that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueExpansion {
    /// What is wished.
    pub policy: Policy,
    /// How far it has come with a connection.
    pub expansion: Expansion,
    /// Whose work it is, and under which lease it was read.
    pub lease: Lease,
}

/// What becomes of an expansion.
#[derive(Clone, Debug)]
pub struct ExpansionUpdate {
    /// How it is then.
    pub expansion: Expansion,
    /// Subscriptions that there are to be.
    pub wishes: Vec<Wish>,
    /// Resources of which there is to be none any more.
    pub gone: Vec<String>,
    /// When this was: what is to be removed is due then.
    pub now: Timestamp,
}

/// A subscription that a policy wants.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The row, should there be none yet.
    pub subscription: Subscription,
    /// Who looks after it.
    pub shard: Shard,
    /// Other ways to write its resource, such as a user's name for the id.
    pub aliases: Vec<String>,
}

/// What an expansion led to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expanded {
    /// How many subscriptions were made.
    pub made: u64,
    /// How many were not made since there is such a one that is being removed: wish for them again later.
    pub going: u64,
}

/// How far a policy has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyProgress {
    /// With each connection, in the order of their ids.
    pub expansions: Vec<Expansion>,
    /// How many subscriptions it has made for each connection, by their state.
    pub subscriptions: Vec<(ConnectionId, SubscriptionState, u64)>,
    /// Why Graph does not serve one of those that it does not serve.
    pub refusal: Option<String>,
}

/// What a notification leads to.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Its events.
    pub events: Vec<NewEvent>,
    /// What the app then knows of the item.
    pub told: Option<Told>,
    /// What is to be seen to at its subscription.
    pub lifecycle: Option<LifecycleNote>,
    /// A subscription that is to be reconciled.
    pub reconcile: Option<(SubscriptionId, AskReconcile)>,
    /// How the change became known, where it was late or found: of the others there are too many to write each down.
    pub counted: Option<Counted>,
}

impl From<Vec<NewEvent>> for Outcome {
    fn from(events: Vec<NewEvent>) -> Self {
        Self {
            events,
            ..Self::default()
        }
    }
}

/// What the app has been told of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// By which subscription.
    pub subscription: SubscriptionId,
    /// Graph's id of the item.
    pub item: String,
    /// That it exists, in which version if that can be said; `None`: that it does not.
    pub present: Option<Option<Version>>,
}

/// What tells the versions of an item apart: a hash of its etag or content, but for the last bit.
///
/// That bit says how the app heard of it: set if a comparison found it, so that a notification of the same version that
/// comes late is known for what it is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Version(pub [u8; 16]);

impl Version {
    /// The version of this hash, as a notification brings it.
    pub fn of_hash(mut hash: [u8; 16]) -> Self {
        hash[15] &= !1;
        Self(hash)
    }

    /// The same version, as a comparison found it.
    #[must_use]
    pub fn found(mut self) -> Self {
        self.0[15] |= 1;
        self
    }

    /// Whether a comparison found it.
    pub fn was_found(self) -> bool {
        self.0[15] & 1 == 1
    }

    /// Whether it is this version, however the app heard of either.
    pub fn is(self, other: Self) -> bool {
        self.found() == other.found()
    }
}

/// What a lifecycle notification says, to be seen to by the subscribe loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LifecycleNote {
    /// Of which subscription.
    pub subscription: SubscriptionId,
    /// What.
    pub event: LifecycleEvent,
    /// When to see to it, unless the subscription is due before.
    pub due_at: Timestamp,
}

/// A wish that a subscription be reconciled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AskReconcile {
    /// Why.
    pub reason: ReconcileReason,
    /// When it was asked for: a round that began before is no answer to it.
    pub asked_at: Timestamp,
    /// When to begin, unless it is due before.
    pub due_at: Timestamp,
    /// Whether the first round tells the app of what is there already. It has no effect after that.
    pub deliver_existing: bool,
}

/// Which subscriptions are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscriptionFilter {
    /// All of them.
    All,
    /// Those of a connection.
    Connection(ConnectionId),
    /// Those of an environment.
    Environment(EnvironmentId),
    /// Those of an integration.
    Integration(IntegrationId),
    /// This one.
    One(SubscriptionId),
}

/// A subscription to be reconciled now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueReconcile {
    /// Where that stands.
    pub reconcile: Reconcile,
    /// Whose work it is, and under which lease it was read.
    pub lease: Lease,
}

/// An item that a subscription watches, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownItem {
    /// Graph's id.
    pub id: String,
    /// In which scope it was seen last; empty where there is but one, or where no enumeration has seen it.
    pub scope: String,
    /// The number of the last enumeration that has shown it; 0 if none has.
    pub enumeration: u64,
    /// A hash of how an enumeration showed it last, where Graph tells no version there, unless the app was told of it since.
    pub seen: Option<Version>,
    /// Whether the app knows of it: it was told, or it was there before everything.
    pub told: bool,
    /// In which version the app knows it, if that can be said.
    pub version: Option<Version>,
}

/// What one answer of an enumeration leads to.
#[derive(Clone, Debug)]
pub struct ReconcilePage {
    /// Of which subscription.
    pub subscription: SubscriptionId,
    /// Changes that the app may not know of, to be fetched and told.
    pub finds: Vec<NewNotification>,
    /// Items as they were shown. Of those that the app knows, `told` and `version` stay as they are.
    pub items: Vec<KnownItem>,
    /// Items that exist no more and that the app never knew of.
    pub forget: Vec<String>,
    /// How far the enumeration is then.
    pub scope: ReconcileScope,
}

/// What becomes of reconciling a subscription after a turn.
#[derive(Clone, Debug)]
pub struct ReconcileUpdate {
    /// Of which subscription.
    pub subscription: SubscriptionId,
    /// When to go on. If somebody asked for another round after `answers`, it is due as was asked.
    pub due_at: Timestamp,
    /// Wishes up to this time are answered.
    pub answers: Option<Timestamp>,
    /// When the round under way began; `None` between rounds.
    pub started_at: Option<Timestamp>,
    /// When the last round ended that saw everything.
    pub finished_at: Option<Timestamp>,
    /// What the round found so far.
    pub finds: u64,
    /// Failed tries since the last that succeeded.
    pub failures: u32,
    /// What the last failure was.
    pub last_error: Option<String>,
    /// Scopes that exist no more.
    pub gone_scopes: Vec<String>,
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
    pub state: SubscriptionState,
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
    /// When Graph was last asked to extend it.
    pub patched_at: Option<Timestamp>,
    /// Where Graph sends its notifications.
    pub notification_url: Option<String>,
    /// Where Graph sends its lifecycle notifications.
    pub lifecycle_url: Option<String>,
    /// The subscription at Graph that it had before this one.
    pub former: Option<Former>,
    /// How many of its lifecycle notifications have been seen to. If there were more, it stays due.
    pub attended: Option<u64>,
    /// That it is to be reconciled. From the first time on it is known to be reconciled at all.
    pub reconcile: Option<AskReconcile>,
    /// Events to be told with the change.
    pub events: Vec<NewEvent>,
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
