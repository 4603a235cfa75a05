//! Stores over another one, for tests that change what some verbs do.

/// What the verbs are made of, for whoever uses [`store_over`].
pub(crate) mod verbs {
    pub(crate) use async_trait::async_trait;
    pub(crate) use tidings_domain::{
        Timestamp,
        completeness::{Completeness, Counted, Day, DayCounts},
        connection::{Connection, ConnectionIntent, ConnectionState},
        delivery::{Attempt, Delivery},
        environment::Environment,
        event::Event,
        ids::{
            ConnectionId, DeliveryId, EnvironmentId, EventId, IntegrationId, KeyId, NotificationId,
            PolicyId, SubscriptionId, WebhookId,
        },
        integration::{Integration, IntegrationKey},
        key::ApiKey,
        notification::{Notification, Verdict},
        page::{Listing, Page},
        policy::Policy,
        reconcile::{Reconcile, ReconcileScope},
        shard::Shard,
        subscription::Subscription,
        webhook::Webhook,
    };
    pub(crate) use tidings_storage::{
        CompletenessStore, ConfiguredStore, Holdings, Lease, PolicyStore, ReconcileStore, Signal,
        Store, StoreError,
        record::{
            AskReconcile, AttemptResult, DeliveryFilter, DueConnection, DueDelivery, DueExpansion,
            DueReconcile, DueSubscription, EventFilter, Expanded, ExpansionUpdate, KeyedHash,
            KnownItem, NewApiKey, NewEvent, NewNotification, NotificationFilter, Outcome,
            PolicyProgress, QueuedNotification, ReconcilePage, ReconcileUpdate, Seq, Settled,
            StoreHealth, SubscriptionFilter, SubscriptionUpdate, WebhookChange,
        },
    };

    pub(crate) type Done<T> = Result<T, StoreError>;
}

/// Implements the store's traits for a type: verbs of its own, and the others passed on to its member `inner`. Those that are work
/// are passed on only if they are named.
macro_rules! store_over {
    ($over:ty { $($own:tt)* } passed { $($passed:tt)* }) => {
        store_over! {
            @all Store, $over {
                $($own)*
                fn hash_client_state(&self, client_state: &str) -> KeyedHash {
                    self.inner.hash_client_state(client_state)
                }
            }
            $($passed)*
            subscription(id: SubscriptionId) -> Done<Option<Subscription>>;
            subscriptions(environment: Option<EnvironmentId>, connection: Option<ConnectionId>, page: Page)
                -> Done<Listing<Subscription>>;
            delete_subscription(id: SubscriptionId) -> Done<bool>;
            hasten_subscriptions_sent_elsewhere(
                integration: IntegrationId, notification_url: &str, due_at: Timestamp, limit: u32
            ) -> Done<u64>;
            create_webhook(webhook: Webhook) -> Done<()>;
            webhooks(environment: Option<EnvironmentId>, page: Page) -> Done<Listing<Webhook>>;
            delete_webhook(id: WebhookId) -> Done<bool>;
            record_rejected(notifications: Vec<Notification>) -> Done<()>;
            notification(id: NotificationId) -> Done<Option<Notification>>;
            notifications(filter: NotificationFilter, page: Page) -> Done<Listing<Notification>>;
            event(id: EventId) -> Done<Option<Event>>;
            events(filter: EventFilter, page: Page) -> Done<Listing<Event>>;
            delivery(id: DeliveryId) -> Done<Option<Delivery>>;
            deliveries(filter: DeliveryFilter, page: Page) -> Done<Listing<Delivery>>;
            attempts(delivery: DeliveryId) -> Done<Vec<Attempt>>;
            health() -> StoreHealth;
            check() -> Done<Vec<String>>;
            close() -> ();
        }
        store_over! {
            @all ConfiguredStore, $over {}
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
            set_connection_state(id: ConnectionId, state: ConnectionState, at: Timestamp, events: Vec<NewEvent>) -> Done<()>;
            set_connection_intent(id: ConnectionId, intent: ConnectionIntent, now: Timestamp)
                -> Done<Option<Connection>>;
            due_connections(now: Timestamp, limit: u32) -> Done<Vec<DueConnection>>;
            next_due_connection() -> Done<Option<Timestamp>>;
            settle_connection(id: ConnectionId, now: Timestamp, limit: u32, lease: Lease) -> Done<Settled>;
            put_off_connection(
                id: ConnectionId, seen: Timestamp, due_at: Timestamp, listed_at: Option<Timestamp>, lease: Lease
            ) -> Done<()>;
            delete_connection(id: ConnectionId) -> Done<bool>;
            create_key(key: NewApiKey) -> Done<()>;
            key_by_hash(hash: [u8; 32]) -> Done<Option<ApiKey>>;
            keys(environment: Option<EnvironmentId>, page: Page) -> Done<Listing<ApiKey>>;
            delete_key(id: KeyId) -> Done<bool>;
        }
        store_over! {
            @all CompletenessStore, $over {}
            count_changes(counted: Vec<Counted>) -> Done<()>;
            completeness(which: SubscriptionFilter, from: Day) -> Done<Completeness>;
            counted_days(these: Vec<SubscriptionId>, from: Day) -> Done<Vec<DayCounts>>;
            forget_days(before: Day, limit: u32) -> Done<u64>;
        }
        store_over! {
            @all PolicyStore, $over {}
            create_policy(policy: Policy) -> Done<()>;
            policy(id: PolicyId) -> Done<Option<Policy>>;
            policies(environment: Option<EnvironmentId>, page: Page) -> Done<Listing<Policy>>;
            policy_progress(id: PolicyId) -> Done<PolicyProgress>;
            delete_policy(id: PolicyId, now: Timestamp) -> Done<bool>;
            make_expansions(now: Timestamp) -> Done<u64>;
            due_expansions(now: Timestamp, limit: u32) -> Done<Vec<DueExpansion>>;
            next_due_expansion() -> Done<Option<Timestamp>>;
            record_expansion(update: ExpansionUpdate, lease: Lease) -> Done<Expanded>;
            retire_expanded(
                policy: PolicyId, connection: ConnectionId, enumeration: u64, now: Timestamp, limit: u32, lease: Lease
            ) -> Done<u64>;
            end_expansion(policy: PolicyId, connection: ConnectionId, lease: Lease) -> Done<()>;
        }
        store_over! {
            @all ReconcileStore, $over {}
            due_reconciles(now: Timestamp, limit: u32) -> Done<Vec<DueReconcile>>;
            next_due_reconcile() -> Done<Option<Timestamp>>;
            reconcile(id: SubscriptionId) -> Done<Option<Reconcile>>;
            ask_reconcile(which: SubscriptionFilter, ask: AskReconcile) -> Done<u64>;
            reconcile_scopes(id: SubscriptionId) -> Done<Vec<ReconcileScope>>;
            known_items(id: SubscriptionId, items: Vec<String>) -> Done<Vec<KnownItem>>;
            items_not_shown(id: SubscriptionId, scope: String, enumeration: u64, after: String, limit: u32)
                -> Done<Vec<KnownItem>>;
            record_reconcile_page(page: ReconcilePage, lease: Lease) -> Done<()>;
            update_reconcile(update: ReconcileUpdate, lease: Lease) -> Done<()>;
            reconciles(after: Option<SubscriptionId>, limit: u32) -> Done<Vec<Reconcile>>;
            suspect_silence(id: SubscriptionId, since: Timestamp, ask: AskReconcile) -> Done<bool>;
            tell_silence(id: SubscriptionId, patience: u32, events: Vec<NewEvent>) -> Done<bool>;
            end_silence(id: SubscriptionId) -> Done<()>;
            answer_absence(since: Timestamp) -> Done<()>;
            note_alive(now: Timestamp, long: std::time::Duration) -> Done<Option<Timestamp>>;
        }
    };
    (@all $face:ident, $over:ty { $($own:tt)* } $($verb:ident($($name:ident: $type:ty),*) -> $out:ty;)*) => {
        #[async_trait]
        impl $face for $over {
            $($own)*
            $(async fn $verb(&self, $($name: $type),*) -> $out {
                self.inner.$verb($($name),*).await
            })*
        }
    };
}

pub(crate) use store_over;
