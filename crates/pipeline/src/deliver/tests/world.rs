//! One environment with one connection, over a real store, and the stage running on it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tidings_domain::{
    Clock, Entropy, Ids, Secret, Timestamp,
    clock::ManualClock,
    config::{self, DeliverConfig},
    connection::{Connection, ConnectionIntent, ConnectionState},
    delivery::{Delivery, DeliveryState},
    entropy::SeededEntropy,
    environment::Environment,
    event::{Event, ObjectState},
    ids::{ConnectionId, DeliveryId, EnvironmentId, IntegrationId, WebhookId},
    integration::{Integration, WebhookSecret},
    notification::{Notification, Origin, Verdict},
    resource::{ChangeType, ResourceKind},
    shard::Shard,
    trigger::Trigger,
    webhook::{DisabledReason, Webhook, WebhookState, WebhookUrl},
};
use tidings_egress::{AddressPolicy, Egress};
use tidings_storage::{
    Lease, Store,
    record::{NewDelivery, NewEvent, NewNotification, Seq, WebhookChange},
    sqlite::{SqliteOptions, SqliteStore},
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use url::Url;
use uuid::Uuid;

use super::moody::{Mood, Moody};
use crate::{
    deliver::{Deliver, Hint, Parts},
    directory::{Change, Directory},
    fence::Fence,
    metrics::Metrics,
    testing::Member,
    wake::Wake,
};

const CREATED: Trigger = Trigger::Change {
    kind: ResourceKind::Event,
    change: ChangeType::Created,
};

pub(super) struct World {
    /// The store itself.
    pub(super) store: Arc<dyn Store>,
    /// What the stage sees of it.
    pub(super) mood: Mood,
    pub(super) directory: Arc<Directory>,
    pub(super) clock: ManualClock,
    pub(super) metrics: Metrics,
    pub(super) wake: Wake,
    ids: Arc<Ids>,
    hint: Hint,
    deliver: Deliver,
    environment: EnvironmentId,
    integration: IntegrationId,
    connection: ConnectionId,
    running: JoinSet<()>,
    stop: CancellationToken,
    _folder: tempfile::TempDir,
}

/// Waits until `condition` gives something, letting everything else run meanwhile.
pub(super) async fn step<T>(mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    loop {
        if let Some(met) = condition().await {
            return met;
        }
        tokio::task::yield_now().await;
    }
}

impl World {
    /// A world in which the stage runs.
    pub(super) async fn start() -> Self {
        let mut world = Self::new(|_| {}).await;
        world.run();
        world
    }

    /// A world in which it does not yet.
    pub(super) async fn new(change: impl FnOnce(&mut DeliverConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::new(Timestamp::from_millis(1_767_323_045_000));
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(3));
        let ids = Arc::new(Ids::new(Arc::clone(&shared), Arc::clone(&entropy)));
        let mut config = config::load(None, [], Vec::new()).unwrap();
        config.store.data_dir = folder.path().to_owned();
        change(&mut config.deliver);
        let options = SqliteOptions {
            store: config.store,
            ingest: config.ingest,
            clock: Arc::clone(&shared),
            entropy: Arc::clone(&entropy),
        };
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(options).await.unwrap());
        let (environment, integration, connection) = seed(&*store, &ids, clock.now()).await;
        let directory = Arc::new(Directory::load(Arc::clone(&store)).await.unwrap());
        let (metrics, hint, wake) = (Metrics::new(), Hint::new(), Wake::new());
        let policy = AddressPolicy::new(vec!["127.0.0.0/8".parse().unwrap()]);
        let mood = Mood::default();
        let deliver = Deliver::new(Parts {
            store: Arc::new(Moody::new(Arc::clone(&store), mood.clone())),
            directory: Arc::clone(&directory),
            egress: Egress::new(policy, Arc::clone(&shared)).unwrap(),
            clock: shared,
            entropy,
            ids: Arc::clone(&ids),
            metrics: metrics.deliver.clone(),
            config: config.deliver,
            hint: hint.clone(),
            wake: wake.clone(),
            fence: Fence::new(store.holdings(), metrics.nodes.clone()),
            shards: Wake::new(),
        });
        Self {
            store,
            mood,
            directory,
            clock,
            metrics,
            wake,
            ids,
            hint,
            deliver,
            environment,
            integration,
            connection,
            running: JoinSet::new(),
            stop: CancellationToken::new(),
            _folder: folder,
        }
    }

    /// The stage of another node.
    pub(super) fn on(&self, member: &Member) -> Deliver {
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        let policy = AddressPolicy::new(vec!["127.0.0.0/8".parse().unwrap()]);
        let Member {
            store,
            directory,
            metrics,
            fence,
            stages,
        } = member;
        Deliver::new(Parts {
            store: store.clone(),
            directory: Arc::clone(directory),
            egress: Egress::new(policy, Arc::clone(&clock)).unwrap(),
            clock,
            entropy: Arc::new(SeededEntropy::new(4)),
            ids: Arc::clone(&self.ids),
            metrics: metrics.deliver.clone(),
            config: config::load(None, [], Vec::new()).unwrap().deliver,
            hint: stages.deliver.clone(),
            wake: stages.deliver_any.clone(),
            fence: fence.clone(),
            shards: stages.deliver_shards.clone(),
        })
    }

    pub(super) fn run(&mut self) {
        let (deliver, stop) = (self.deliver.clone(), self.stop.clone());
        self.running.spawn(async move { deliver.run(&stop).await });
    }

    /// Ends the stage between two lines.
    pub(super) async fn crash(&mut self) {
        self.running.shutdown().await;
    }

    /// Asks the stage to end.
    pub(super) fn begin_stop(mut self) -> (Arc<dyn Store>, JoinSet<()>) {
        self.stop.cancel();
        (Arc::clone(&self.store), std::mem::take(&mut self.running))
    }

    /// Ends the stage in an orderly way.
    pub(super) async fn stop(self) {
        let (_, mut running) = self.begin_stop();
        running.join_next().await.unwrap().unwrap();
    }

    /// Lets time pass in small steps until `condition` holds. Others, like the store, wait for times of their own.
    pub(super) async fn pass_time_until(&self, condition: impl Fn() -> bool) {
        while !condition() {
            self.clock.advance(Duration::from_millis(10));
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
        }
    }

    pub(super) async fn webhook(&self, url: &str) -> Webhook {
        let webhook = Webhook {
            id: self.ids.next(),
            environment: self.environment,
            url: WebhookUrl::parse(url).unwrap(),
            description: String::new(),
            triggers: vec![CREATED],
            connections: Vec::new(),
            secret: Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
            state: WebhookState::Active,
            failing_since: None,
            created_at: self.clock.now(),
        };
        self.store.create_webhook(webhook.clone()).await.unwrap();
        let change = Change::Webhook(webhook.id);
        self.directory.refresh(change).await.unwrap();
        webhook
    }

    /// Does what the API's enabling of a webhook does.
    pub(super) async fn enable(&self, webhook: WebhookId) {
        self.set_state(webhook, WebhookState::Active).await;
    }

    /// Does what the API's disabling of a webhook does.
    pub(super) async fn disable(&self, webhook: WebhookId) {
        let state = WebhookState::Disabled {
            reason: DisabledReason::Operator,
            since: self.clock.now(),
        };
        self.set_state(webhook, state).await;
    }

    async fn set_state(&self, webhook: WebhookId, state: WebhookState) {
        let change = WebhookChange {
            state: Some(state),
            ..WebhookChange::default()
        };
        self.store.change_webhook(webhook, change).await.unwrap();
        let change = Change::Webhook(webhook);
        self.directory.refresh(change).await.unwrap();
        self.wake.wake();
    }

    /// Waits until what was begun is over: the stage has asked nothing of the store for long. The number of its reads.
    pub(super) async fn quiet(&self) -> usize {
        let (mut reads, mut still) = (self.mood.reads(), 0);
        while still < 2_000 {
            tokio::task::yield_now().await;
            still = if self.mood.reads() == reads {
                still + 1
            } else {
                0
            };
            reads = self.mood.reads();
        }
        reads
    }

    /// Makes an event for each of `webhooks`, as enrich does, and gives the deliveries in that order.
    pub(super) async fn deliver(&self, webhooks: &[WebhookId]) -> Vec<DeliveryId> {
        self.deliver_body(webhooks, r#"{"specversion":"1.0"}"#)
            .await
    }

    pub(super) async fn deliver_body(&self, webhooks: &[WebhookId], body: &str) -> Vec<DeliveryId> {
        let mut deliveries = Vec::new();
        let notifications = self.notifications(webhooks.len()).await;
        for (&webhook, (seq, notification)) in webhooks.iter().zip(notifications) {
            let id = self.ids.next();
            let event = Event {
                id: self.ids.next(),
                environment: self.environment,
                connection: self.connection,
                subscription: None,
                notification: Some(notification.id),
                trigger: CREATED,
                subject: notification.resource,
                object_state: ObjectState::Fetched,
                created_at: self.clock.now(),
                body: Bytes::from(body.to_owned()),
            };
            let new = NewEvent {
                event,
                deliveries: vec![NewDelivery { id, webhook }],
            };
            let finished = self
                .store
                .finish_notification(seq, Lease::of_the_only_node(), vec![new].into())
                .await;
            assert!(finished.unwrap());
            deliveries.push(id);
        }
        self.hint.webhooks(webhooks.iter().copied());
        deliveries
    }

    pub(super) async fn delivery(&self, id: DeliveryId) -> Delivery {
        self.store.delivery(id).await.unwrap().unwrap()
    }

    /// Waits until this many attempts are recorded.
    pub(super) async fn tried(&self, id: DeliveryId, attempts: u32) -> Delivery {
        step(async || Some(self.delivery(id).await).filter(|found| found.attempts >= attempts))
            .await
    }

    /// Waits until a delivery is delivered or dead.
    pub(super) async fn finished(&self, id: DeliveryId) -> Delivery {
        let over = |found: &Delivery| {
            matches!(found.state, DeliveryState::Delivered | DeliveryState::Dead)
        };
        step(async || Some(self.delivery(id).await).filter(over)).await
    }

    /// This many accepted notifications, with their places in the queue of enrich.
    async fn notifications(&self, count: usize) -> Vec<(Seq, Notification)> {
        let one = || NewNotification {
            notification: Notification {
                id: self.ids.next(),
                environment: self.environment,
                integration: self.integration,
                origin: Origin::Notification,
                received_at: self.clock.now(),
                verdict: Verdict::Accepted,
                connection: Some(self.connection),
                subscription: None,
                graph_subscription_id: None,
                tenant_id: None,
                change_type: Some(ChangeType::Created),
                lifecycle_event: None,
                resource: "users/u/events/e".to_owned(),
                etag: None,
                item: Bytes::from_static(b"{}"),
            },
            dedup_key: None,
            client_state_hash: None,
            due_at: self.clock.now(),
            shard: Shard::FIRST,
        };
        let new: Vec<_> = std::iter::repeat_with(one).take(count).collect();
        self.store.record_notifications(new).await.unwrap();
        let queued = self.store.queued_notifications(Seq::default(), 1_000).await;
        let queued = queued.unwrap().into_iter();
        queued
            .map(|queued| (queued.seq, queued.notification))
            .collect()
    }
}

async fn seed(
    store: &dyn Store,
    ids: &Ids,
    now: Timestamp,
) -> (EnvironmentId, IntegrationId, ConnectionId) {
    let environment = ids.environment();
    let named = Environment {
        id: environment,
        name: "prod".to_owned(),
        created_at: now,
    };
    store.create_environment(named).await.unwrap();
    let integration = Integration {
        id: ids.next(),
        environment,
        key: "mail".parse().unwrap(),
        client_id: "app".to_owned(),
        client_secret: Secret::new("app secret"),
        webhook_secret: WebhookSecret::parse("a-secret-of-enough-length").unwrap(),
        login_url: Url::parse("https://login.example").unwrap(),
        graph_url: Url::parse("https://graph.example").unwrap(),
        created_at: now,
    };
    store.create_integration(integration.clone()).await.unwrap();
    let connection = Connection {
        id: ids.next(),
        environment,
        integration: integration.id,
        tenant_id: Uuid::from_u128(1),
        state: ConnectionState::Active,
        intent: ConnectionIntent::Kept,
        created_at: now,
    };
    let id = connection.id;
    store.create_connection(connection).await.unwrap();
    (environment, integration.id, id)
}
