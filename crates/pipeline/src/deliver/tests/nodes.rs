//! Several nodes over one store.

use tidings_domain::shard::{Shard, ShardSet};
use tokio_util::sync::CancellationToken;

use super::{world::World, *};
use crate::{
    deliver::Deliver,
    testing::{Cluster, Member},
};

/// Runs the stages of `members` while `test` runs.
async fn run<T>(world: &World, members: [&Member; 2], test: impl Future<Output = T>) -> T {
    let stop = CancellationToken::new();
    let stages: [Deliver; 2] = members.map(|member| world.on(member));
    let signals = members.map(Member::signals);
    tokio::select! {
        () = stages[0].run(&stop) => panic!("the stage has ended"),
        () = stages[1].run(&stop) => panic!("the stage has ended"),
        () = signals[0].run(&stop) => panic!("the signals have ended"),
        () = signals[1].run(&stop) => panic!("the signals have ended"),
        done = test => done,
    }
}

async fn two(world: &World) -> (Cluster, Member, Member) {
    let cluster = Cluster::new();
    let first = cluster.join(&world.store, &world.clock).await;
    let second = cluster.join(&world.store, &world.clock).await;
    (cluster, first, second)
}

/// Answers the first `held` requests when it is told to, and the others at once.
async fn receiver(held: usize) -> Receiver {
    Receiver::start(move |number| {
        if number <= held {
            Reply::WhenTold(ok_bytes())
        } else {
            ok()
        }
    })
    .await
}

fn ok_bytes() -> Vec<u8> {
    b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec()
}

#[tokio::test]
async fn a_webhook_is_sent_to_by_the_node_that_has_its_shard() {
    let mut receiver = receiver(0).await;
    let world = World::new(|_| {}).await;
    let (cluster, first, second) = two(&world).await;
    let webhook = world.webhook(&receiver.url()).await.id;
    let shard: ShardSet = [Shard::of_webhook(webhook)].into_iter().collect();
    cluster.give(&first.store, ShardSet::ALL.without(shard));
    cluster.give(&second.store, shard);
    run(&world, [&first, &second], async {
        for member in [&first, &second] {
            let change = crate::directory::Change::Webhook(webhook);
            member.directory.refresh(change).await.unwrap();
        }
        let deliveries = world.deliver(&[webhook; 20]).await;
        // Both are told.
        first.stages.deliver.webhooks([webhook]);
        second.stages.deliver.webhooks([webhook]);
        for delivery in deliveries {
            world.finished(delivery).await;
        }
        receiver.next().await;
    })
    .await;
    assert_eq!(receiver.requests(), 20);
    let all = "tidings_deliver_attempts_total{result=\"success\"} 20";
    assert!(second.counted(all) && !first.counted(all));
}

#[tokio::test]
async fn what_a_node_had_in_memory_goes_out_from_the_one_that_took_its_shards_over() {
    // Eight at a time to one webhook: they are under way when the shards change.
    let mut receiver = receiver(8).await;
    let world = World::new(|_| {}).await;
    let (cluster, first, second) = two(&world).await;
    let webhook = world.webhook(&receiver.url()).await.id;
    let deliveries = world.deliver(&[webhook; 30]).await;
    for member in [&first, &second] {
        let change = crate::directory::Change::Webhook(webhook);
        member.directory.refresh(change).await.unwrap();
    }
    cluster.give(&first.store, ShardSet::ALL);
    run(&world, [&first, &second], async {
        for _ in 0..8 {
            receiver.next().await;
        }
        cluster.give(&second.store, ShardSet::ALL);
        for &delivery in &deliveries {
            let found = world.finished(delivery).await;
            assert_eq!((found.state, found.attempts), (DeliveryState::Delivered, 1));
        }
        receiver.tell(8);
        let fenced = "tidings_nodes_fenced_total{stage=\"deliver\"} 8";
        step(async || first.counted(fenced).then_some(())).await;
    })
    .await;
    // Only what was under way was sent twice, and nothing of it was recorded twice.
    assert_eq!(receiver.requests(), 38);
    for delivery in deliveries {
        assert_eq!(world.store.attempts(delivery).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_node_that_does_not_know_that_it_has_lost_its_shards_records_nothing_and_stops() {
    let mut receiver = receiver(8).await;
    let world = World::new(|_| {}).await;
    let (cluster, first, second) = two(&world).await;
    let webhook = world.webhook(&receiver.url()).await.id;
    let deliveries = world.deliver(&[webhook; 30]).await;
    let change = crate::directory::Change::Webhook(webhook);
    first.directory.refresh(change).await.unwrap();
    cluster.give(&first.store, ShardSet::ALL);
    run(&world, [&first, &second], async {
        for _ in 0..8 {
            receiver.next().await;
        }
        // The second one sends nothing: it does not know of the webhook. The first one still believes.
        cluster.give_behind_its_back(&second.store, ShardSet::ALL);
        receiver.tell(8);
        // Some more may be sent between the first answer and its refusal.
        let fenced = "tidings_nodes_fenced_total{stage=\"deliver\"}";
        step(async || (first.count(fenced) >= 8).then_some(())).await;
        // However often it looks: under this lease it sends nothing any more.
        let sent = receiver.requests();
        for _ in 0..20 {
            world.clock.advance(SECOND);
            first.stages.deliver_any.wake();
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
        }
        assert!(receiver.requests() - sent <= 8, "{}", receiver.requests());
        for &delivery in &deliveries {
            assert_eq!(world.delivery(delivery).await.state, DeliveryState::Pending);
        }
        // Once the shards are its own again, all goes out.
        cluster.give(&first.store, ShardSet::ALL);
        for &delivery in &deliveries {
            let found = world.finished(delivery).await;
            assert_eq!((found.state, found.attempts), (DeliveryState::Delivered, 1));
        }
    })
    .await;
}
