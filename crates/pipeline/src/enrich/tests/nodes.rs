//! Several nodes over one store.

use std::{
    future::ready,
    sync::atomic::{AtomicUsize, Ordering},
};

use tidings_domain::{event::Event, shard::ShardSet};
use tokio::sync::Semaphore;

use super::*;
use crate::{
    ingest::shard,
    testing::{Cluster, Member},
};

/// The stage of a node that asks for one thing at a time.
fn on(member: &Member, world: &World) -> Enrich {
    let config = EnrichConfig {
        concurrency: 1,
        batch: 1,
        coalesce: Vec::new(),
        ..world.config.enrich.clone()
    };
    Enrich::new(EnrichParts {
        store: member.store.clone(),
        directory: Arc::clone(&member.directory),
        graph: world.graph.clone(),
        clock: Arc::new(world.clock.clone()),
        entropy: Arc::clone(&world.entropy),
        ids: Arc::clone(&world.ids),
        metrics: member.metrics.enrich.clone(),
        config,
        wake: member.stages.enrich.clone(),
        deliver: Hint::new(),
        reconcile: Wake::new(),
        subscribe: Wake::new(),
        fence: member.fence.clone(),
        shards: member.stages.enrich_shards.clone(),
        credentials: world.credentials(),
        tally: Tally::new(Arc::clone(&world.store), Arc::new(world.clock.clone())),
        finds: RecentFinds::new(world.clock.now()),
    })
}

/// Runs the stages of `members` while `test` runs.
async fn run<T>(stage: &Stage, members: [&Member; 2], test: impl Future<Output = T>) -> T {
    let stop = CancellationToken::new();
    let stages = members.map(|member| on(member, &stage.world));
    let signals = members.map(Member::signals);
    tokio::select! {
        () = stages[0].run(&stop) => panic!("the stage has ended"),
        () = stages[1].run(&stop) => panic!("the stage has ended"),
        () = signals[0].run(&stop) => panic!("the signals have ended"),
        () = signals[1].run(&stop) => panic!("the signals have ended"),
        done = test => done,
    }
}

/// The same with a second node whose stage does not run.
async fn run_first<T>(
    stage: &Stage,
    first: &Member,
    second: &Member,
    test: impl Future<Output = T>,
) -> T {
    let stop = CancellationToken::new();
    let running = on(first, &stage.world);
    let signals = [first, second].map(Member::signals);
    tokio::select! {
        () = running.run(&stop) => panic!("the stage has ended"),
        () = signals[0].run(&stop) => panic!("the signals have ended"),
        () = signals[1].run(&stop) => panic!("the signals have ended"),
        done = test => done,
    }
}

/// Runs the stage of `member` while `test` runs. It is not told of what happens.
async fn run_unheard<T>(stage: &Stage, member: &Member, test: impl Future<Output = T>) -> T {
    let stop = CancellationToken::new();
    let running = on(member, &stage.world);
    tokio::select! {
        () = running.run(&stop) => panic!("the stage has ended"),
        done = test => done,
    }
}

async fn two(stage: &Stage) -> (Cluster, Member, Member) {
    let cluster = Cluster::new();
    let world = &stage.world;
    let first = cluster.join(&world.store, &world.clock).await;
    let second = cluster.join(&world.store, &world.clock).await;
    (cluster, first, second)
}

/// A stage whose Graph answers once the gate lets it.
async fn gated() -> (Stage, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let stage = Stage::new(move |_| {
        let held = Arc::clone(&held);
        async move {
            held.acquire().await.unwrap().forget();
            object("x", "1")
        }
    })
    .await;
    (stage, gate)
}

const FENCED: &str = "tidings_nodes_fenced_total{stage=\"enrich\"} 1";

/// What the events of one item say, in their order.
fn changes_of_a(events: &[Event]) -> Vec<ChangeType> {
    let of_a = events.iter().filter(|event| event.subject == A);
    of_a.map(|event| event.trigger.change().unwrap()).collect()
}

async fn counted(member: &Member, line: &str) {
    while !member.counted(line) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn each_node_works_on_its_own_shards_and_once() {
    let stage = Stage::new(|_| ready(object("x", "1"))).await;
    let (cluster, first, second) = two(&stage).await;
    for number in 0..40 {
        let resource = format!("users/u{}/events/{number}", number % 20);
        stage.managed(&resource, ChangeType::Updated).await;
    }
    let half = ShardSet::from_bits(0x5555_5555_5555_5555);
    let queue = stage.world.queue().await;
    let of_first = queue
        .iter()
        .filter(|one| half.contains(shard::of(&one.notification)))
        .count();
    assert!((1..40).contains(&of_first), "{of_first}");
    run(&stage, [&first, &second], async {
        // Nobody holds anything: nothing is done.
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
        assert_eq!(stage.graph.calls().len(), 0);
        cluster.give(&first.store, half);
        stage.world.events_reach(of_first).await;
        cluster.give(&second.store, ShardSet::ALL.without(half));
        stage.world.events_reach(40).await;
        // The store shows the last ones again and again; and the other node is told of what this one records.
        for number in 40..60 {
            let new = stage.notification(&format!("users/u{number}/events/x"), ChangeType::Updated);
            first.store.record_notifications(vec![new]).await.unwrap();
            first.stages.enrich.wake();
        }
        stage.world.events_reach(60).await;
    })
    .await;
    assert_eq!(stage.graph.calls().len(), 60);
}

#[tokio::test]
async fn what_a_node_had_in_memory_is_done_by_the_one_that_took_its_shards_over() {
    let (stage, gate) = gated().await;
    let (cluster, first, second) = two(&stage).await;
    for change in [
        ChangeType::Created,
        ChangeType::Updated,
        ChangeType::Updated,
    ] {
        stage.managed(A, change).await;
    }
    for number in 0..10 {
        stage
            .managed(&format!("users/u{number}/events/b"), ChangeType::Updated)
            .await;
    }
    cluster.give(&first.store, ShardSet::ALL);
    run(&stage, [&first, &second], async {
        stage.calls_reach(1).await;
        cluster.give(&second.store, ShardSet::ALL);
        stage.calls_reach(2).await;
        gate.add_permits(100);
        let events = stage.world.events_reach(13).await;
        let of_a: Vec<_> = events.iter().filter(|event| event.subject == A).collect();
        let told: Vec<_> = of_a
            .iter()
            .map(|event| event.trigger.change().unwrap())
            .collect();
        assert_eq!(
            told,
            [
                ChangeType::Created,
                ChangeType::Updated,
                ChangeType::Updated
            ]
        );
        counted(&first, FENCED).await;
        assert!(stage.world.queue().await.is_empty());
    })
    .await;
    // Only what was under way was asked for twice.
    assert_eq!(stage.graph.calls().len(), 14);
}

#[tokio::test]
async fn a_node_that_gets_its_shards_back_does_again_what_it_lost_and_in_order() {
    let (stage, gate) = gated().await;
    let (cluster, first, second) = two(&stage).await;
    for change in [ChangeType::Created, ChangeType::Updated] {
        stage.managed(A, change).await;
    }
    stage.managed(A, ChangeType::Deleted).await;
    cluster.give(&first.store, ShardSet::ALL);
    run_first(&stage, &first, &second, async {
        stage.calls_reach(1).await;
        // The second one had them for a moment, and did nothing.
        cluster.give(&second.store, ShardSet::ALL);
        cluster.give(&first.store, ShardSet::ALL);
        gate.add_permits(100);
        counted(&first, FENCED).await;
        stage.world.pass(Duration::from_secs(1), || true).await;
        let events = stage.world.events_reach(3).await;
        let told: Vec<_> = events
            .iter()
            .map(|event| event.trigger.change().unwrap())
            .collect();
        assert_eq!(
            told,
            [
                ChangeType::Created,
                ChangeType::Updated,
                ChangeType::Deleted
            ]
        );
    })
    .await;
}

#[tokio::test]
async fn a_young_item_of_a_shard_that_has_just_come_does_not_go_before_its_older_ones() {
    let stage = Stage::new(|_| ready(object("x", "1"))).await;
    let (cluster, first, _second) = two(&stage).await;
    let of_a = shard::of(&stage.notification(A, ChangeType::Created).notification);
    let others = ShardSet::ALL.without(std::iter::once(of_a).collect());
    stage.managed(A, ChangeType::Created).await;
    // So many others that the store does not come back to it.
    for number in 0..5 {
        let resource = format!("users/u{number}/events/b");
        stage.managed(&resource, ChangeType::Deleted).await;
    }
    cluster.give(&first.store, others);
    run_unheard(&stage, &first, async {
        stage.world.events_reach(5).await;
        // The store shows its items from now on. That it has come is not heard yet.
        cluster.give(&first.store, ShardSet::ALL);
        stage.managed(A, ChangeType::Deleted).await;
        first.stages.enrich.wake();
        while stage.world.events().await.len() == 5 {
            tokio::task::yield_now().await;
        }
        first.stages.enrich_shards.wake();
        let events = stage.world.events_reach(7).await;
        assert_eq!(
            changes_of_a(&events),
            [ChangeType::Created, ChangeType::Deleted]
        );
    })
    .await;
    // Hearing of it made nothing twice.
    assert_eq!(stage.graph.calls().len(), 1);
}

#[tokio::test]
async fn an_item_that_was_not_shown_while_its_shard_was_away_keeps_its_place() {
    let asked = AtomicUsize::new(0);
    let stage = Stage::new(move |_| {
        ready(match asked.fetch_add(1, Ordering::SeqCst) {
            0 => reply(503, ""),
            _ => object("x", "1"),
        })
    })
    .await;
    let (cluster, first, second) = two(&stage).await;
    for change in [ChangeType::Created, ChangeType::Deleted] {
        stage.managed(A, change).await;
    }
    cluster.give(&first.store, ShardSet::ALL);
    run_unheard(&stage, &first, async {
        while stage.world.queue().await[0].failures == 0 {
            tokio::task::yield_now().await;
        }
        // It is read again when it is due, and none of that is heard of before then.
        let (clock, span) = (&stage.world.clock, Duration::from_secs(2));
        let is_put_off = || clock.next_wake().is_some_and(|wait| wait <= span);
        while !is_put_off() {
            tokio::task::yield_now().await;
        }
        cluster.give(&second.store, ShardSet::ALL);
        clock.advance(span);
        while first.store.read_again() == 0 {
            tokio::task::yield_now().await;
        }
        cluster.give(&first.store, ShardSet::ALL);
        first.stages.enrich.wake();
        while stage.world.events().await.is_empty() {
            // It waits some time more, or has been read anew.
            if is_put_off() {
                clock.advance(span);
            }
            tokio::task::yield_now().await;
        }
        first.stages.enrich_shards.wake();
        let events = stage.world.events_reach(2).await;
        assert_eq!(
            changes_of_a(&events),
            [ChangeType::Created, ChangeType::Deleted]
        );
    })
    .await;
}

#[tokio::test]
async fn a_node_that_does_not_know_that_it_has_lost_its_shards_records_nothing_and_stops() {
    let (stage, gate) = gated().await;
    let (cluster, first, second) = two(&stage).await;
    for number in 0..10 {
        stage
            .managed(&format!("users/u{number}/events/b"), ChangeType::Updated)
            .await;
    }
    cluster.give(&first.store, ShardSet::ALL);
    run_first(&stage, &first, &second, async {
        stage.calls_reach(1).await;
        cluster.give_behind_its_back(&second.store, ShardSet::ALL);
        gate.add_permits(1_000);
        counted(&first, FENCED).await;
        for _ in 0..20 {
            stage.world.clock.advance(Duration::from_secs(1));
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
        }
    })
    .await;
    // One for each shard at most: it then knows better.
    assert!(
        stage.graph.calls().len() <= 10,
        "{}",
        stage.graph.calls().len()
    );
    assert!(stage.world.events().await.is_empty());
    assert_eq!(stage.world.queue().await.len(), 10);
}
