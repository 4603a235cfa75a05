//! Subscriptions.

use tidings_domain::{connection::Connection, shard::Shard, subscription::SubscriptionState};

use super::{World, make::all};
use crate::{StoreError, record::SubscriptionUpdate};

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
    let update = world.update(&subscription);
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
