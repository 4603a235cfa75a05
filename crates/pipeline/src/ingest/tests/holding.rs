//! What fits nothing yet waits for a subscription that is just being made.

use serde_json::json;
use tidings_domain::{Clock as _, notification::Verdict};
use tidings_storage::record::QueuedNotification;

use super::{
    change, with,
    world::{HOLD, Known, TENANT_A, TENANT_B, USER, World},
};
use crate::ingest::held::settle;

/// A notification of a subscription that is not there yet: `users/{USER}/contacts`, number 77.
fn early(world: &World) -> String {
    with(
        change(&world.events_a, TENANT_A, "e1"),
        json!({
            "subscriptionId": "0000004d-aaaa-4bbb-8ccc-dddddddddddd",
            "clientState": "client-state-number-77",
            "resource": format!("Users/{USER}/Contacts/AAMkAD="),
        }),
    )
}

async fn held(world: &World) -> QueuedNotification {
    let mut queued = world.queued().await;
    assert_eq!(queued.len(), 1);
    queued.remove(0)
}

#[tokio::test]
async fn a_notification_that_comes_before_its_subscription_is_known_is_accepted_later_and_once() {
    let world = World::new().await;
    assert_eq!(world.post(&[early(&world)]).await, [Verdict::Held]);
    let waiting = held(&world).await;
    assert_eq!(waiting.due_at, world.clock.now() + HOLD);
    assert!(waiting.client_state_hash.is_some());
    assert!(!String::from_utf8_lossy(&waiting.notification.item).contains("client-state"));

    let Known { id, .. } = world
        .subscribe_late(&format!("users/{USER}/contacts"), 77)
        .await;
    let settled = settle(
        &world.directory.tables(),
        waiting.clone(),
        world.clock.now(),
    );
    assert_eq!(settled.notification.verdict, Verdict::Accepted);
    assert_eq!(settled.notification.subscription, Some(id));
    assert_eq!(settled.notification.connection, Some(world.a));
    let verdict = world
        .store
        .settle_held(waiting.seq, waiting.lease, settled)
        .await
        .unwrap();
    assert_eq!(verdict, Verdict::Accepted);
    // Graph's repetition, which comes when the subscription is known, is recognised.
    assert_eq!(world.post(&[early(&world)]).await, [Verdict::Duplicate]);
}

#[tokio::test]
async fn what_still_fits_nothing_is_unknown_in_the_end() {
    let world = World::new().await;
    world.post(&[early(&world)]).await;
    let waiting = held(&world).await;
    let settled = settle(
        &world.directory.tables(),
        waiting.clone(),
        world.clock.now(),
    );
    assert_eq!(settled.notification.verdict, Verdict::UnknownSubscription);
    world
        .store
        .settle_held(waiting.seq, waiting.lease, settled)
        .await
        .unwrap();
    assert_eq!(world.queued().await, []);
    assert_eq!(world.kept().await[0].verdict, Verdict::UnknownSubscription);
}

#[tokio::test]
async fn waiting_makes_nothing_believed_that_would_not_have_been() {
    let world = World::new().await;
    let of_another_tenant = with(
        serde_json::from_str(&early(&world)).unwrap(),
        json!({"tenantId": TENANT_B}),
    );
    assert_eq!(world.post(&[of_another_tenant]).await, [Verdict::Held]);
    let waiting = held(&world).await;
    world
        .subscribe_late(&format!("users/{USER}/contacts"), 77)
        .await;
    let settled = settle(&world.directory.tables(), waiting, world.clock.now());
    assert_eq!(settled.notification.verdict, Verdict::WrongTenant);
}

#[tokio::test]
async fn strangers_fill_only_the_room_that_there_is() {
    let world = World::new().await;
    let items: Vec<String> = (0..1_100)
        .map(|number| {
            with(
                serde_json::from_str(&early(&world)).unwrap(),
                json!({"clientState": format!("guess-{number}")}),
            )
        })
        .collect();
    let verdicts = world.post(&items).await;
    assert_eq!(
        verdicts
            .iter()
            .filter(|&&verdict| verdict == Verdict::Held)
            .count(),
        1_000
    );
    assert_eq!(verdicts[1_099], Verdict::UnknownSubscription);
    // Known subscriptions are not touched by it.
    let known = change(&world.events_a, TENANT_A, "k").to_string();
    assert_eq!(world.post(&[known]).await, [Verdict::Accepted]);
}
