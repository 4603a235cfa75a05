//! A gateway is stopped for longer than its lease and then goes on, not knowing that others have taken its work over.

use std::time::Duration;

use serde_json::Value;
use testkit::{
    collection::collection,
    gateway::share_the_work,
    receiver::{Answer, Receiver},
    store::Store,
    wait,
    world::World,
};
use tokio::sync::watch;

use crate::g1_nothing_lost::rounds;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_stopped_beyond_its_lease_writes_nothing_stale() {
    // With a long form of the lease and the stop that production would have.
    let (lease, stop) = if rounds(0, 1) == 0 {
        ("3s", Duration::from_secs(6))
    } else {
        ("30s", Duration::from_secs(40))
    };
    let settings = Store::Postgres
        .settings()
        .with_quick_retries()
        .with("TIDINGS__POSTGRES__LEASE", lease)
        // The attempt is to outlive the stop.
        .with("TIDINGS__DELIVER__TIMEOUT", "5m");
    let mut world = World::start_with(&settings).await;
    let connected = world.connect_calendar(&world.emulator.tenants[0]).await;
    let (release, released) = watch::channel(false);
    let mut receiver = Receiver::answering(move |delivery| {
        // The first attempt fails, but only later; whatever comes after it succeeds at once.
        if delivery.attempt() == 1 && !*released.borrow() {
            Answer::held_with(500, released.clone())
        } else {
            Answer::status(200)
        }
    })
    .await;
    world.webhook(&receiver.url(), &[]).await;
    let gateways: Vec<_> = world.gateways().collect();
    share_the_work(&gateways).await;

    let body = collection([connected.subscribed.deleted("stale")]);
    assert_eq!(world.notify(body).await.status, 202);
    let first = receiver.next().await;
    let mut owner = None;
    for (place, gateway) in world.gateways().enumerate() {
        if gateway.metric("tidings_deliver_in_flight").await >= Some(1) {
            owner = Some(place);
        }
    }
    let owner = owner.expect("one gateway has the attempt under way");
    world.node(owner).process.signal("STOP").await;
    let stopped = wait::now();
    // Whoever takes the work over tries at once. From here on the receiver says yes.
    receiver.answer(|_| Answer::status(200));
    let second = receiver.next().await;
    let takeover = wait::now().saturating_sub(stopped);
    assert_eq!(second.id(), first.id());
    assert_eq!(second.body, first.body);
    delivered(&world, owner).await;
    wait::pass(stop.saturating_sub(wait::now().saturating_sub(stopped))).await;

    // The stopped one hears that its attempt has failed, and would have it tried again.
    release.send_replace(true);
    world.node(owner).process.signal("CONT").await;
    let node = world.gateways().nth(owner).expect("it is there");
    wait::until("the result to be refused", || async {
        let fenced = node.metric("tidings_nodes_fenced_total").await?;
        (fenced >= 1).then_some(())
    })
    .await;
    let all: Vec<_> = world.gateways().collect();
    let rejoined = share_the_work(&all).await;
    let delivery = delivered(&world, owner).await;
    let attempts = delivery["attempt_log"].as_array().map_or(0, Vec::len);
    println!(
        "stopped for {stop:?} with a lease of {lease}: taken over after {takeover:?}; its result was refused; a share \
         again {rejoined:?} after it went on; {attempts} attempts on record"
    );
    assert_eq!(delivery["state"], "delivered", "{delivery}");
    assert_eq!(delivery["last_status"], 200, "{delivery}");
    assert_eq!(receiver.count(), 2, "it was tried again");
    assert_eq!(world.database().deadlocks(), 0);
}

/// The one delivery, once it is delivered, as another gateway than `stopped` shows it.
async fn delivered(world: &World, stopped: usize) -> Value {
    let api = world.all_but(stopped)[0].api();
    wait::until("the delivery to have arrived", || async {
        let listed = api.list("/v1/deliveries").await;
        let id = listed.first()?["id"].as_str()?.to_owned();
        let delivery = api.get(&format!("/v1/deliveries/{id}")).await;
        (delivery["state"] == "delivered").then_some(delivery)
    })
    .await
}
