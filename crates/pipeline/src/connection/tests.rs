use tidings_domain::{
    Secret, connection::ConnectionIntent, ids::SubscriptionId, resource::ResourceKind,
    shard::Shard, subscription::Subscription,
};
use tidings_storage::record::SubscriptionUpdate;

use super::*;
use crate::testing::World;

struct Bench {
    world: World,
    connections: Connections,
    row: SubscriptionId,
}

impl Bench {
    /// A connection with a subscription that Graph serves.
    async fn new() -> Self {
        let world = World::new(&"https://graph.example".parse().unwrap()).await;
        let connections = Connections::new(ConnectionParts {
            store: Arc::clone(&world.store),
            directory: Arc::clone(&world.directory),
            clock: Arc::new(world.clock.clone()),
            wake: Wake::new(),
            subscribe: Wake::new(),
            fence: Fence::new(world.store.holdings(), world.metrics.nodes.clone()),
        });
        let now = world.clock.now();
        let row = Subscription {
            id: world.ids.next(),
            environment: world.environment,
            integration: world.integration,
            connection: world.connection,
            policy: None,
            resource: "users/u/events".to_owned(),
            kind: ResourceKind::Event,
            change_types: "created".parse().unwrap(),
            state: SubscriptionState::Active,
            client_state: Secret::new("state"),
            graph_id: Some("6f2b1c33-8a0e-4d6b-9b57-0a4f5c6d7e8f".to_owned()),
            expires_at: None,
            due_at: now + Duration::from_hours(50),
            failures: 0,
            last_error: None,
            created_at: now,
            renewed_at: None,
            deliver_existing: false,
            lifecycle: None,
            patched_at: None,
            notification_url: None,
            lifecycle_url: None,
            former: None,
        };
        let id = row.id;
        world
            .store
            .create_subscription(row, Shard::FIRST)
            .await
            .unwrap();
        Self {
            world,
            connections,
            row: id,
        }
    }

    async fn want(&self, intent: ConnectionIntent) {
        let (store, now) = (&self.world.store, self.world.clock.now());
        let set = store.set_connection_intent(self.world.connection, intent, now);
        self.world
            .directory
            .change(Change::Connection(self.world.connection), set)
            .await
            .unwrap();
    }

    async fn row(&self) -> Option<Subscription> {
        self.world.store.subscription(self.row).await.unwrap()
    }

    /// Writes what the subscribe stage would write.
    async fn set(&self, state: SubscriptionState, due_at: Timestamp) {
        let row = self.row().await.unwrap();
        let update = SubscriptionUpdate {
            id: row.id,
            state,
            graph_id: row.graph_id,
            expires_at: None,
            due_at,
            failures: 0,
            last_error: None,
            renewed_at: None,
            patched_at: None,
            notification_url: None,
            lifecycle_url: None,
            former: None,
            attended: None,
            reconcile: None,
            events: Vec::new(),
        };
        self.world
            .store
            .update_subscription(update, None)
            .await
            .unwrap();
    }

    /// Looks at what is due, once.
    async fn step(&self) {
        let parts = &self.connections.parts;
        let now = self.world.clock.now();
        for due in parts.store.due_connections(now, 10).await.unwrap() {
            self.connections.turn(due).await;
        }
    }

    /// Looks again, from one due time to the next, until `ready`.
    async fn until<F: Future<Output = bool>>(&self, ready: impl Fn() -> F) {
        for _ in 0..50 {
            if ready().await {
                return;
            }
            self.step().await;
            if ready().await {
                return;
            }
            let next = self.world.store.next_due_connection().await.unwrap();
            let wait = self.world.clock.now().until(next.unwrap());
            self.world.clock.advance(wait);
        }
        panic!("it is not so yet");
    }

    async fn is_due(&self) -> bool {
        self.row().await.unwrap().due_at <= self.world.clock.now()
    }

    async fn is_gone(&self) -> bool {
        let found = self.world.store.connection(self.world.connection).await;
        found.unwrap().is_none()
    }
}

#[tokio::test]
async fn what_was_under_way_when_a_connection_was_disabled_is_told_again() {
    let bench = Bench::new().await;
    bench.step().await;
    let since = bench.world.clock.now();
    bench.want(ConnectionIntent::Disabled { since }).await;
    bench.until(|| bench.is_due()).await;
    // A renewal that had begun before ends now, and puts the row off for days.
    let later = since + Duration::from_hours(50);
    bench.set(SubscriptionState::Active, later).await;
    bench.until(|| bench.is_due()).await;
    assert!(bench.world.clock.now() < since + Duration::from_mins(5));
    let later = bench.world.clock.now() + Duration::from_hours(6);
    bench.set(SubscriptionState::Disabled, later).await;
    bench.want(ConnectionIntent::Kept).await;
    bench.step().await;
    assert!(bench.is_due().await);
    assert_eq!(bench.row().await.unwrap().state, SubscriptionState::Pending);
}

#[tokio::test]
async fn a_connection_goes_when_nothing_of_it_is_left() {
    let bench = Bench::new().await;
    let since = bench.world.clock.now();
    bench.want(ConnectionIntent::Deleting { since }).await;
    bench.step().await;
    assert_eq!(
        bench.row().await.unwrap().state,
        SubscriptionState::Deleting
    );
    bench.world.clock.advance(Duration::from_mins(1));
    bench.step().await;
    assert!(!bench.is_gone().await);
    let store = &bench.world.store;
    store.delete_subscription(bench.row).await.unwrap();
    bench.until(|| bench.is_gone()).await;
    assert!(
        bench
            .world
            .directory
            .connection(bench.world.connection)
            .is_none()
    );
    assert!(store.connection(bench.world.other).await.unwrap().is_some());
}

#[tokio::test]
async fn a_disabled_connection_goes_with_the_rows_that_wait() {
    let bench = Bench::new().await;
    let now = bench.world.clock.now();
    bench
        .set(SubscriptionState::Disabled, now + Duration::from_hours(6))
        .await;
    bench.want(ConnectionIntent::Deleting { since: now }).await;
    bench.until(|| bench.is_gone()).await;
    assert_eq!(bench.row().await, None);
}
