//! The queue of enrich, and what comes out of it.

use tidings_domain::{delivery::DeliveryState, notification::Verdict, shard::Shard};

use super::{
    World,
    make::{UPDATED, all, key},
};
use crate::{
    StoreError,
    record::{DeliveryFilter, EventFilter, NewNotification, Seq},
};

pub(crate) async fn the_queue_is_in_the_order_of_commits(world: World) {
    let tenant = world.tenant("dev").await;
    let mut recorded = Vec::new();
    for number in 0..4 {
        let mut new = world.arriving(&tenant, Verdict::Accepted, None);
        // Neither ids nor due times decide.
        new.due_at = world.in_seconds(10 - number);
        recorded.push(new.notification.id);
        world.record(new).await;
    }
    let queue = world.queue().await;
    let ids: Vec<_> = queue.iter().map(|one| one.notification.id).collect();
    assert_eq!(ids, recorded);
    assert!(queue.windows(2).all(|pair| pair[0].seq < pair[1].seq));
}

pub(crate) async fn the_queue_is_read_from_a_place_on(world: World) {
    let tenant = world.tenant("dev").await;
    for _ in 0..5 {
        world
            .record(world.arriving(&tenant, Verdict::Accepted, None))
            .await;
    }
    let queue = world.queue().await;
    let behind = world
        .store
        .queued_notifications(queue[4].seq, 2)
        .await
        .unwrap();
    assert_eq!(behind, []);
    let next = world
        .store
        .queued_notifications(queue[1].seq, 2)
        .await
        .unwrap();
    assert_eq!(next, queue[2..4]);
    let places = vec![queue[3].seq, Seq(1 << 40), queue[0].seq];
    let found = world.store.queued_notifications_at(places).await.unwrap();
    assert_eq!(found, [queue[3].clone(), queue[0].clone()]);
}

pub(crate) async fn a_postponed_one_stays_with_its_failures(world: World) {
    let tenant = world.tenant("dev").await;
    world
        .record(world.arriving(&tenant, Verdict::Accepted, None))
        .await;
    let seq = world.queue().await[0].seq;
    for seconds in [5, 9] {
        world
            .store
            .postpone_notification(seq, world.lease(Shard::FIRST), world.in_seconds(seconds))
            .await
            .unwrap();
    }
    let queued = &world
        .store
        .queued_notifications_at(vec![seq])
        .await
        .unwrap()[0];
    assert_eq!((queued.due_at, queued.failures), (world.in_seconds(9), 2));
}

pub(crate) async fn finishing_makes_the_event_and_its_deliveries(world: World) {
    let tenant = world.tenant("dev").await;
    let other = world.webhook(tenant.environment);
    world.store.create_webhook(other.clone()).await.unwrap();
    world
        .record(world.arriving(&tenant, Verdict::Accepted, None))
        .await;
    let queued = world.queue().await.remove(0);
    let one = world.event(&tenant, &queued, &[tenant.webhook, other.id]);
    let two = world.event(&tenant, &queued, &[other.id]);
    let events = vec![one.clone(), two.clone()];
    assert!(
        world
            .store
            .finish_notification(queued.seq, queued.lease, events.into())
            .await
            .unwrap()
    );

    assert_eq!(world.queue().await, []);
    assert_eq!(
        world.store.event(one.event.id).await.unwrap(),
        Some(one.event.clone())
    );
    assert_eq!(
        world.store.event(two.event.id).await.unwrap(),
        Some(two.event)
    );
    let due = world.due(tenant.webhook).await;
    assert_eq!(due.len(), 1);
    assert_eq!(
        (due[0].id, due[0].event),
        (one.deliveries[0].id, one.event.id)
    );
    assert_eq!((&due[0].body, due[0].attempts), (&one.event.body, 0));
    let delivery = world.store.delivery(due[0].id).await.unwrap().unwrap();
    assert_eq!(delivery.environment, tenant.environment);
    assert_eq!((delivery.event, delivery.trigger), (one.event.id, UPDATED));
    assert_eq!(
        (delivery.state, delivery.due_at),
        (DeliveryState::Pending, Some(world.now()))
    );
    assert_eq!(world.due(other.id).await.len(), 2);
    let health = world.store.health().await;
    assert_eq!(
        (health.queued_notifications, health.pending_deliveries),
        (0, 3)
    );
}

pub(crate) async fn finishing_twice_leads_to_nothing_twice(world: World) {
    let tenant = world.tenant("dev").await;
    world
        .record(world.arriving(&tenant, Verdict::Accepted, None))
        .await;
    let queued = world.queue().await.remove(0);
    for first in [true, false] {
        let event = world.event(&tenant, &queued, &[tenant.webhook]);
        let finished = world
            .store
            .finish_notification(queued.seq, queued.lease, vec![event].into())
            .await
            .unwrap();
        assert_eq!(finished, first);
    }
    let events = world
        .store
        .events(EventFilter::default(), all())
        .await
        .unwrap();
    assert_eq!(events.items.len(), 1);
    assert_eq!(world.due(tenant.webhook).await.len(), 1);
}

pub(crate) async fn an_event_nobody_asked_for_is_kept(world: World) {
    let tenant = world.tenant("dev").await;
    world.delivered_to(&tenant, &[]).await;
    let events = world
        .store
        .events(EventFilter::default(), all())
        .await
        .unwrap();
    assert_eq!(events.items.len(), 1);
    let deliveries = world
        .store
        .deliveries(DeliveryFilter::default(), all())
        .await
        .unwrap();
    assert_eq!(deliveries.items, []);
}

pub(crate) async fn a_webhook_that_is_gone_gets_no_delivery(world: World) {
    let tenant = world.tenant("dev").await;
    let gone = world.webhook(tenant.environment);
    world.store.create_webhook(gone.clone()).await.unwrap();
    world.store.delete_webhook(gone.id).await.unwrap();
    let ids = world
        .delivered_to(&tenant, &[gone.id, tenant.webhook])
        .await;
    let deliveries = world
        .store
        .deliveries(DeliveryFilter::default(), all())
        .await
        .unwrap();
    let made: Vec<_> = deliveries.items.iter().map(|one| one.id).collect();
    assert_eq!(made, [ids[1]]);
}

/// A held notification in the queue, and what it is settled with.
async fn held(world: &World, verdict: Verdict) -> (Seq, NewNotification) {
    let tenant = world.tenant("dev").await;
    let held = world.arriving(&tenant, Verdict::Held, None);
    world.record(held.clone()).await;
    let mut settled = world.arriving(&tenant, verdict, Some(key(1)));
    settled.notification.id = held.notification.id;
    settled.due_at = world.in_seconds(1);
    (world.queue().await[0].seq, settled)
}

pub(crate) async fn a_held_one_that_is_matched_claims_its_key(world: World) {
    let (seq, settled) = held(&world, Verdict::Accepted).await;
    let verdict = world
        .store
        .settle_held(seq, world.lease(Shard::FIRST), settled.clone())
        .await
        .unwrap();
    assert_eq!(verdict, Verdict::Accepted);
    let queued = world.queue().await.remove(0);
    assert_eq!((queued.seq, queued.due_at), (seq, settled.due_at));
    assert_eq!(queued.client_state_hash, None);
    assert_eq!(queued.notification, settled.notification);

    let mut again = settled;
    again.notification.id = world.ids.next();
    assert_eq!(world.record(again).await, Verdict::Duplicate);
}

pub(crate) async fn a_held_one_whose_key_is_taken_is_a_duplicate(world: World) {
    let (seq, settled) = held(&world, Verdict::Accepted).await;
    let mut earlier = settled.clone();
    earlier.notification.id = world.ids.next();
    assert_eq!(world.record(earlier).await, Verdict::Accepted);
    let verdict = world
        .store
        .settle_held(seq, world.lease(Shard::FIRST), settled.clone())
        .await
        .unwrap();
    assert_eq!(verdict, Verdict::Duplicate);
    let found = world
        .store
        .notification(settled.notification.id)
        .await
        .unwrap();
    assert_eq!(found.unwrap().verdict, Verdict::Duplicate);
    assert_eq!(world.queue().await.len(), 1);
}

pub(crate) async fn a_held_one_that_is_matched_by_nothing_is_rejected(world: World) {
    let (seq, settled) = held(&world, Verdict::UnknownSubscription).await;
    let verdict = world
        .store
        .settle_held(seq, world.lease(Shard::FIRST), settled.clone())
        .await
        .unwrap();
    assert_eq!(verdict, Verdict::UnknownSubscription);
    assert_eq!(world.queue().await, []);
    assert_eq!(world.store.health().await.queued_notifications, 0);
    let found = world
        .store
        .notification(settled.notification.id)
        .await
        .unwrap();
    assert_eq!(found.unwrap().verdict, Verdict::UnknownSubscription);
}

pub(crate) async fn settling_twice_gives_the_same_verdict(world: World) {
    let (seq, settled) = held(&world, Verdict::Accepted).await;
    for _ in 0..2 {
        let verdict = world
            .store
            .settle_held(seq, world.lease(Shard::FIRST), settled.clone())
            .await
            .unwrap();
        assert_eq!(verdict, Verdict::Accepted);
    }
    assert_eq!(world.queue().await.len(), 1);
    let nothing = world
        .store
        .settle_held(Seq(1 << 40), world.lease(Shard::FIRST), settled)
        .await;
    assert!(
        matches!(nothing, Err(StoreError::Missing { .. })),
        "{nothing:?}"
    );
}
