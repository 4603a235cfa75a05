//! Ingest as a whole, over a real store.

use serde_json::{Value, json};
use tidings_domain::{Clock as _, notification::Verdict};

use super::*;

mod bodies;
mod holding;
mod verdicts;
mod world;

use world::{Known, TENANT_A, USER, World};

/// A change to an event of `USER`, as Graph tells it.
fn change(of: &Known, tenant: &str, id: &str) -> Value {
    json!({
        "id": id,
        "subscriptionId": of.graph_id,
        "subscriptionExpirationDateTime": "2026-01-09T14:07:16.0603466-08:00",
        "clientState": of.client_state,
        "changeType": "updated",
        "resource": format!("Users/{USER}/Events/AAMkAD="),
        "resourceData": {"@odata.type": "#Microsoft.Graph.Event", "@odata.etag": "W/\"1\"", "id": "AAMkAD="},
        "tenantId": tenant,
    })
}

/// `item` with these members set, or removed where they are null.
fn with(mut item: Value, members: Value) -> String {
    let Value::Object(members) = members else {
        panic!("give an object")
    };
    for (name, value) in members {
        if value.is_null() {
            item.as_object_mut().unwrap().remove(&name);
        } else {
            item[name] = value;
        }
    }
    item.to_string()
}

#[tokio::test]
async fn what_is_accepted_is_on_disk_matched_and_without_its_client_state() {
    let world = World::new().await;
    let item = change(&world.events_a, TENANT_A, "n1").to_string();
    assert_eq!(world.post(&[item]).await, [Verdict::Accepted]);
    let queued = world.queued().await;
    assert_eq!(queued.len(), 1);
    let kept = &queued[0].notification;
    assert_eq!(kept.connection, Some(world.a));
    assert_eq!(kept.subscription, Some(world.events_a.id));
    assert_eq!(kept.resource, format!("users/{USER}/events/AAMkAD="));
    assert_eq!(kept.etag.as_deref(), Some("W/\"1\""));
    assert_eq!(kept.received_at, world.clock.now());
    assert_eq!(queued[0].due_at, world.clock.now());
    assert_eq!(queued[0].client_state_hash, None);
    let item: Value = serde_json::from_slice(&kept.item).unwrap();
    assert_eq!(item["clientState"], Value::Null);
    assert_eq!(item["id"], "n1");
    let counted = "tidings_ingest_notifications_total{verdict=\"accepted\"} 1\n";
    assert!(world.metrics.encode().contains(counted));
    world.enrich.wait().await;
}

#[tokio::test]
async fn a_change_that_comes_twice_is_seen_as_a_duplicate_and_the_next_change_is_not() {
    let world = World::new().await;
    let first = change(&world.events_a, TENANT_A, "n1").to_string();
    let next = change(&world.events_a, TENANT_A, "n2").to_string();
    let verdicts = world.post(&[first.clone(), first.clone(), next]).await;
    assert_eq!(
        verdicts,
        [Verdict::Accepted, Verdict::Duplicate, Verdict::Accepted]
    );
    assert_eq!(world.post(&[first]).await, [Verdict::Duplicate]);
    assert_eq!(world.queued().await.len(), 2);
    assert_eq!(world.kept().await.len(), 4, "duplicates are listed");
}

#[tokio::test]
async fn equal_items_that_nothing_tells_apart_are_two_changes() {
    let world = World::new().await;
    let item = with(
        change(&world.events_a, TENANT_A, "n1"),
        json!({"id": null, "resourceData": {"@odata.type": "#Microsoft.Graph.Event"}}),
    );
    let verdicts = world.post(&[item.clone(), item]).await;
    assert_eq!(verdicts, [Verdict::Accepted, Verdict::Accepted]);
}

#[tokio::test]
async fn two_tenants_in_one_post_are_told_apart_item_by_item() {
    let world = World::new().await;
    let items = [
        change(&world.events_a, TENANT_A, "1").to_string(),
        change(&world.events_b, world::TENANT_B, "2").to_string(),
        change(&world.events_b, TENANT_A, "3").to_string(),
        with(
            change(&world.events_a, TENANT_A, "4"),
            json!({"clientState": world.events_b.client_state}),
        ),
        with(
            change(&world.events_a, TENANT_A, "5"),
            json!({"subscriptionId": "99999999-aaaa-4bbb-8ccc-dddddddddddd", "clientState": null}),
        ),
    ];
    assert_eq!(
        world.post(&items).await,
        [
            Verdict::Accepted,
            Verdict::Accepted,
            Verdict::WrongTenant,
            Verdict::WrongClientState,
            Verdict::UnknownSubscription,
        ]
    );
    let connections: Vec<_> = world
        .queued()
        .await
        .into_iter()
        .map(|queued| queued.notification.connection)
        .collect();
    assert_eq!(connections, [Some(world.a), Some(world.b)]);
    let mut verdicts: Vec<_> = world
        .kept()
        .await
        .into_iter()
        .map(|kept| kept.verdict.as_str())
        .collect();
    verdicts.sort_unstable();
    assert_eq!(
        verdicts,
        [
            "accepted",
            "accepted",
            "unknown_subscription",
            "wrong_client_state",
            "wrong_tenant"
        ]
    );
}

#[tokio::test]
async fn a_store_that_takes_nothing_is_told_and_nothing_is_claimed() {
    let world = World::new().await;
    world.store.close().await;
    let item = change(&world.events_a, TENANT_A, "n1").to_string();
    let answer = world.post_body(&format!("{{\"value\":[{item}]}}")).await;
    assert!(
        matches!(
            answer,
            Err(IngestError::Busy(StoreError::Unavailable { .. }))
        ),
        "{answer:?}"
    );
    // What is rejected costs nobody an answer.
    let forged = with(
        change(&world.events_a, TENANT_A, "n1"),
        json!({"clientState": "forged"}),
    );
    assert_eq!(world.post(&[forged]).await, [Verdict::WrongClientState]);
}
