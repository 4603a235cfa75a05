//! Deliveries on their way.

use std::time::Duration;

use tidings_domain::{
    delivery::{DeadReason, DeliveryState},
    ids::WebhookId,
    webhook::{DisabledReason, WebhookState},
};

use super::World;
use crate::{
    StoreError,
    record::{AfterAttempt, HealthChange, WebhookChange},
};

pub(crate) async fn due_deliveries_come_the_longest_due_first(world: World) {
    let tenant = world.tenant("dev").await;
    let webhook = tenant.webhook;
    let [a, b, c] = world.delivered_to(&tenant, &[webhook; 3]).await[..] else {
        panic!("three deliveries");
    };
    for (delivery, seconds) in [(a, 20), (b, 10), (c, 30)] {
        let retry = AfterAttempt::Retry(world.in_seconds(seconds));
        world.attempted(delivery, webhook, retry).await;
    }
    assert_eq!(world.due(webhook).await, []);
    let next = world
        .store
        .next_due_delivery(webhook, world.now())
        .await
        .unwrap();
    assert_eq!(next, Some(world.in_seconds(10)));
    world.clock.advance(Duration::from_secs(20));
    let due: Vec<_> = world.due(webhook).await.iter().map(|one| one.id).collect();
    assert_eq!(due, [b, a]);
    let first = world
        .store
        .due_deliveries(webhook, world.now(), 1)
        .await
        .unwrap();
    assert_eq!((first.len(), first[0].id, first[0].attempts), (1, b, 1));
    let next = world
        .store
        .next_due_delivery(webhook, world.now())
        .await
        .unwrap();
    assert_eq!(next, Some(world.in_seconds(10)));
}

pub(crate) async fn a_delivery_comes_with_the_same_bytes_each_time(mut world: World) {
    let tenant = world.tenant("dev").await;
    let id = world.delivered_to(&tenant, &[tenant.webhook]).await[0];
    let first = world.due(tenant.webhook).await.remove(0);
    let retry = AfterAttempt::Retry(world.now());
    world.attempted(id, tenant.webhook, retry).await;
    world.restart().await;
    let second = world.due(tenant.webhook).await.remove(0);
    assert_eq!((first.body, first.event), (second.body, second.event));
}

pub(crate) async fn an_attempt_ends_or_postpones_its_delivery(world: World) {
    let tenant = world.tenant("dev").await;
    let webhook = tenant.webhook;
    let ids = world.delivered_to(&tenant, &[webhook; 3]).await;
    let dead = DeadReason::Exhausted;
    let later = world.in_seconds(5);
    for (id, next, state, due_at, reason) in [
        (
            ids[0],
            AfterAttempt::Delivered,
            DeliveryState::Delivered,
            None,
            None,
        ),
        (
            ids[1],
            AfterAttempt::Dead(dead),
            DeliveryState::Dead,
            None,
            Some(dead),
        ),
        (
            ids[2],
            AfterAttempt::Retry(later),
            DeliveryState::Pending,
            Some(later),
            None,
        ),
    ] {
        let result = world.attempt(id, webhook, next);
        let (status, ended) = (
            result.attempt.status,
            result.attempt.started_at + result.attempt.took,
        );
        world.store.record_attempt(result).await.unwrap();
        let found = world.store.delivery(id).await.unwrap().unwrap();
        assert_eq!(
            (found.state, found.due_at, found.dead_reason),
            (state, due_at, reason)
        );
        assert_eq!((found.attempts, found.last_status), (1, status));
        assert_eq!(found.finished_at, due_at.is_none().then_some(ended));
    }
    assert_eq!(world.store.health().await.pending_deliveries, 1);
}

pub(crate) async fn an_attempt_is_kept_with_all_its_members(world: World) {
    let tenant = world.tenant("dev").await;
    let id = world.delivered_to(&tenant, &[tenant.webhook]).await[0];
    let first = world.attempt(id, tenant.webhook, AfterAttempt::Retry(world.now()));
    let mut second = world.attempt(id, tenant.webhook, AfterAttempt::Delivered);
    second.attempt.number = 2;
    world.store.record_attempt(first.clone()).await.unwrap();
    world.store.record_attempt(second.clone()).await.unwrap();
    let kept = world.store.attempts(id).await.unwrap();
    assert_eq!(kept, [first.attempt, second.attempt]);
}

pub(crate) async fn an_attempt_recorded_twice_counts_once(world: World) {
    let tenant = world.tenant("dev").await;
    let id = world.delivered_to(&tenant, &[tenant.webhook]).await[0];
    let result = world.attempt(id, tenant.webhook, AfterAttempt::Retry(world.in_seconds(5)));
    for _ in 0..2 {
        world.store.record_attempt(result.clone()).await.unwrap();
    }
    assert_eq!(world.store.attempts(id).await.unwrap().len(), 1);
    assert_eq!(world.store.delivery(id).await.unwrap().unwrap().attempts, 1);
}

pub(crate) async fn an_attempt_of_a_delivery_that_is_gone_does_nothing(world: World) {
    let tenant = world.tenant("dev").await;
    let id = world.delivered_to(&tenant, &[tenant.webhook]).await[0];
    world.store.delete_webhook(tenant.webhook).await.unwrap();
    world
        .attempted(id, tenant.webhook, AfterAttempt::Delivered)
        .await;
    assert_eq!(world.store.delivery(id).await.unwrap(), None);
    assert_eq!(world.store.attempts(id).await.unwrap(), []);
}

async fn set_state(world: &World, webhook: WebhookId, state: WebhookState) {
    let change = WebhookChange {
        state: Some(state),
        ..WebhookChange::default()
    };
    world
        .store
        .change_webhook(webhook, change)
        .await
        .unwrap()
        .unwrap();
}

pub(crate) async fn deliveries_of_a_disabled_webhook_are_held_and_come_back(world: World) {
    let tenant = world.tenant("dev").await;
    let id = world.delivered_to(&tenant, &[tenant.webhook]).await[0];
    let disabled = WebhookState::Disabled {
        reason: DisabledReason::Operator,
        since: world.now(),
    };
    for (set, state, due) in [
        (disabled, DeliveryState::Held, 0),
        (WebhookState::Active, DeliveryState::Pending, 1),
    ] {
        set_state(&world, tenant.webhook, set).await;
        assert_eq!(
            world.store.delivery(id).await.unwrap().unwrap().state,
            state
        );
        assert_eq!(world.due(tenant.webhook).await.len(), due);
        assert_eq!(
            world.store.webhooks_with_pending().await.unwrap().len(),
            due
        );
        assert_eq!(world.store.health().await.pending_deliveries, 1);
    }
}

pub(crate) async fn a_webhook_fails_from_its_first_failure_on(world: World) {
    let tenant = world.tenant("dev").await;
    let webhook = tenant.webhook;
    let ids = world.delivered_to(&tenant, &[webhook; 3]).await;
    let first = world.now();
    for (id, health, since) in [
        (ids[0], HealthChange::Failing(first), Some(first)),
        (
            ids[1],
            HealthChange::Failing(world.in_seconds(60)),
            Some(first),
        ),
        (ids[2], HealthChange::Healthy, None),
    ] {
        let mut result = world.attempt(id, webhook, AfterAttempt::Delivered);
        result.health = health;
        world.store.record_attempt(result).await.unwrap();
        let found = world.store.webhook(webhook).await.unwrap().unwrap();
        assert_eq!(found.failing_since, since);
    }
}

pub(crate) async fn a_redelivered_one_has_its_whole_schedule_again(world: World) {
    let tenant = world.tenant("dev").await;
    let id = world.delivered_to(&tenant, &[tenant.webhook]).await[0];
    let dead = AfterAttempt::Dead(DeadReason::Exhausted);
    for end in [dead, AfterAttempt::Delivered] {
        world.attempted(id, tenant.webhook, end).await;
        assert_eq!(world.store.health().await.pending_deliveries, 0);
        let again = world
            .store
            .redeliver(id, world.now())
            .await
            .unwrap()
            .unwrap();
        assert_eq!((again.state, again.attempts), (DeliveryState::Pending, 0));
        assert_eq!((again.due_at, again.finished_at), (Some(world.now()), None));
        assert_eq!((again.dead_reason, again.id), (None, id));
        assert_eq!(world.due(tenant.webhook).await.len(), 1);
        assert_eq!(world.store.health().await.pending_deliveries, 1);
    }
    // Of one that is pending nothing is counted twice.
    world
        .store
        .redeliver(id, world.in_seconds(5))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(world.store.health().await.pending_deliveries, 1);
    assert_eq!(
        world
            .store
            .redeliver(world.ids.next(), world.now())
            .await
            .unwrap(),
        None
    );
}

pub(crate) async fn a_delivery_to_a_webhook_that_is_gone_is_not_redelivered(world: World) {
    let tenant = world.tenant("dev").await;
    let id = world.delivered_to(&tenant, &[tenant.webhook]).await[0];
    world
        .attempted(id, tenant.webhook, AfterAttempt::Delivered)
        .await;
    world.store.delete_webhook(tenant.webhook).await.unwrap();
    let refused = world.store.redeliver(id, world.now()).await;
    assert!(
        matches!(refused, Err(StoreError::Missing { .. })),
        "{refused:?}"
    );
}

pub(crate) async fn webhooks_with_pending_are_named_with_their_earliest(world: World) {
    let tenant = world.tenant("dev").await;
    let other = world.webhook(tenant.environment).id;
    let mut idle = world.webhook(tenant.environment);
    idle.id = world.ids.next();
    let mut webhook = world.webhook(tenant.environment);
    webhook.id = other;
    world.store.create_webhook(webhook).await.unwrap();
    world.store.create_webhook(idle).await.unwrap();
    let start = world.now();
    let ids = world
        .delivered_to(&tenant, &[tenant.webhook, other, other])
        .await;
    let later = AfterAttempt::Retry(world.in_seconds(30));
    world.attempted(ids[0], tenant.webhook, later).await;
    world.attempted(ids[1], other, later).await;
    let mut found = world.store.webhooks_with_pending().await.unwrap();
    found.sort();
    let mut expected = [(tenant.webhook, world.in_seconds(30)), (other, start)];
    expected.sort();
    assert_eq!(found, expected);
}
