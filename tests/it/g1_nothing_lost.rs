//! G1: what was answered 2xx leads to a delivery, also when the process is killed at any instant.

use std::{env, time::Duration};

use testkit::{checker, gateway::Settings, load::Load, receiver::Receiver, wait, world::World};
use tidings_domain::{
    Entropy,
    entropy::{SeededEntropy, SystemEntropy},
};

/// Attempts that may be under way at one time. Each kill can lead to so many deliveries that come twice, and no more.
const IN_FLIGHT: usize = 16;

/// How many times to kill: what CI does, and the long form.
pub(crate) fn rounds(short: usize, long: usize) -> usize {
    if env::var_os("TIDINGS_LONG").is_some() {
        long
    } else {
        short
    }
}

/// A generator for this run; its seed is printed, for a failure to be looked into.
pub(crate) fn dice() -> SeededEntropy {
    let seed = (&SystemEntropy as &dyn Entropy).u64();
    println!("seed {seed}");
    SeededEntropy::new(seed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_instant_loses_nothing_that_was_acknowledged() {
    let settings = Settings::new()
        .with_quick_retries()
        .with("TIDINGS__DELIVER__CONCURRENCY", &IN_FLIGHT.to_string());
    let mut world = World::start_with(&settings).await;
    let receiver = Receiver::start().await;
    let tenant = world.emulator.tenants[0].clone();
    let connected = world.connect_calendar(&tenant).await;
    let (_, secret) = world.webhook(&receiver.url(), &[]).await;
    let dice = dice();
    let dice: &dyn Entropy = &dice;

    let kills = rounds(100, 1_000);
    let load = Load::start(&world.notification_url, &connected.subscribed, 8, 1);
    let mut slowest = Duration::ZERO;
    let mut total = Duration::ZERO;
    for _ in 0..kills {
        // Something new is acknowledged in each life, then the end comes at some instant of the next 200 ms.
        load.acknowledges(1).await;
        wait::pass(Duration::from_millis(dice.u64() % 200)).await;
        world.gateway.kill().await;
        let took = world.gateway.restart().await;
        slowest = slowest.max(took);
        total += took;
    }
    load.acknowledges(1).await;
    let log = load.stop().await;

    let account = checker::settle(&log.acknowledged, &receiver, &secret, &world.api).await;
    println!(
        "{kills} kills: {} acknowledged, {} lost, {} twice, {} arrived unacknowledged; restart to listening: mean {} ms, \
         slowest {} ms",
        account.acknowledged,
        account.lost.len(),
        account.duplicates,
        account.unacknowledged,
        total.as_millis() / kills as u128,
        slowest.as_millis()
    );
    account.assert_whole();
    assert!(
        account.duplicates <= kills * IN_FLIGHT,
        "{} deliveries came twice",
        account.duplicates
    );
    // The promise is 1 s for a release build on a quiet machine; this is neither.
    assert!(
        slowest < Duration::from_secs(20),
        "a restart took {slowest:?}"
    );
}
