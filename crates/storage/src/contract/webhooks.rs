//! Webhooks.

use tidings_domain::{
    Timestamp,
    delivery::DeliveryState,
    trigger::Trigger,
    webhook::{DisabledReason, WebhookState, WebhookUrl},
};

use super::{World, make::all};
use crate::{
    StoreError,
    record::{AfterAttempt, DeliveryFilter, HealthChange, NewDelivery, WebhookChange},
};

pub(crate) async fn a_webhook_reads_back_with_its_secrets(world: World) {
    let environment = world.environment("dev");
    world
        .store
        .create_environment(environment.clone())
        .await
        .unwrap();
    let mut one = world.webhook(environment.id);
    one.state = WebhookState::Disabled {
        reason: DisabledReason::Operator,
        since: world.now(),
    };
    one.failing_since = Some(world.now());
    let mut two = world.webhook(environment.id);
    two.connections.clear();
    world.store.create_webhook(one.clone()).await.unwrap();
    world.store.create_webhook(two.clone()).await.unwrap();
    assert_eq!(
        world.store.webhook(one.id).await.unwrap(),
        Some(one.clone())
    );
    let listed = world
        .store
        .webhooks(Some(environment.id), all())
        .await
        .unwrap();
    assert_eq!(listed.items, [two, one]);
    let nowhere = world
        .store
        .create_webhook(world.webhook(world.ids.environment()))
        .await;
    assert!(
        matches!(nowhere, Err(StoreError::Missing { .. })),
        "{nowhere:?}"
    );
}

pub(crate) async fn a_change_leaves_what_it_does_not_name(world: World) {
    let tenant = world.tenant("dev").await;
    let mut webhook = world.store.webhook(tenant.webhook).await.unwrap().unwrap();
    let unchanged = world
        .store
        .change_webhook(webhook.id, WebhookChange::default())
        .await
        .unwrap();
    assert_eq!(unchanged, Some(webhook.clone()));

    webhook.url = WebhookUrl::parse("https://other.example/?x=1").unwrap();
    webhook.triggers = vec![Trigger::parse("event.deleted").unwrap()];
    let change = WebhookChange {
        url: Some(webhook.url.clone()),
        triggers: Some(webhook.triggers.clone()),
        ..WebhookChange::default()
    };
    let changed = world
        .store
        .change_webhook(webhook.id, change)
        .await
        .unwrap();
    assert_eq!(changed, Some(webhook.clone()));
    assert_eq!(
        world.store.webhook(webhook.id).await.unwrap(),
        Some(webhook)
    );
    let none = world
        .store
        .change_webhook(world.ids.next(), WebhookChange::default())
        .await
        .unwrap();
    assert_eq!(none, None);
}

pub(crate) async fn enabling_ends_the_failing(world: World) {
    let tenant = world.tenant("dev").await;
    let deliveries = world
        .delivered_to(&tenant, &[tenant.webhook, tenant.webhook])
        .await;
    for (delivery, health) in deliveries.into_iter().zip([
        HealthChange::Failing(world.now()),
        HealthChange::Disable(DisabledReason::Gone),
    ]) {
        let mut result = world.attempt(
            delivery,
            tenant.webhook,
            AfterAttempt::Retry(world.in_seconds(5)),
        );
        result.health = health;
        world.store.record_attempt(result).await.unwrap();
    }
    let disabled = world.store.webhook(tenant.webhook).await.unwrap().unwrap();
    assert_eq!(disabled.failing_since, Some(world.now()));
    let reason = match disabled.state {
        WebhookState::Disabled { reason, .. } => reason,
        WebhookState::Active => panic!("the webhook is to be disabled"),
    };
    assert_eq!(reason, DisabledReason::Gone);

    let enable = WebhookChange {
        state: Some(WebhookState::Active),
        ..WebhookChange::default()
    };
    let enabled = world
        .store
        .change_webhook(tenant.webhook, enable)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (enabled.state, enabled.failing_since),
        (WebhookState::Active, None)
    );
}

pub(crate) async fn removing_takes_what_has_not_arrived_and_leaves_what_has(world: World) {
    let tenant = world.tenant("dev").await;
    let other = world.webhook(tenant.environment);
    world.store.create_webhook(other.clone()).await.unwrap();
    let to = [tenant.webhook, tenant.webhook, tenant.webhook, other.id];
    let [arrived, dead, pending, others] = world.delivered_to(&tenant, &to).await[..] else {
        panic!("four deliveries");
    };
    world
        .attempted(arrived, tenant.webhook, AfterAttempt::Delivered)
        .await;
    let reason = tidings_domain::delivery::DeadReason::Exhausted;
    world
        .attempted(dead, tenant.webhook, AfterAttempt::Dead(reason))
        .await;

    assert!(world.store.delete_webhook(tenant.webhook).await.unwrap());
    assert!(!world.store.delete_webhook(tenant.webhook).await.unwrap());
    for gone in [dead, pending] {
        assert_eq!(world.store.delivery(gone).await.unwrap(), None);
        assert_eq!(world.store.attempts(gone).await.unwrap(), []);
    }
    let kept = world.store.delivery(arrived).await.unwrap().unwrap();
    assert_eq!(
        (kept.state, kept.webhook),
        (DeliveryState::Delivered, tenant.webhook)
    );
    assert_eq!(world.store.attempts(arrived).await.unwrap().len(), 1);
    assert_eq!(world.due(other.id).await[0].id, others);
    assert_eq!(world.store.health().await.pending_deliveries, 1);
}

pub(crate) async fn removing_many_deliveries_ends(world: World) {
    let tenant = world.tenant("dev").await;
    let verdict = tidings_domain::notification::Verdict::Accepted;
    world.record(world.arriving(&tenant, verdict, None)).await;
    let queued = world.queue().await.remove(0);
    let mut event = world.event(&tenant, &queued, &[]);
    event.deliveries = (0..2_500)
        .map(|_| NewDelivery {
            id: world.ids.next(),
            webhook: tenant.webhook,
        })
        .collect();
    world
        .store
        .finish_notification(queued.seq, queued.lease, vec![event].into())
        .await
        .unwrap();
    assert_eq!(world.store.health().await.pending_deliveries, 2_500);
    assert!(world.store.delete_webhook(tenant.webhook).await.unwrap());
    // What is left goes in slices, in time; each verb of ours gives the store an occasion.
    while world.store.health().await.pending_deliveries > 0 {
        world.clock.advance(std::time::Duration::from_secs(1));
        world
            .store
            .postpone_notification(queued.seq, queued.lease, Timestamp::default())
            .await
            .unwrap();
    }
    let listed = world
        .store
        .deliveries(DeliveryFilter::default(), all())
        .await
        .unwrap();
    assert_eq!(listed.items, []);
}
