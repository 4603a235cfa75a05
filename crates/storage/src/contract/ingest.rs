//! Recording notifications.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tidings_domain::{
    ids::NotificationId,
    notification::{LifecycleEvent, Verdict},
};
use tokio::task::JoinSet;

use super::{
    World,
    make::{all, key},
};
use crate::record::NotificationFilter;

async fn listed(world: &World) -> Vec<(NotificationId, Verdict)> {
    let listed = world
        .store
        .notifications(NotificationFilter::default(), all())
        .await
        .unwrap();
    listed
        .items
        .into_iter()
        .map(|one| (one.id, one.verdict))
        .collect()
}

pub(crate) async fn an_accepted_notification_is_queued_with_all_its_members(world: World) {
    let tenant = world.tenant("dev").await;
    let mut change = world.arriving(&tenant, Verdict::Accepted, Some(key(1)));
    change.due_at = world.in_seconds(3);
    let mut lifecycle = world.arriving(&tenant, Verdict::Accepted, None);
    lifecycle.notification.change_type = None;
    lifecycle.notification.lifecycle_event = Some(LifecycleEvent::ReauthorizationRequired);
    lifecycle.notification.etag = None;
    lifecycle.notification.tenant_id = None;
    lifecycle.notification.graph_subscription_id = None;
    lifecycle.notification.item = Bytes::from_static(b"\x00 any bytes \xff");
    let both = vec![change.clone(), lifecycle.clone()];
    let verdicts = world.store.record_notifications(both).await.unwrap();
    assert_eq!(verdicts, [Verdict::Accepted, Verdict::Accepted]);

    let queue = world.queue().await;
    assert_eq!(queue[0].notification, change.notification);
    assert_eq!(queue[1].notification, lifecycle.notification);
    assert_eq!((queue[0].due_at, queue[0].failures), (change.due_at, 0));
    assert_eq!(queue[0].client_state_hash, None);
    let id = lifecycle.notification.id;
    assert_eq!(
        world.store.notification(id).await.unwrap(),
        Some(lifecycle.notification)
    );
}

pub(crate) async fn a_second_with_the_same_key_is_a_duplicate(world: World) {
    let tenant = world.tenant("dev").await;
    let first = world.arriving(&tenant, Verdict::Accepted, Some(key(1)));
    let second = world.arriving(&tenant, Verdict::Accepted, Some(key(1)));
    let other = world.arriving(&tenant, Verdict::Accepted, Some(key(2)));
    let ids = [&other, &second, &first].map(|new| new.notification.id);
    assert_eq!(world.record(first).await, Verdict::Accepted);
    assert_eq!(world.record(second).await, Verdict::Duplicate);
    assert_eq!(world.record(other).await, Verdict::Accepted);
    let verdicts = [Verdict::Accepted, Verdict::Duplicate, Verdict::Accepted];
    let expected: Vec<_> = ids.into_iter().zip(verdicts).collect();
    assert_eq!(
        listed(&world).await,
        expected,
        "each is visible, the duplicate too"
    );
    let queued: Vec<_> = world
        .queue()
        .await
        .iter()
        .map(|one| one.notification.id)
        .collect();
    assert_eq!(queued, [ids[2], ids[0]]);
}

pub(crate) async fn duplicates_within_one_post_are_told(world: World) {
    let tenant = world.tenant("dev").await;
    let post = [1, 2, 1, 1]
        .map(|number| world.arriving(&tenant, Verdict::Accepted, Some(key(number))))
        .to_vec();
    let verdicts = world.store.record_notifications(post).await.unwrap();
    let (yes, no) = (Verdict::Accepted, Verdict::Duplicate);
    assert_eq!(verdicts, [yes, yes, no, no]);
    assert_eq!(world.queue().await.len(), 2);
}

pub(crate) async fn without_a_key_every_one_is_a_change(world: World) {
    let tenant = world.tenant("dev").await;
    for _ in 0..2 {
        let new = world.arriving(&tenant, Verdict::Accepted, None);
        assert_eq!(world.record(new).await, Verdict::Accepted);
    }
    assert_eq!(world.queue().await.len(), 2);
}

pub(crate) async fn a_key_is_remembered_for_a_day(world: World) {
    let tenant = world.tenant("dev").await;
    world
        .record(world.arriving(&tenant, Verdict::Accepted, Some(key(1))))
        .await;
    // Whatever upkeep the passing time causes, the key must live through it.
    for _ in 0..24 {
        world.clock.advance(Duration::from_hours(1));
        world
            .record(world.arriving(&tenant, Verdict::Accepted, None))
            .await;
    }
    let again = world.arriving(&tenant, Verdict::Accepted, Some(key(1)));
    assert_eq!(world.record(again).await, Verdict::Duplicate);
}

pub(crate) async fn a_key_outlives_a_restart(mut world: World) {
    let tenant = world.tenant("dev").await;
    world
        .record(world.arriving(&tenant, Verdict::Accepted, Some(key(1))))
        .await;
    world.restart().await;
    let again = world.arriving(&tenant, Verdict::Accepted, Some(key(1)));
    assert_eq!(world.record(again).await, Verdict::Duplicate);
}

pub(crate) async fn a_held_one_is_queued_without_claiming(world: World) {
    let tenant = world.tenant("dev").await;
    let mut held = world.arriving(&tenant, Verdict::Held, Some(key(1)));
    held.due_at = world.in_seconds(5);
    assert_eq!(world.record(held.clone()).await, Verdict::Held);
    let queued = world.queue().await.remove(0);
    assert_eq!(queued.client_state_hash, held.client_state_hash);
    assert_eq!(
        (queued.due_at, queued.notification),
        (held.due_at, held.notification)
    );
    let accepted = world.arriving(&tenant, Verdict::Accepted, Some(key(1)));
    assert_eq!(world.record(accepted).await, Verdict::Accepted);
}

pub(crate) async fn a_post_is_recorded_whole_or_not_at_all(world: World) {
    let tenant = world.tenant("dev").await;
    let good = world.arriving(&tenant, Verdict::Accepted, Some(key(1)));
    let poison = good.clone();
    let error = world
        .store
        .record_notifications(vec![good, poison.clone()])
        .await;
    // The second of the two is a duplicate by its key, but its id is taken: it cannot be written.
    assert!(
        matches!(error, Err(crate::StoreError::Poison { .. })),
        "{error:?}"
    );
    assert_eq!(listed(&world).await, []);
    assert_eq!(world.store.health().await.queued_notifications, 0);
}

pub(crate) async fn a_failed_recording_leaves_its_key_free(world: World) {
    let tenant = world.tenant("dev").await;
    let first = world.arriving(&tenant, Verdict::Accepted, Some(key(1)));
    let mut poison = world.arriving(&tenant, Verdict::Accepted, Some(key(2)));
    poison.notification.id = first.notification.id;
    world.record(first).await;
    world
        .store
        .record_notifications(vec![poison.clone()])
        .await
        .unwrap_err();
    // Graph sends it again.
    poison.notification.id = world.ids.next();
    assert_eq!(world.record(poison).await, Verdict::Accepted);
}

pub(crate) async fn one_poison_among_a_thousand_fails_alone(world: World) {
    let tenant = world.tenant("dev").await;
    let taken = world.arriving(&tenant, Verdict::Accepted, None);
    world.record(taken.clone()).await;
    let mut posts = JoinSet::new();
    for number in 0..1_000 {
        let mut new = world.arriving(&tenant, Verdict::Accepted, None);
        if number == 500 {
            new.notification.id = taken.notification.id;
        }
        let store = Arc::clone(&world.store);
        posts.spawn(async move { store.record_notifications(vec![new]).await });
    }
    let results = posts.join_all().await;
    let failed = results.iter().filter(|result| result.is_err()).count();
    assert_eq!(failed, 1);
    assert_eq!(world.queue().await.len(), 1_000);
    assert_eq!(world.store.health().await.queued_notifications, 1_000);
}

pub(crate) async fn a_storm_of_the_same_is_accepted_once(world: World) {
    let tenant = world.tenant("dev").await;
    let mut posts = JoinSet::new();
    for _ in 0..100 {
        let new = world.arriving(&tenant, Verdict::Accepted, Some(key(1)));
        let store = Arc::clone(&world.store);
        posts.spawn(async move { store.record_notifications(vec![new]).await.unwrap() });
    }
    let verdicts = posts.join_all().await.concat();
    let accepted = verdicts
        .iter()
        .filter(|&&verdict| verdict == Verdict::Accepted);
    assert_eq!(accepted.count(), 1);
    assert!(
        verdicts
            .iter()
            .all(|verdict| matches!(verdict, Verdict::Accepted | Verdict::Duplicate))
    );
    assert_eq!(world.queue().await.len(), 1);
}

pub(crate) async fn of_the_rejected_only_the_newest_are_kept(world: World) {
    let (one, other) = (world.tenant("one").await, world.tenant("other").await);
    let kept = world.notification(&other, Verdict::WrongTenant);
    world
        .store
        .record_rejected(vec![kept.clone()])
        .await
        .unwrap();
    let accepted = world.arriving(&one, Verdict::Accepted, None);
    world.record(accepted.clone()).await;
    let mut newest = Vec::new();
    for _ in 0..5 {
        world.clock.advance(Duration::from_secs(1));
        let rejected: Vec<_> = (0..3)
            .map(|_| world.notification(&one, Verdict::Malformed))
            .collect();
        newest.extend(rejected.iter().map(|rejected| rejected.id));
        world.store.record_rejected(rejected).await.unwrap();
    }
    let filter = NotificationFilter {
        integration: Some(one.integration),
        verdict: Some(Verdict::Malformed),
        ..NotificationFilter::default()
    };
    let listed = world
        .store
        .notifications(filter, all())
        .await
        .unwrap()
        .items;
    let listed: Vec<_> = listed.into_iter().rev().map(|one| one.id).collect();
    assert_eq!(listed, newest[5..], "ten are kept, and each in its order");
    assert!(world.store.notification(kept.id).await.unwrap().is_some());
    assert!(
        world
            .store
            .notification(accepted.notification.id)
            .await
            .unwrap()
            .is_some()
    );
}

pub(crate) async fn rejected_ones_are_cut_and_never_queued(world: World) {
    let tenant = world.tenant("dev").await;
    let mut rejected = world.notification(&tenant, Verdict::UnknownSubscription);
    rejected.item = vec![b'x'; 1 << 20].into();
    rejected.resource = "y".repeat(1 << 20);
    world
        .store
        .record_rejected(vec![rejected.clone()])
        .await
        .unwrap();
    let found = world
        .store
        .notification(rejected.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.item, rejected.item[..4_096]);
    assert!(found.resource.len() <= 4_096);
    assert_eq!(world.queue().await, []);
}

pub(crate) async fn rejected_ones_have_a_budget(world: World) {
    let tenant = world.tenant("dev").await;
    let mut last = Vec::new();
    for _ in 0..30 {
        let rejected = world.notification(&tenant, Verdict::Malformed);
        last.push(rejected.id);
        world.store.record_rejected(vec![rejected]).await.unwrap();
    }
    // 25 a second are written; of those the newest 10 are kept.
    assert!(world.store.notification(last[24]).await.unwrap().is_some());
    assert_eq!(world.store.notification(last[25]).await.unwrap(), None);
    world.clock.advance(Duration::from_secs(1));
    let rejected = world.notification(&tenant, Verdict::Malformed);
    world
        .store
        .record_rejected(vec![rejected.clone()])
        .await
        .unwrap();
    assert!(
        world
            .store
            .notification(rejected.id)
            .await
            .unwrap()
            .is_some()
    );
}
