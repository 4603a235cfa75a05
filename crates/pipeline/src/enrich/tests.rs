use std::{future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::FutureExt as _;
use tidings_domain::{
    Clock as _, Secret, Timestamp,
    connection::{Connection, ConnectionIntent, ConnectionState},
    event::ObjectState,
    ids::{ConnectionId, EnvironmentId, IntegrationId, NotificationId, SubscriptionId, WebhookId},
    notification::{LifecycleEvent, Notification, Origin, Verdict},
    page::{Page, PageLimit},
    resource::{ChangeType, ResourceKind},
    shard::Shard,
    subscription::{Subscription, SubscriptionState},
    trigger::Trigger,
    webhook::{Webhook, WebhookState, WebhookUrl},
};
use tidings_storage::{
    Lease,
    record::{DeliveryFilter, NewNotification, QueuedNotification, Seq},
};
use tokio_util::sync::CancellationToken;
use ulid::Ulid;
use uuid::Uuid;

use super::*;
use crate::{
    directory::Change,
    testing::{Graph, Reply, Seen, TENANT, World, reply},
};

mod batches;
mod doubt;
mod events;
mod lifecycle;
mod merging;
mod nodes;
mod order;
mod throttling;

/// The connection that [`queued`] notifications are of.
pub(crate) fn connection() -> Connection {
    Connection {
        id: ConnectionId::from(Ulid(3)),
        environment: EnvironmentId(Uuid::from_u128(1)),
        integration: IntegrationId::from(Ulid(2)),
        tenant_id: Uuid::from_u128(9),
        state: ConnectionState::Active,
        intent: ConnectionIntent::Kept,
        created_at: Timestamp::from_millis(0),
    }
}

/// An accepted notification of an updated item, received at one second.
pub(crate) fn queued(seq: i64, resource: &str, due_at: i64) -> QueuedNotification {
    let connection = connection();
    QueuedNotification {
        seq: Seq(seq),
        due_at: Timestamp::from_millis(due_at),
        failures: 0,
        client_state_hash: None,
        lease: Lease::of_the_only_node(),
        notification: Notification {
            id: NotificationId::from(Ulid(u128::try_from(seq).unwrap())),
            environment: connection.environment,
            integration: connection.integration,
            origin: Origin::Notification,
            received_at: Timestamp::from_millis(1_000),
            verdict: Verdict::Accepted,
            connection: Some(connection.id),
            subscription: Some(SubscriptionId::from(Ulid(4))),
            graph_subscription_id: None,
            tenant_id: Some(connection.tenant_id),
            change_type: Some(ChangeType::Updated),
            lifecycle_event: None,
            resource: resource.to_owned(),
            etag: None,
            item: Bytes::from_static(b"{}"),
        },
    }
}

/// A world with a stage that is not running yet.
struct Stage {
    world: World,
    graph: Graph,
    enrich: Enrich,
    wake: Wake,
}

const A: &str = "users/u/events/a";
const B: &str = "users/u/events/b";

impl Stage {
    async fn new<F>(handler: impl Fn(Seen) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Reply> + Send + 'static,
    {
        Self::at(Graph::start(handler).await).await
    }

    async fn at(graph: Graph) -> Self {
        let world = World::new(&graph.url).await;
        let wake = Wake::new();
        let enrich = enrich(&world, Arc::clone(&world.store), &wake, Hint::new());
        Self {
            world,
            graph,
            enrich,
            wake,
        }
    }

    /// Queues a change of `resource`, of a subscription made by hand.
    async fn change(&self, resource: &str, change: ChangeType) -> NewNotification {
        let new = self.notification(resource, change);
        self.record(new.clone()).await;
        new
    }

    /// The same of one of ours.
    async fn managed(&self, resource: &str, change: ChangeType) {
        let mut new = self.notification(resource, change);
        new.notification.subscription = Some(self.world.ids.next());
        self.record(new).await;
    }

    fn notification(&self, resource: &str, change: ChangeType) -> NewNotification {
        let world = &self.world;
        NewNotification {
            notification: Notification {
                id: world.ids.next(),
                environment: world.environment,
                integration: world.integration,
                origin: Origin::Notification,
                received_at: world.clock.now(),
                verdict: Verdict::Accepted,
                connection: Some(world.connection),
                subscription: None,
                graph_subscription_id: None,
                tenant_id: Some(TENANT.parse().unwrap()),
                change_type: Some(change),
                lifecycle_event: None,
                resource: resource.to_owned(),
                etag: None,
                item: Bytes::from_static(b"{}"),
            },
            dedup_key: None,
            client_state_hash: None,
            due_at: world.clock.now(),
            shard: Shard::FIRST,
        }
    }

    async fn record(&self, new: NewNotification) {
        self.world
            .store
            .record_notifications(vec![new])
            .await
            .unwrap();
        self.wake.wake();
    }

    async fn webhook(&self, triggers: &[&str], connections: Vec<ConnectionId>) -> WebhookId {
        let world = &self.world;
        let webhook = Webhook {
            id: world.ids.next(),
            environment: world.environment,
            url: WebhookUrl::parse("http://127.0.0.1:9/hook").unwrap(),
            description: String::new(),
            triggers: triggers
                .iter()
                .map(|name| Trigger::parse(name).unwrap())
                .collect(),
            connections,
            secret: Secret::new("whsec_AAAA"),
            state: WebhookState::Active,
            failing_since: None,
            created_at: world.clock.now(),
        };
        let id = webhook.id;
        world.store.create_webhook(webhook).await.unwrap();
        world.directory.refresh(Change::Webhook(id)).await.unwrap();
        id
    }

    /// Runs the stage while `test` runs.
    async fn run<T>(&self, test: impl Future<Output = T>) -> T {
        let stop = CancellationToken::new();
        tokio::select! {
            () = self.enrich.run(&stop) => panic!("the stage has ended"),
            done = test => done,
        }
    }

    async fn queue_empties(&self) {
        while !self.world.queue().await.is_empty() {
            tokio::task::yield_now().await;
        }
    }

    /// Whether Graph has been asked for `count` things and has answered all.
    fn answered(&self, count: usize) -> bool {
        self.graph.calls().len() >= count && self.world.metrics.enrich.in_flight.get() == 0
    }

    /// Lets time pass once that is so and somebody waits for it.
    async fn pass(&self, span: Duration, calls: usize) {
        self.world.pass(span, || self.answered(calls)).await;
    }

    async fn calls_reach(&self, count: usize) {
        while self.graph.calls().len() < count {
            tokio::task::yield_now().await;
        }
    }
}

/// The stage over the world, with its queue in `store`.
fn enrich(world: &World, store: Arc<dyn Store>, wake: &Wake, deliver: Hint) -> Enrich {
    Enrich::new(EnrichParts {
        store,
        directory: Arc::clone(&world.directory),
        graph: world.graph.clone(),
        clock: Arc::new(world.clock.clone()),
        entropy: Arc::clone(&world.entropy),
        ids: Arc::clone(&world.ids),
        metrics: world.metrics.enrich.clone(),
        config: world.config.enrich.clone(),
        wake: wake.clone(),
        deliver,
        reconcile: Wake::new(),
        subscribe: Wake::new(),
        fence: Fence::new(world.store.holdings(), world.metrics.nodes.clone()),
        shards: Wake::new(),
        credentials: world.credentials(),
        tally: Tally::new(Arc::clone(&world.store), Arc::new(world.clock.clone())),
        finds: RecentFinds::new(world.clock.now()),
    })
}

fn object(id: &str, etag: &str) -> Reply {
    reply(
        200,
        format!(r#"{{"@odata.etag":"{etag}","id":"{id}","subject":"Lunch"}}"#),
    )
}
