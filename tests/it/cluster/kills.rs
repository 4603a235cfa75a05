//! kill -9 of one gateway after the other, under load.

use std::time::Duration;

use testkit::{checker, gateway::share_the_work, sequences, sequences::Sequences, wait};
use tidings_domain::Entropy;

use super::{Cluster, IN_FLIGHT};
use crate::g1_nothing_lost::{dice, rounds};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_one_node_after_the_other_loses_nothing_and_keeps_the_order_of_each_item() {
    let mut cluster = Cluster::start().await;
    // In order of its own: another tenant, whose events nobody wants delivered.
    let tenant = cluster.world.emulator.tenants[1].clone();
    let ordered = cluster.world.connect_calendar(&tenant).await;
    let dice = dice();
    let dice: &dyn Entropy = &dice;

    // The long form takes ten minutes.
    let kills = rounds(6, 110);
    let load = cluster.load();
    let sequences = Sequences::start(&cluster.world.notification_url, &ordered.subscribed);
    let mut slowest_takeover = Duration::ZERO;
    for _ in 0..kills {
        load.acknowledges(20).await;
        wait::pass(Duration::from_millis(dice.u64() % 1_500)).await;
        let victim = usize::try_from(dice.u64() % 3).expect("below 3");
        cluster.world.node(victim).kill().await;
        let took = share_the_work(&cluster.world.all_but(victim)).await;
        slowest_takeover = slowest_takeover.max(took);
        // While the others work alone, too, something new is acknowledged.
        load.acknowledges(1).await;
        cluster.world.node(victim).restart().await;
        let all: Vec<_> = cluster.world.gateways().collect();
        share_the_work(&all).await;
    }
    let acknowledged_in_order = sequences.stop().await;
    let log = load.stop().await;

    let Cluster {
        world,
        receiver,
        secret,
        ..
    } = &cluster;
    let account = checker::settle(&log.acknowledged, receiver, secret, &world.api).await;
    let in_order =
        sequences::check_order(&world.api, &ordered.connection_id, &acknowledged_in_order).await;
    println!(
        "{kills} kills of one node of three: {} acknowledged, {} lost, {} twice, {} arrived unacknowledged; {in_order} \
         events in order; slowest takeover {slowest_takeover:?} of a lease of 3 s; slowest answer {:?}; answers {:?}",
        account.acknowledged,
        account.lost.len(),
        account.duplicates,
        account.unacknowledged,
        log.slowest,
        log.statuses
    );
    account.assert_whole();
    assert!(
        account.duplicates <= kills * IN_FLIGHT,
        "{} deliveries came twice",
        account.duplicates
    );
    assert!(
        slowest_takeover < Duration::from_secs(20),
        "a takeover took {slowest_takeover:?}"
    );
    assert_eq!(world.database().deadlocks(), 0);
}
