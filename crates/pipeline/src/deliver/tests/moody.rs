//! A store that fails when told to.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

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
    shard::Shard,
    subscription::Subscription,
    webhook::Webhook,
};
use tidings_storage::{
    Holdings, Lease, Signal, Store, StoreError,
    record::{
        AttemptResult, DeliveryFilter, DueDelivery, DueSubscription, EventFilter, KeyedHash,
        NewApiKey, NewEvent, NewNotification, NotificationFilter, QueuedNotification, Seq,
        StoreHealth, SubscriptionUpdate, WebhookChange,
    },
};

/// How the store feels, and how often it was asked. Clones are the same mood.
#[derive(Clone, Debug, Default)]
pub(super) struct Mood(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    reads_fail: AtomicBool,
    writes_fail: AtomicBool,
    reads: AtomicUsize,
    writes: AtomicUsize,
    failed: AtomicUsize,
}

impl Mood {
    pub(super) fn fail_reads(&self, fail: bool) {
        self.0.reads_fail.store(fail, Ordering::SeqCst);
    }

    pub(super) fn fail_writes(&self, fail: bool) {
        self.0.writes_fail.store(fail, Ordering::SeqCst);
    }

    /// How many reads there were.
    pub(super) fn reads(&self) -> usize {
        self.0.reads.load(Ordering::SeqCst)
    }

    /// How many writes there were.
    pub(super) fn writes(&self) -> usize {
        self.0.writes.load(Ordering::SeqCst)
    }

    /// How many verbs have failed.
    pub(super) fn failed(&self) -> usize {
        self.0.failed.load(Ordering::SeqCst)
    }

    fn read(&self) -> Result<(), StoreError> {
        self.0.reads.fetch_add(1, Ordering::SeqCst);
        self.unless(&self.0.reads_fail)
    }

    fn write(&self) -> Result<(), StoreError> {
        self.0.writes.fetch_add(1, Ordering::SeqCst);
        self.unless(&self.0.writes_fail)
    }

    fn unless(&self, fail: &AtomicBool) -> Result<(), StoreError> {
        if !fail.load(Ordering::SeqCst) {
            return Ok(());
        }
        self.0.failed.fetch_add(1, Ordering::SeqCst);
        let detail = "in a bad mood".to_owned();
        Err(StoreError::Unavailable { detail })
    }
}

/// Fails the verbs of this stage when it is in the mood, and passes the rest on.
#[derive(Debug)]
pub(super) struct Moody {
    inner: Arc<dyn Store>,
    mood: Mood,
}

impl Moody {
    pub(super) fn new(inner: Arc<dyn Store>, mood: Mood) -> Self {
        Self { inner, mood }
    }
}

macro_rules! store {
    (
        moody { $($mood:ident: $moody:ident($($moody_name:ident: $moody_type:ty),*) -> $moody_out:ty;)* }
        passed { $($verb:ident($($name:ident: $type:ty),*) -> $out:ty;)* }
    ) => {
        #[async_trait]
        impl Store for Moody {
            $(async fn $moody(&self, $($moody_name: $moody_type),*) -> $moody_out {
                self.mood.$mood()?;
                self.inner.$moody($($moody_name),*).await
            })*
            $(async fn $verb(&self, $($name: $type),*) -> $out {
                self.inner.$verb($($name),*).await
            })*
            fn holdings(&self) -> Holdings {
                self.inner.holdings()
            }
            fn hash_client_state(&self, client_state: &str) -> KeyedHash {
                self.inner.hash_client_state(client_state)
            }
        }
    };
}

type Done<T> = Result<T, StoreError>;

store! {
    moody {
        read: webhooks_with_pending() -> Done<Vec<(WebhookId, Timestamp)>>;
        read: due_deliveries(webhook: WebhookId, now: Timestamp, limit: u32) -> Done<Vec<DueDelivery>>;
        read: next_due_delivery(webhook: WebhookId, now: Timestamp) -> Done<Option<Timestamp>>;
        write: record_attempt(result: AttemptResult) -> Done<()>;
    }
    passed {
        create_environment(environment: Environment) -> Done<()>;
        environments() -> Done<Vec<Environment>>;
        delete_environment(id: EnvironmentId) -> Done<bool>;
        create_integration(integration: Integration) -> Done<()>;
        integrations() -> Done<Vec<Integration>>;
        integration(environment: EnvironmentId, key: &IntegrationKey) -> Done<Option<Integration>>;
        delete_integration(id: IntegrationId) -> Done<bool>;
        create_connection(connection: Connection) -> Done<()>;
        connection(id: ConnectionId) -> Done<Option<Connection>>;
        connections(environment: Option<EnvironmentId>, page: Page) -> Done<Listing<Connection>>;
        set_connection_state(id: ConnectionId, state: ConnectionState) -> Done<()>;
        delete_connection(id: ConnectionId) -> Done<bool>;
        create_subscription(subscription: Subscription, shard: Shard) -> Done<()>;
        subscription(id: SubscriptionId) -> Done<Option<Subscription>>;
        subscriptions(environment: Option<EnvironmentId>, connection: Option<ConnectionId>, page: Page)
            -> Done<Listing<Subscription>>;
        due_subscriptions(now: Timestamp, limit: u32) -> Done<Vec<DueSubscription>>;
        next_due_subscription() -> Done<Option<Timestamp>>;
        update_subscription(update: SubscriptionUpdate, lease: Option<Lease>) -> Done<()>;
        delete_subscription(id: SubscriptionId) -> Done<bool>;
        create_webhook(webhook: Webhook) -> Done<()>;
        webhook(id: WebhookId) -> Done<Option<Webhook>>;
        webhooks(environment: Option<EnvironmentId>, page: Page) -> Done<Listing<Webhook>>;
        change_webhook(id: WebhookId, change: WebhookChange) -> Done<Option<Webhook>>;
        delete_webhook(id: WebhookId) -> Done<bool>;
        create_key(key: NewApiKey) -> Done<()>;
        key_by_hash(hash: [u8; 32]) -> Done<Option<ApiKey>>;
        keys(environment: Option<EnvironmentId>, page: Page) -> Done<Listing<ApiKey>>;
        delete_key(id: KeyId) -> Done<bool>;
        record_notifications(notifications: Vec<NewNotification>) -> Done<Vec<Verdict>>;
        record_rejected(notifications: Vec<Notification>) -> Done<()>;
        queued_notifications(after: Seq, limit: u32) -> Done<Vec<QueuedNotification>>;
        queued_notifications_at(places: Vec<Seq>) -> Done<Vec<QueuedNotification>>;
        postpone_notification(seq: Seq, lease: Lease, due_at: Timestamp) -> Done<()>;
        settle_held(seq: Seq, lease: Lease, settled: NewNotification) -> Done<Verdict>;
        finish_notification(seq: Seq, lease: Lease, events: Vec<NewEvent>) -> Done<bool>;
        redeliver(id: DeliveryId, now: Timestamp) -> Done<Option<Delivery>>;
        notification(id: NotificationId) -> Done<Option<Notification>>;
        notifications(filter: NotificationFilter, page: Page) -> Done<Listing<Notification>>;
        event(id: EventId) -> Done<Option<Event>>;
        events(filter: EventFilter, page: Page) -> Done<Listing<Event>>;
        delivery(id: DeliveryId) -> Done<Option<Delivery>>;
        deliveries(filter: DeliveryFilter, page: Page) -> Done<Listing<Delivery>>;
        attempts(delivery: DeliveryId) -> Done<Vec<Attempt>>;
        next_signal() -> Signal;
        health() -> StoreHealth;
        check() -> Done<Vec<String>>;
        close() -> ();
    }
}
