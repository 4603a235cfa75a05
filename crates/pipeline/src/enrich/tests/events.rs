//! What a notification becomes.

use std::future::ready;

use super::*;

#[tokio::test]
async fn a_change_becomes_an_event_with_the_object_for_those_who_ask() {
    let stage = Stage::new(|_| ready(object("a", "1"))).await;
    let wanting = stage.webhook(&["event.updated"], Vec::new()).await;
    let also = stage
        .webhook(&["event.updated"], vec![stage.world.connection])
        .await;
    stage.webhook(&["event.created"], Vec::new()).await;
    stage
        .webhook(&["event.updated"], vec![stage.world.other])
        .await;
    stage.managed(A, ChangeType::Updated).await;
    let events = stage.run(stage.world.events_reach(1)).await;

    assert_eq!(stage.graph.calls()[0].path, format!("/v1.0/{A}"));
    let event = stage
        .world
        .store
        .event(events[0].id)
        .await
        .unwrap()
        .unwrap();
    let body: serde_json::Value = serde_json::from_slice(&event.body).unwrap();
    assert_eq!(body["type"], "event.updated");
    assert_eq!(body["data"]["object"]["subject"], "Lunch");
    assert_eq!(body["data"]["tenant_id"], TENANT);
    let page = Page::first(PageLimit::default());
    let deliveries = stage
        .world
        .store
        .deliveries(DeliveryFilter::default(), page)
        .await
        .unwrap();
    let mut webhooks: Vec<WebhookId> = deliveries.items.iter().map(|one| one.webhook).collect();
    webhooks.sort();
    assert_eq!(webhooks, [wanting, also]);
    assert!(stage.world.queue().await.is_empty());
}

#[tokio::test]
async fn an_event_that_nobody_asked_for_is_kept() {
    let stage = Stage::new(|_| ready(object("a", "1"))).await;
    stage.managed(A, ChangeType::Created).await;
    let events = stage.run(stage.world.events_reach(1)).await;
    assert_eq!(
        events[0].trigger,
        Trigger::of(ResourceKind::Event, ChangeType::Created).unwrap()
    );
    assert_eq!(events[0].object_state, ObjectState::Fetched);
}

#[tokio::test]
async fn a_deletion_of_a_subscription_of_ours_needs_no_look() {
    let stage = Stage::new(|_| ready(object("a", "1"))).await;
    for number in 0..50 {
        stage
            .managed(&format!("users/u/events/{number}"), ChangeType::Deleted)
            .await;
    }
    let events = stage.run(stage.world.events_reach(50)).await;
    assert!(
        events
            .iter()
            .all(|event| event.object_state == ObjectState::Deleted)
    );
    assert!(stage.graph.calls().is_empty());
}

#[tokio::test]
async fn a_claimed_deletion_is_believed_only_when_graph_has_nothing() {
    let stage = Stage::new(|seen| {
        ready(if seen.path.ends_with("/a") {
            reply(404, "")
        } else {
            object("b", "1")
        })
    })
    .await;
    stage.change(A, ChangeType::Deleted).await;
    stage.run(stage.world.events_reach(1)).await;
    stage.change(B, ChangeType::Deleted).await;
    let events = stage.run(stage.world.events_reach(2)).await;
    let told: Vec<_> = events
        .iter()
        .map(|event| (event.trigger.to_string(), event.object_state))
        .collect();
    assert_eq!(
        told,
        [
            ("event.deleted".to_owned(), ObjectState::Deleted),
            ("event.updated".to_owned(), ObjectState::Fetched),
        ]
    );
}

#[tokio::test]
async fn what_was_just_created_is_asked_for_again_before_it_counts_as_gone() {
    let stage = Stage::new(|_| ready(reply(404, ""))).await;
    stage.managed(A, ChangeType::Created).await;
    let events = stage
        .run(async {
            stage.pass(Duration::from_secs(1), 1).await;
            stage.pass(Duration::from_secs(3), 2).await;
            stage.world.events_reach(1).await
        })
        .await;
    assert_eq!(stage.graph.calls().len(), 3);
    assert_eq!(events[0].object_state, ObjectState::Gone);
    assert_eq!(stage.world.queue().await.len(), 0);
}

#[tokio::test]
async fn what_was_updated_and_is_not_there_is_gone_at_once() {
    let stage = Stage::new(|_| ready(reply(404, ""))).await;
    stage.managed(A, ChangeType::Updated).await;
    let events = stage.run(stage.world.events_reach(1)).await;
    assert_eq!(events[0].object_state, ObjectState::Gone);
    assert_eq!(stage.graph.calls().len(), 1);
}

#[tokio::test]
async fn another_version_is_read_once_more_and_then_taken() {
    let stage = Stage::new(|_| ready(object("a", "newer"))).await;
    let mut new = stage.notification(A, ChangeType::Updated);
    new.notification.etag = Some("told".to_owned());
    stage.record(new).await;
    let events = stage
        .run(async {
            stage.pass(Duration::from_secs(2), 1).await;
            stage.world.events_reach(1).await
        })
        .await;
    assert_eq!(stage.graph.calls().len(), 2);
    assert_eq!(events[0].object_state, ObjectState::Fetched);
}

#[tokio::test]
async fn what_graph_refuses_or_is_too_large_is_told_without_its_object() {
    let stage = Stage::new(|seen| {
        ready(if seen.path.ends_with("/a") {
            reply(403, "")
        } else {
            reply(200, format!("{{\"x\":\"{}\"}}", "x".repeat(1 << 20)))
        })
    })
    .await;
    stage.managed(A, ChangeType::Updated).await;
    stage.run(stage.world.events_reach(1)).await;
    stage.managed(B, ChangeType::Updated).await;
    let events = stage.run(stage.world.events_reach(2)).await;
    let states: Vec<_> = events.iter().map(|event| event.object_state).collect();
    assert_eq!(states, [ObjectState::Forbidden, ObjectState::TooLarge]);
}

#[tokio::test]
async fn what_is_held_is_accepted_once_its_subscription_is_known_else_rejected() {
    let stage = Stage::new(|_| ready(object("a", "1"))).await;
    let world = &stage.world;
    let item = |resource: &str| {
        format!(
            r#"{{"subscriptionId":"3e1f7a52-90aa-4c0b-8c55-7d3d1c6a4f10","changeType":"updated","resource":"{resource}","tenantId":"{TENANT}"}}"#
        )
    };
    for (resource, state) in [(A, "known-soon-known-soon"), (B, "never-known-never-known")] {
        let mut new = stage.notification(resource, ChangeType::Updated);
        new.notification.verdict = Verdict::Held;
        new.notification.connection = None;
        new.notification.item = Bytes::from(item(resource));
        new.client_state_hash = Some(world.store.hash_client_state(state));
        new.due_at = world.clock.now() + Duration::from_secs(5);
        stage.record(new).await;
    }
    let subscription = Subscription {
        id: world.ids.next(),
        environment: world.environment,
        integration: world.integration,
        connection: world.connection,
        policy: None,
        resource: "users/u/events".to_owned(),
        kind: ResourceKind::Event,
        change_types: "updated".parse().unwrap(),
        state: SubscriptionState::Pending,
        client_state: Secret::new("known-soon-known-soon"),
        graph_id: None,
        expires_at: None,
        due_at: world.clock.now(),
        failures: 0,
        last_error: None,
        created_at: world.clock.now(),
        renewed_at: None,
        deliver_existing: false,
        lifecycle: None,
        patched_at: None,
        notification_url: None,
        lifecycle_url: None,
        former: None,
    };
    let id = subscription.id;
    world
        .store
        .create_subscription(subscription, Shard::FIRST)
        .await
        .unwrap();
    world
        .directory
        .refresh(Change::Subscription(id))
        .await
        .unwrap();
    let events = stage
        .run(async {
            let parked = || world.metrics.enrich.in_memory.get() == 2;
            world.pass(Duration::from_secs(5), parked).await;
            stage.queue_empties().await;
            world.events_reach(1).await
        })
        .await;
    assert_eq!(
        (events[0].subject.as_str(), events[0].subscription),
        (A, Some(id))
    );
    let other = world
        .store
        .notifications(
            tidings_storage::record::NotificationFilter::default(),
            Page::first(PageLimit::default()),
        )
        .await
        .unwrap();
    let verdicts: Vec<Verdict> = other.items.iter().map(|one| one.verdict).collect();
    assert!(
        verdicts.contains(&Verdict::UnknownSubscription) && verdicts.contains(&Verdict::Accepted)
    );
}
