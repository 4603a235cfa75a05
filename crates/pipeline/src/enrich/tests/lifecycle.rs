//! What Graph says of a subscription itself.

use std::future::ready;

use tidings_domain::{
    reconcile::ReconcileReason,
    subscription::{Lifecycle, SubscriptionState},
};
use tidings_storage::record::{AskReconcile, SubscriptionUpdate};

use super::*;

const GRAPH_ID: &str = "7f105c7d-2dc5-4530-97cd-4e7ae6534c07";
const OLD_ID: &str = "3e1f7a52-90aa-4c0b-8c55-7d3d1c6a4f10";

/// A stage with a subscription that Graph serves and that is reconciled.
async fn served() -> (Stage, Subscription) {
    let stage = Stage::new(|_| ready(reply(500, ""))).await;
    let (world, now) = (&stage.world, stage.world.clock.now());
    let row = Subscription {
        id: world.ids.next(),
        environment: world.environment,
        integration: world.integration,
        connection: world.connection,
        policy: None,
        resource: "users/u/events".to_owned(),
        kind: ResourceKind::Event,
        change_types: "created".parse().unwrap(),
        state: SubscriptionState::Pending,
        client_state: Secret::new("state"),
        graph_id: None,
        expires_at: None,
        due_at: now,
        failures: 0,
        last_error: None,
        created_at: now,
        renewed_at: None,
        deliver_existing: false,
        lifecycle: None,
        patched_at: None,
        notification_url: None,
        lifecycle_url: None,
        former: None,
    };
    let create = world.store.create_subscription(row.clone(), Shard::FIRST);
    create.await.unwrap();
    let update = SubscriptionUpdate {
        id: row.id,
        state: SubscriptionState::Active,
        graph_id: Some(GRAPH_ID.to_owned()),
        expires_at: Some(now + Duration::from_hours(100)),
        due_at: now + Duration::from_hours(50),
        failures: 0,
        last_error: None,
        renewed_at: Some(now),
        patched_at: None,
        notification_url: None,
        lifecycle_url: None,
        former: None,
        attended: None,
        reconcile: Some(AskReconcile {
            reason: ReconcileReason::Created,
            asked_at: now,
            due_at: now,
            deliver_existing: false,
        }),
        events: Vec::new(),
    };
    world.store.update_subscription(update, None).await.unwrap();
    world
        .directory
        .refresh(Change::Subscription(row.id))
        .await
        .unwrap();
    (stage, row)
}

impl Stage {
    /// Has Graph say `event` of the subscription that it knows by `graph_id`, and waits until that has been heard.
    async fn says(&self, row: &Subscription, event: LifecycleEvent, graph_id: &str) {
        let mut new = self.notification(&row.resource, ChangeType::Updated);
        new.notification.subscription = Some(row.id);
        new.notification.graph_subscription_id = Some(graph_id.to_owned());
        new.notification.change_type = None;
        new.notification.lifecycle_event = Some(event);
        self.record(new).await;
        self.run(self.queue_empties()).await;
    }

    async fn row(&self, row: &Subscription) -> Subscription {
        let found = self.world.store.subscription(row.id).await;
        found.unwrap().unwrap()
    }

    async fn told(&self) -> Vec<String> {
        let events = self.world.events().await;
        let names = events.iter().map(|event| event.trigger.to_string());
        names.collect()
    }
}

#[tokio::test]
async fn what_graph_says_again_and_again_is_told_once_and_noted() {
    for (event, name) in [
        (
            LifecycleEvent::ReauthorizationRequired,
            "subscription.reauthorization_required",
        ),
        (LifecycleEvent::SubscriptionRemoved, "subscription.removed"),
    ] {
        let (stage, row) = served().await;
        let wanting = stage.webhook(&[name], vec![row.connection]).await;
        stage.webhook(&[name], vec![stage.world.other]).await;
        for _ in 0..3 {
            stage.says(&row, event, &GRAPH_ID.to_uppercase()).await;
        }
        assert_eq!(stage.told().await, [name]);
        let now = stage.row(&row).await;
        let noted = Lifecycle {
            reauthorize: event == LifecycleEvent::ReauthorizationRequired,
            removed: event == LifecycleEvent::SubscriptionRemoved,
            count: 3,
        };
        assert_eq!(now.lifecycle, Some(noted));
        assert_eq!(now.due_at, stage.world.clock.now());

        let first = stage.world.events().await[0].clone();
        assert_eq!(first.object_state, ObjectState::None);
        assert_eq!(first.subscription, Some(row.id));
        assert!(first.notification.is_some());
        let page = Page::first(PageLimit::default());
        let filter = DeliveryFilter::default();
        let deliveries = stage.world.store.deliveries(filter, page).await.unwrap();
        let webhooks: Vec<_> = deliveries.items.iter().map(|one| one.webhook).collect();
        assert_eq!(webhooks, [wanting]);
        assert!(stage.graph.calls().is_empty());
    }
}

#[tokio::test]
async fn one_that_was_replaced_is_of_no_interest_any_more() {
    let (stage, row) = served().await;
    let before = stage.row(&row).await;
    stage
        .says(&row, LifecycleEvent::SubscriptionRemoved, OLD_ID)
        .await;
    stage
        .says(&row, LifecycleEvent::ReauthorizationRequired, OLD_ID)
        .await;
    assert_eq!(stage.row(&row).await, before);
    assert_eq!(stage.told().await, [""; 0]);
}

#[tokio::test]
async fn a_renewal_that_was_just_sent_is_not_asked_for_again_before_ten_minutes_are_over() {
    let (stage, row) = served().await;
    let (sent_at, before) = (stage.world.clock.now(), stage.row(&row).await);
    let update = SubscriptionUpdate {
        id: row.id,
        state: before.state,
        graph_id: before.graph_id,
        expires_at: before.expires_at,
        due_at: before.due_at,
        failures: 0,
        last_error: None,
        renewed_at: before.renewed_at,
        patched_at: Some(sent_at),
        notification_url: None,
        lifecycle_url: None,
        former: None,
        attended: None,
        reconcile: None,
        events: Vec::new(),
    };
    let store = &stage.world.store;
    store.update_subscription(update, None).await.unwrap();
    stage.world.clock.advance(Duration::from_mins(4));
    let event = LifecycleEvent::ReauthorizationRequired;
    stage.says(&row, event, GRAPH_ID).await;
    let due_at = stage.row(&row).await.due_at;
    assert_eq!(due_at, sent_at + Duration::from_mins(10));
    // It crossed with the answer to it.
    assert_eq!(stage.told().await, [""; 0]);
}

#[tokio::test]
async fn what_graph_did_not_deliver_is_looked_for_and_told_once_until_that_has_begun() {
    let (stage, row) = served().await;
    let begin = stage.world.clock.now();
    for _ in 0..3 {
        stage.world.clock.advance(Duration::from_mins(1));
        // Also of the one before: it has lost what nobody else tells.
        stage.says(&row, LifecycleEvent::Missed, OLD_ID).await;
    }
    assert_eq!(stage.told().await, ["subscription.missed"]);
    let store = &stage.world.store;
    let wanted = store.reconcile(row.id).await.unwrap().unwrap();
    assert_eq!(wanted.reason, ReconcileReason::Missed);
    assert_eq!(wanted.asked_at, begin + Duration::from_mins(3));
    assert!(wanted.due_at <= stage.world.clock.now());
    // Nothing is asked of Graph's subscription.
    assert_eq!(stage.row(&row).await.lifecycle, None);
}

#[tokio::test]
async fn what_nobody_can_look_after_leaves_the_queue_and_changes_nothing() {
    let (stage, row) = served().await;
    for subscription in [None, Some(stage.world.ids.next())] {
        let mut new = stage.notification(&row.resource, ChangeType::Updated);
        new.notification.subscription = subscription;
        new.notification.change_type = None;
        new.notification.lifecycle_event = Some(LifecycleEvent::Missed);
        stage.record(new).await;
    }
    stage.run(stage.queue_empties()).await;
    assert_eq!(stage.told().await, [""; 0]);
    assert!(stage.graph.calls().is_empty());
}
