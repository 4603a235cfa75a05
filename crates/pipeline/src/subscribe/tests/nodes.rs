//! Several nodes over one store.

use tidings_domain::shard::ShardSet;

use super::*;
use crate::testing::{Cluster, Member};

/// The stage of another node.
fn on(member: &Member, stage: &Stage) -> Subscribe {
    let world = &stage.world;
    Subscribe::new(SubscribeParts {
        store: member.store.clone(),
        directory: Arc::clone(&member.directory),
        graph: world.graph.clone(),
        clock: Arc::new(world.clock.clone()),
        entropy: Arc::clone(&world.entropy),
        ids: Arc::clone(&world.ids),
        metrics: member.metrics.subscribe.clone(),
        config: world.config.subscribe.clone(),
        public_url: "https://tidings.example/base".parse().unwrap(),
        wake: member.stages.subscribe.clone(),
        fence: member.fence.clone(),
        credentials: world.credentials(),
        deliver: Hint::new(),
        reconcile: member.stages.reconcile.clone(),
    })
}

/// Lets time pass while `test` runs: little at a time, since the store waits for times of its own.
async fn time_passes<T>(stage: &Stage, test: impl Future<Output = T>) -> T {
    stage.patiently(Duration::from_millis(500), test).await
}

#[tokio::test]
async fn a_wish_on_another_node_is_served_by_the_one_whose_row_it_is() {
    let stage = Stage::new().await;
    let cluster = Cluster::new();
    let (store, clock) = (&stage.world.store, &stage.world.clock);
    let holder = cluster.join(store, clock).await;
    let asked = cluster.join(store, clock).await;
    cluster.give(&holder.store, ShardSet::ALL);
    let (holding, asking) = (on(&holder, &stage), on(&asked, &stage));
    let stop = CancellationToken::new();
    let test = time_passes(&stage, async {
        let new = NewSubscription {
            environment: None,
            connection: stage.world.connection,
            resource: RESOURCE.to_owned(),
            change_types: "created".parse().unwrap(),
            deliver_existing: false,
        };
        let row = asking.request(new).await.unwrap();
        assert_eq!(row.state, SubscriptionState::Active);
        let graph_id = row.graph_id.unwrap();
        for member in [&holder, &asked] {
            let known = member.directory.subscription_by_graph_id(&graph_id);
            assert_eq!(known.unwrap().id, row.id);
        }
        assert_eq!(stage.methods(), ["POST"]);

        assert!(asking.delete(row.id).await.unwrap());
        assert!(
            stage
                .world
                .store
                .subscription(row.id)
                .await
                .unwrap()
                .is_none()
        );
        assert!(asked.directory.subscription(row.id).is_none());
        assert_eq!(stage.methods(), ["POST", "DELETE"]);
    });
    let signals = [&holder, &asked].map(Member::signals);
    tokio::select! {
        () = holding.run(&stop) => panic!("the stage has ended"),
        () = signals[0].run(&stop) => panic!("the signals have ended"),
        () = signals[1].run(&stop) => panic!("the signals have ended"),
        () = test => {}
    }
}

#[tokio::test]
async fn a_wish_that_nobody_serves_is_answered_as_it_is_and_kept() {
    let stage = Stage::new().await;
    let cluster = Cluster::new();
    let asked = cluster.join(&stage.world.store, &stage.world.clock).await;
    let new = NewSubscription {
        environment: None,
        connection: stage.world.connection,
        resource: RESOURCE.to_owned(),
        change_types: "created".parse().unwrap(),
        deliver_existing: false,
    };
    let asking = on(&asked, &stage);
    let asked = Box::pin(asking.request(new));
    let row = time_passes(&stage, asked).await.unwrap();
    assert_eq!(row.state, SubscriptionState::Pending);
    assert_eq!(stage.methods(), [""; 0]);
    // Whoever gets its shard takes it up.
    stage
        .run(stage.until(row.id, |now| now.state == SubscriptionState::Active))
        .await;
}

#[tokio::test]
async fn a_wish_to_remove_outlives_what_was_under_way_for_the_row() {
    let stage = Stage::new().await;
    let row = stage.request(RESOURCE, "created").await.unwrap();
    let cluster = Cluster::new();
    let (store, clock) = (&stage.world.store, &stage.world.clock);
    let holder = cluster.join(store, clock).await;
    cluster.give(&holder.store, ShardSet::ALL);
    let holding = on(&holder, &stage);
    // What the holder has done for the row as it was, and is about to record.
    let before = unchanged(&stage.row(row.id).await);
    let wish = SubscriptionUpdate {
        state: SubscriptionState::Deleting,
        ..before.clone()
    };
    store.update_subscription(wish, None).await.unwrap();
    holding.record(before, None).await.unwrap();
    let now = stage.row(row.id).await;
    assert_eq!(now.state, SubscriptionState::Deleting);
    assert!(now.due_at <= clock.now());
}

#[tokio::test]
async fn a_row_of_another_node_is_not_recorded_and_is_not_asked_for_again() {
    let stage = Stage::new().await;
    let row = stage.request(RESOURCE, "created").await.unwrap();
    let cluster = Cluster::new();
    let (store, clock) = (&stage.world.store, &stage.world.clock);
    let first = cluster.join(store, clock).await;
    let second = cluster.join(store, clock).await;
    cluster.give(&first.store, ShardSet::ALL);
    clock.advance(clock.now().until(row.due_at));
    let due = first
        .store
        .due_subscriptions(clock.now(), 10)
        .await
        .unwrap();
    let lease = due[0].lease;
    cluster.give_behind_its_back(&second.store, ShardSet::ALL);
    let stale = on(&first, &stage);
    for _ in 0..3 {
        let acted = stale.act_if_due(row.id, lease, Company::none());
        let error = acted.await.unwrap_err();
        assert!(matches!(error, StoreError::Fenced { .. }), "{error}");
    }
    // It asked before it knew, and never after.
    assert_eq!(stage.methods(), ["POST", "PATCH"]);
    assert_eq!(stage.row(row.id).await, row);
    assert!(first.counted("tidings_nodes_fenced_total{stage=\"subscribe\"} 1"));
}
