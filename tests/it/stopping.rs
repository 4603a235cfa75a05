//! SIGTERM under load: everything acknowledged arrives, nothing arrives twice, and the end comes soon.

use std::time::Duration;

use testkit::{checker, load::Load, receiver::Receiver, store::Store, wait, world::World};
use tidings_domain::Entropy;

use crate::g1_nothing_lost::{dice, rounds};

testkit::on_both_stores!(a_stop_under_load_loses_nothing_and_repeats_nothing,);

async fn a_stop_under_load_loses_nothing_and_repeats_nothing(store: Store) {
    let mut world = World::start_with(&store.settings().with_quick_retries()).await;
    let receiver = Receiver::start().await;
    let connected = world.connect_calendar(&world.emulator.tenants[0]).await;
    let (_, secret) = world.webhook(&receiver.url(), &[]).await;
    let dice = dice();
    let dice: &dyn Entropy = &dice;

    let stops = rounds(8, 50);
    let load = Load::start(&world.notification_url, &connected.subscribed, 8, 1);
    let mut slowest = Duration::ZERO;
    for _ in 0..stops {
        load.acknowledges(1).await;
        wait::pass(Duration::from_millis(dice.u64() % 200)).await;
        let asked = wait::now();
        let status = world.gateway.terminate().await;
        slowest = slowest.max(wait::now().saturating_sub(asked));
        assert_eq!(
            status.code(),
            Some(0),
            "a stop that was asked for is a success"
        );
        world.gateway.restart().await;
    }
    load.acknowledges(1).await;
    let log = load.stop().await;
    let account = checker::settle(&log.acknowledged, &receiver, &secret, &world.api).await;
    println!(
        "{stops} stops: {} acknowledged, {} lost, {} twice, slowest stop {slowest:?}",
        account.acknowledged,
        account.lost.len(),
        account.duplicates
    );
    account.assert_whole();
    assert_eq!(
        account.duplicates, 0,
        "the receiver answered every attempt at once"
    );
    // `server.shutdown_timeout` is 10 s.
    assert!(slowest < Duration::from_secs(20), "a stop took {slowest:?}");
}
