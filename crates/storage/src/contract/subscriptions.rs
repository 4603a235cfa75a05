//! Subscriptions.

use tidings_domain::{
    connection::Connection,
    ids::SubscriptionId,
    notification::{LifecycleEvent, Verdict},
    shard::Shard,
    subscription::{Former, Lifecycle, Subscription, SubscriptionState},
};

use super::{
    World,
    make::{Tenant, all, unchanged},
};
use crate::{
    StoreError,
    record::{LifecycleNote, Outcome, SubscriptionUpdate},
};

async fn connection(world: &World) -> Connection {
    let tenant = world.tenant("dev").await;
    world
        .store
        .connection(tenant.connection)
        .await
        .unwrap()
        .unwrap()
}

pub(crate) async fn a_subscription_reads_back_with_its_secret(world: World) {
    let connection = connection(&world).await;
    let one = world.subscription(&connection, "users/u/events");
    let two = world.subscription(&connection, "users/u/messages");
    world
        .store
        .create_subscription(one.clone(), Shard::FIRST)
        .await
        .unwrap();
    world
        .store
        .create_subscription(two.clone(), Shard::FIRST)
        .await
        .unwrap();
    assert_eq!(
        world.store.subscription(one.id).await.unwrap(),
        Some(one.clone())
    );
    for (environment, of) in [
        (None, None),
        (Some(connection.environment), None),
        (Some(connection.environment), Some(connection.id)),
    ] {
        let listed = world
            .store
            .subscriptions(environment, of, all())
            .await
            .unwrap();
        assert_eq!(listed.items, [two.clone(), one.clone()]);
    }
    let elsewhere = world
        .store
        .subscriptions(Some(world.ids.environment()), None, all())
        .await
        .unwrap();
    assert_eq!(elsewhere.items, []);
}

pub(crate) async fn the_same_wish_is_taken_once(world: World) {
    let connection = connection(&world).await;
    let one = world.subscription(&connection, "users/u/events");
    world
        .store
        .create_subscription(one, Shard::FIRST)
        .await
        .unwrap();
    let again = world
        .store
        .create_subscription(
            world.subscription(&connection, "users/u/events"),
            Shard::FIRST,
        )
        .await;
    assert!(
        matches!(again, Err(StoreError::Conflict { .. })),
        "{again:?}"
    );
    let mut other = world.subscription(&connection, "users/u/events");
    other.change_types = "deleted".parse().unwrap();
    world
        .store
        .create_subscription(other, Shard::FIRST)
        .await
        .unwrap();

    let mut nowhere = world.subscription(&connection, "users/v/events");
    nowhere.connection = world.ids.next();
    let missing = world.store.create_subscription(nowhere, Shard::FIRST).await;
    assert!(
        matches!(missing, Err(StoreError::Missing { .. })),
        "{missing:?}"
    );
}

pub(crate) async fn an_update_sets_what_the_loop_has_done(world: World) {
    let connection = connection(&world).await;
    let mut subscription = world.subscription(&connection, "users/u/events");
    world
        .store
        .create_subscription(subscription.clone(), Shard::FIRST)
        .await
        .unwrap();
    subscription.state = SubscriptionState::Active;
    subscription.graph_id = Some("9ra9h".to_owned());
    subscription.expires_at = Some(world.in_seconds(3_600));
    subscription.due_at = world.in_seconds(1_800);
    subscription.failures = 2;
    subscription.last_error = Some("Graph was busy".to_owned());
    subscription.renewed_at = Some(world.now());
    subscription.patched_at = Some(world.in_seconds(1));
    subscription.notification_url = Some("https://a.example/hook".to_owned());
    subscription.lifecycle_url = Some("https://a.example/hook/lifecycle".to_owned());
    subscription.former = Some(Former {
        graph_id: "8ra8h".to_owned(),
        since: world.in_seconds(2),
    });
    let update = unchanged(&subscription);
    world
        .store
        .update_subscription(update.clone(), None)
        .await
        .unwrap();
    let found = world.store.subscription(subscription.id).await.unwrap();
    assert_eq!(found, Some(subscription));
    let missing = SubscriptionUpdate {
        id: world.ids.next(),
        ..update
    };
    let missing = world.store.update_subscription(missing, None).await;
    assert!(
        matches!(missing, Err(StoreError::Missing { .. })),
        "{missing:?}"
    );
}

pub(crate) async fn what_is_to_be_removed_stays_so_whatever_was_under_way(world: World) {
    let connection = connection(&world).await;
    let row = world.subscription(&connection, "users/u/events");
    let create = world.store.create_subscription(row.clone(), Shard::FIRST);
    create.await.unwrap();
    let marked = SubscriptionUpdate {
        state: SubscriptionState::Deleting,
        ..unchanged(&row)
    };
    world
        .store
        .update_subscription(marked.clone(), None)
        .await
        .unwrap();
    let made = SubscriptionUpdate {
        state: SubscriptionState::Active,
        graph_id: Some("9ra9h".to_owned()),
        due_at: world.in_seconds(3_600),
        ..unchanged(&row)
    };
    world.store.update_subscription(made, None).await.unwrap();
    let found = world.store.subscription(row.id).await.unwrap().unwrap();
    assert_eq!(
        (found.state, found.due_at),
        (SubscriptionState::Deleting, row.due_at)
    );
    assert_eq!(found.graph_id.as_deref(), Some("9ra9h"));
    let later = SubscriptionUpdate {
        due_at: world.in_seconds(60),
        ..marked
    };
    world.store.update_subscription(later, None).await.unwrap();
    let found = world.store.subscription(row.id).await.unwrap().unwrap();
    assert_eq!(found.due_at, world.in_seconds(60));
}

pub(crate) async fn due_subscriptions_come_the_longest_due_first(world: World) {
    let connection = connection(&world).await;
    assert_eq!(world.store.next_due_subscription().await.unwrap(), None);
    let mut made = Vec::new();
    for (resource, due_in) in [("a", 20), ("b", 10), ("c", 30)] {
        let mut subscription = world.subscription(&connection, resource);
        subscription.due_at = world.in_seconds(due_in);
        world
            .store
            .create_subscription(subscription.clone(), Shard::FIRST)
            .await
            .unwrap();
        made.push(subscription);
    }
    assert_eq!(
        world.store.next_due_subscription().await.unwrap(),
        Some(made[1].due_at)
    );
    let due = async |at, limit| {
        let found = world.store.due_subscriptions(at, limit).await.unwrap();
        found
            .into_iter()
            .map(|due| due.subscription)
            .collect::<Vec<_>>()
    };
    assert_eq!(due(world.in_seconds(9), 10).await, []);
    let both = due(world.in_seconds(20), 10).await;
    assert_eq!(both, [made[1].clone(), made[0].clone()]);
    assert_eq!(due(world.in_seconds(99), 1).await, [made[1].clone()]);
}

pub(crate) async fn a_removed_subscription_is_gone(world: World) {
    let connection = connection(&world).await;
    let one = world.subscription(&connection, "users/u/events");
    world
        .store
        .create_subscription(one.clone(), Shard::FIRST)
        .await
        .unwrap();
    assert!(world.store.delete_subscription(one.id).await.unwrap());
    assert!(!world.store.delete_subscription(one.id).await.unwrap());
    assert_eq!(world.store.subscription(one.id).await.unwrap(), None);
    assert_eq!(world.store.next_due_subscription().await.unwrap(), None);
}

/// That notifications were missed, to be seen to now.
pub(crate) fn note(world: &World, subscription: SubscriptionId) -> LifecycleNote {
    LifecycleNote {
        subscription,
        event: LifecycleEvent::ReauthorizationRequired,
        due_at: world.now(),
    }
}

/// A subscription that is due in so many seconds.
async fn due_in(world: &World, tenant: &Tenant, seconds: u64) -> Subscription {
    let connection = world.store.connection(tenant.connection).await.unwrap();
    let mut subscription = world.subscription(&connection.unwrap(), "users/u/events");
    subscription.due_at = world.in_seconds(seconds);
    let created = world
        .store
        .create_subscription(subscription.clone(), Shard::FIRST);
    created.await.unwrap();
    subscription
}

/// Has the end of a notification say what its subscription's lifecycle came to.
async fn noted(world: &World, tenant: &Tenant, note: LifecycleNote) {
    world
        .record(world.arriving(tenant, Verdict::Accepted, None))
        .await;
    let queued = world.queue().await.remove(0);
    let outcome = Outcome {
        lifecycle: Some(note),
        ..Outcome::default()
    };
    let finished = world
        .store
        .finish_notification(queued.seq, queued.lease, outcome)
        .await;
    assert!(finished.unwrap());
}

async fn lifecycle(world: &World, id: SubscriptionId) -> (Option<Lifecycle>, u64) {
    let found = world.store.subscription(id).await.unwrap().unwrap();
    let due = found.due_at.as_millis() - world.now().as_millis();
    (found.lifecycle, u64::try_from(due / 1_000).unwrap())
}

pub(crate) async fn lifecycle_notifications_are_noted_until_somebody_sees_to_them(world: World) {
    let tenant = world.tenant("dev").await;
    let subscription = due_in(&world, &tenant, 60).await;
    let id = subscription.id;
    let mut expected = Lifecycle::default();
    for (event, seconds, due) in [
        (LifecycleEvent::ReauthorizationRequired, 90, 60),
        (LifecycleEvent::ReauthorizationRequired, 30, 30),
        (LifecycleEvent::SubscriptionRemoved, 40, 30),
        (LifecycleEvent::ReauthorizationRequired, 50, 30),
    ] {
        let note = LifecycleNote {
            event,
            due_at: world.in_seconds(seconds),
            ..note(&world, id)
        };
        noted(&world, &tenant, note).await;
        expected.reauthorize |= event == LifecycleEvent::ReauthorizationRequired;
        expected.removed |= event == LifecycleEvent::SubscriptionRemoved;
        expected.count += 1;
        assert_eq!(lifecycle(&world, id).await, (Some(expected), due));
    }
    let due = world.store.due_subscriptions(world.in_seconds(30), 9).await;
    assert_eq!(due.unwrap()[0].subscription.lifecycle, Some(expected));
    let seen_to = SubscriptionUpdate {
        attended: Some(4),
        ..unchanged(&subscription)
    };
    let updated = world.store.update_subscription(seen_to, None).await;
    updated.unwrap();
    let found = world.store.subscription(id).await.unwrap();
    assert_eq!(found, Some(subscription));
    // They are counted on, so that nobody takes the next one for one of those.
    noted(&world, &tenant, note(&world, id)).await;
    assert_eq!(lifecycle(&world, id).await.0.unwrap().count, 5);
    // Of one that is gone nothing is to be seen to.
    noted(&world, &tenant, note(&world, world.ids.next())).await;
}

pub(crate) async fn what_came_meanwhile_is_still_to_be_seen_to(world: World) {
    let tenant = world.tenant("dev").await;
    let subscription = due_in(&world, &tenant, 60).await;
    let id = subscription.id;
    noted(&world, &tenant, note(&world, id)).await;
    let removed = LifecycleNote {
        event: LifecycleEvent::SubscriptionRemoved,
        ..note(&world, id)
    };
    noted(&world, &tenant, removed).await;
    let seen_to_the_first = SubscriptionUpdate {
        attended: Some(1),
        failures: 3,
        ..unchanged(&subscription)
    };
    let updated = world
        .store
        .update_subscription(seen_to_the_first, None)
        .await;
    updated.unwrap();
    let both = Lifecycle {
        reauthorize: true,
        removed: true,
        count: 2,
    };
    assert_eq!(lifecycle(&world, id).await, (Some(both), 0));
    let found = world.store.subscription(id).await.unwrap().unwrap();
    assert_eq!(found.failures, 3, "the rest of the update holds");
}

pub(crate) async fn an_update_leaves_what_it_has_not_seen_to(world: World) {
    let tenant = world.tenant("dev").await;
    let subscription = due_in(&world, &tenant, 60).await;
    let id = subscription.id;
    let later = SubscriptionUpdate {
        due_at: world.in_seconds(90),
        ..unchanged(&subscription)
    };
    let updated = world.store.update_subscription(later.clone(), None).await;
    updated.unwrap();
    assert_eq!(lifecycle(&world, id).await, (None, 90));

    noted(&world, &tenant, note(&world, id)).await;
    let updated = world.store.update_subscription(later, None).await;
    updated.unwrap();
    let kept = Lifecycle {
        reauthorize: true,
        removed: false,
        count: 1,
    };
    assert_eq!(lifecycle(&world, id).await, (Some(kept), 0));
}

pub(crate) async fn an_update_tells_its_events(world: World) {
    let tenant = world.tenant("dev").await;
    let subscription = due_in(&world, &tenant, 60).await;
    world
        .record(world.arriving(&tenant, Verdict::Accepted, None))
        .await;
    let queued = world.queue().await.remove(0);
    let mut told = world.event(&tenant, &queued, &[tenant.webhook, world.ids.next()]);
    told.event.notification = None;
    let update = SubscriptionUpdate {
        events: vec![told.clone()],
        ..unchanged(&subscription)
    };
    let missing = SubscriptionUpdate {
        id: world.ids.next(),
        ..update.clone()
    };
    assert!(
        world
            .store
            .update_subscription(missing, None)
            .await
            .is_err()
    );
    assert_eq!(world.store.event(told.event.id).await.unwrap(), None);
    let updated = world.store.update_subscription(update, None).await;
    updated.unwrap();
    let found = world.store.event(told.event.id).await.unwrap();
    assert_eq!(found, Some(told.event));
    let due = world.due(tenant.webhook).await;
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].id, told.deliveries[0].id);
    assert_eq!(world.store.health().await.pending_deliveries, 1);
}

pub(crate) async fn what_is_sent_elsewhere_becomes_due(world: World) {
    let tenant = world.tenant("dev").await;
    let (here, there) = ("https://here.example/", "https://there.example/");
    let connection = world.store.connection(tenant.connection).await.unwrap();
    let connection = connection.unwrap();
    let mut rows = Vec::new();
    for (user, url) in [
        ("a", Some(here)),
        ("b", Some(there)),
        ("c", Some(there)),
        ("d", Some(there)),
        ("e", None),
    ] {
        let resource = format!("users/{user}/events");
        let mut subscription = world.subscription(&connection, &resource);
        subscription.due_at = world.in_seconds(60);
        let create = world
            .store
            .create_subscription(subscription.clone(), Shard::FIRST);
        create.await.unwrap();
        let update = SubscriptionUpdate {
            notification_url: url.map(str::to_owned),
            ..unchanged(&subscription)
        };
        let updated = world.store.update_subscription(update, None).await;
        updated.unwrap();
        rows.push(subscription.id);
    }
    let integration = tenant.integration;
    let hasten = |integration, limit| {
        let now = world.now();
        world
            .store
            .hasten_subscriptions_sent_elsewhere(integration, here, now, limit)
    };
    assert_eq!(hasten(world.ids.next(), 10).await.unwrap(), 0);
    assert_eq!(hasten(integration, 2).await.unwrap(), 2);
    assert_eq!(hasten(integration, 2).await.unwrap(), 1);
    assert_eq!(hasten(integration, 2).await.unwrap(), 0);
    let due = world
        .store
        .due_subscriptions(world.now(), 10)
        .await
        .unwrap();
    let mut due: Vec<_> = due.into_iter().map(|due| due.subscription.id).collect();
    due.sort();
    assert_eq!(due, rows[1..4]);
}
