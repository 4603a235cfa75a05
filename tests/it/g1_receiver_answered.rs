//! G1 and G5: killed after the receiver's 2xx and before that is on disk, the delivery comes once more, the same.

use std::time::Duration;

use testkit::{
    fault_disk::{Fault, FaultDisk},
    gateway::Settings,
    power_cut::{Lost, power_cut},
    receiver::{Answer, Receiver},
    signature, wait,
    world::World,
};
use tidings_domain::entropy::SeededEntropy;

#[tokio::test]
async fn an_answer_that_did_not_reach_the_disk_is_asked_for_again() {
    let Some(disk) = FaultDisk::with_power_cuts("g1_receiver_answered") else {
        return;
    };
    let mut world = World::start_with(&Settings::new().on(&disk)).await;
    let mut receiver = Receiver::start().await;
    let tenant = world.emulator.tenants[0].clone();
    let connected = world.connect_calendar(&tenant).await;
    let (_, secret) = world.webhook(&receiver.url(), &[]).await;

    // The receiver says yes while the disk takes a minute for whatever is written next.
    let stuck = disk.clone();
    receiver.answer(move |_| {
        stuck.set(&[Fault::FsyncSlow(60_000)]);
        Answer::status(200)
    });
    let body = testkit::collection::collection([connected.subscribed.deleted("answered")]);
    assert_eq!(world.notify(body).await.status, 202);
    let first = receiver.next().await;
    // For the answer to arrive and its result to be on its way to the disk (were it slower, the test would show less,
    // and pass), and for a second to end, since timestamps are in seconds.
    wait::pass(Duration::from_millis(1_100)).await;
    world.gateway.kill().await;
    power_cut(&disk, Lost::All, &SeededEntropy::new(2));
    disk.heal();

    receiver.answer(|_| Answer::status(200));
    world.gateway.restart().await;
    let second = receiver.next().await;
    assert_eq!(second.id(), first.id());
    assert_eq!(second.body, first.body);
    assert_ne!(
        second.header("webhook-timestamp"),
        first.header("webhook-timestamp"),
        "each attempt has a timestamp of its own"
    );
    assert_eq!(signature::check(&first, &secret), Ok(()));
    assert_eq!(signature::check(&second, &secret), Ok(()));

    // And this time it is on disk: nothing is due any more.
    wait::until("an end of the delivery", || async {
        let ended = world
            .gateway
            .api()
            .list("/v1/deliveries?state=delivered")
            .await;
        (ended.len() == 1).then_some(())
    })
    .await;
    world.gateway.kill().await;
    world.gateway.restart().await;
    let pending = world
        .gateway
        .api()
        .list("/v1/deliveries?state=pending")
        .await;
    assert!(pending.is_empty(), "{pending:?}");
    assert_eq!(receiver.count(), 2);
}
