//! The database goes away and comes back, under load.

use std::time::Duration;

use testkit::{api::Http, checker, load::Load, wait};
use tokio::task::block_in_place;

use super::{Cluster, IN_FLIGHT};
use crate::g1_nothing_lost::rounds;

/// After so long Graph gives an answer up.
const GRAPH_GIVES_UP: Duration = Duration::from_secs(10);

/// What a promise of five seconds is held to on a busy machine.
const RESUMED: Duration = Duration::from_mins(1);

/// How long it took, after the database was back, until something was acknowledged, and until something arrived.
async fn resumed(cluster: &Cluster, load: &Load) -> (Duration, Duration) {
    let back = wait::now();
    let arrived = cluster.receiver.count();
    load.acknowledges(1).await;
    let acknowledging = wait::now().saturating_sub(back);
    cluster.receiver.wait_for(arrived + 1).await;
    (acknowledging, wait::now().saturating_sub(back))
}

/// What every node still answers: a handshake, that it lives, and that it is not ready. Gives the slowest answer.
async fn without_the_database(cluster: &Cluster) -> Duration {
    let http = Http::new();
    let mut slowest = Duration::ZERO;
    for node in cluster.world.gateways() {
        let path = cluster.world.notification_url.path();
        let handshake = format!("{path}?validationToken=still%20here");
        let asked = [
            ("POST", handshake.as_str(), 200, "still here"),
            ("GET", "/healthz", 200, "alive"),
            ("GET", "/readyz", 503, "not_ready"),
        ];
        for (method, path, status, text) in asked {
            let url = node.url().join(path).expect("a path");
            let started = wait::now();
            let answer = http.send(method, url, &[], Vec::new()).await;
            slowest = slowest.max(wait::now().saturating_sub(started));
            assert_eq!(answer.status, status, "{path}: {}", answer.text());
            assert!(answer.text().contains(text), "{path}: {}", answer.text());
        }
    }
    assert!(slowest < GRAPH_GIVES_UP, "{slowest:?}");
    slowest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_crashes_again_and_again_loses_nothing() {
    let cluster = Cluster::start().await;
    let crashes = rounds(3, 20);
    let load = cluster.load();
    let (mut slowest_acknowledging, mut slowest_delivering) = (Duration::ZERO, Duration::ZERO);
    let mut slowest_refusal = Duration::ZERO;
    for _ in 0..crashes {
        load.acknowledges(50).await;
        block_in_place(|| cluster.world.database().server().stop_immediate());
        load.take_slowest();
        load.is_answered(503, 5).await;
        wait::pass(Duration::from_secs(1)).await;
        slowest_refusal = slowest_refusal.max(load.take_slowest());
        block_in_place(|| cluster.world.database().server().restart());
        let (acknowledging, delivering) = resumed(&cluster, &load).await;
        slowest_acknowledging = slowest_acknowledging.max(acknowledging);
        slowest_delivering = slowest_delivering.max(delivering);
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
        "{crashes} crashes of the database: {} acknowledged, {} lost, {} twice; slowest answer without it \
         {slowest_refusal:?}; once it was back, acknowledging after {slowest_acknowledging:?}, delivering after \
         {slowest_delivering:?}; answers {:?}",
        account.acknowledged,
        account.lost.len(),
        account.duplicates,
        log.statuses
    );
    account.assert_whole();
    assert!(
        account.duplicates <= crashes * 3 * IN_FLIGHT,
        "{} deliveries came twice",
        account.duplicates
    );
    assert!(slowest_refusal < GRAPH_GIVES_UP, "{slowest_refusal:?}");
    assert!(slowest_acknowledging < RESUMED, "{slowest_acknowledging:?}");
    assert!(slowest_delivering < RESUMED, "{slowest_delivering:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_stands_still_is_refused_for_and_taken_up_again() {
    let cluster = Cluster::start().await;
    let pause = Duration::from_secs(if rounds(0, 1) == 0 { 10 } else { 60 });
    let load = cluster.load();
    load.acknowledges(50).await;
    block_in_place(|| cluster.world.database().server().pause());
    load.take_slowest();
    let paused = wait::now();
    load.is_answered(503, 5).await;
    let refusing = wait::now().saturating_sub(paused);
    let beside = without_the_database(&cluster).await;
    wait::pass(pause.saturating_sub(refusing)).await;
    let slowest_refusal = load.take_slowest();
    block_in_place(|| cluster.world.database().server().resume());
    let (acknowledging, delivering) = resumed(&cluster, &load).await;

    let log = load.stop().await;
    let account = checker::settle(
        &log.acknowledged,
        &cluster.receiver,
        &cluster.secret,
        &cluster.world.api,
    )
    .await;
    println!(
        "the database stood still for {pause:?}: {} acknowledged, {} lost, {} twice; refusing after {refusing:?}, slowest \
         answer without it {slowest_refusal:?}, to a handshake and to health checks {beside:?}; once it went on, acknowledging after {acknowledging:?}, delivering \
         after {delivering:?}; answers {:?}",
        account.acknowledged,
        account.lost.len(),
        account.duplicates,
        log.statuses
    );
    account.assert_whole();
    assert!(
        account.duplicates <= 3 * IN_FLIGHT,
        "{} deliveries came twice",
        account.duplicates
    );
    assert!(slowest_refusal < GRAPH_GIVES_UP, "{slowest_refusal:?}");
    assert!(acknowledging < RESUMED, "{acknowledging:?}");
    assert!(delivering < RESUMED, "{delivering:?}");
    for gateway in cluster.world.gateways() {
        let restarts = gateway.metric("tidings_supervisor_restarts_total").await;
        assert_eq!(restarts.unwrap_or_default(), 0, "a loop died");
    }
}
