//! SIGTERM for one gateway: what it worked on goes to the others at once, not when its lease is over.

use std::time::Duration;

use testkit::{checker, gateway::share_the_work};

use super::Cluster;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_leaves_hands_its_work_over_at_once_and_one_that_comes_gets_its_share() {
    let mut cluster = Cluster::start().await;
    for place in 0..3 {
        let node = cluster.world.node(place);
        // Longer than the test waits for anything.
        node.change(|settings| settings.with("TIDINGS__POSTGRES__LEASE", "5m"));
        node.terminate().await;
        node.restart().await;
    }
    let all: Vec<_> = cluster.world.gateways().collect();
    share_the_work(&all).await;

    let load = cluster.load();
    let mut slowest = Duration::ZERO;
    for place in 0..3 {
        load.acknowledges(20).await;
        let status = cluster.world.node(place).terminate().await;
        assert_eq!(status.code(), Some(0));
        slowest = slowest.max(share_the_work(&cluster.world.all_but(place)).await);
        cluster.world.node(place).restart().await;
        let all: Vec<_> = cluster.world.gateways().collect();
        share_the_work(&all).await;
    }
    let log = load.stop().await;
    let account = checker::settle(
        &log.acknowledged,
        &cluster.receiver,
        &cluster.secret,
        &cluster.world.api,
    )
    .await;
    println!(
        "3 nodes left: {} acknowledged, {} lost, {} twice; slowest handover {slowest:?} of leases of 5 min",
        account.acknowledged,
        account.lost.len(),
        account.duplicates
    );
    account.assert_whole();
    assert_eq!(
        account.duplicates, 0,
        "the receiver answered every attempt at once"
    );
    assert_eq!(cluster.world.database().deadlocks(), 0);
}
