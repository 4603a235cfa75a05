//! The store as a whole.

use tidings_domain::{integration::IntegrationKey, notification::Verdict, shard::Shard};

use super::{
    World,
    make::{all, key},
};
use crate::{
    StoreError,
    record::{AfterAttempt, DeliveryFilter, Outcome, Seq, StoreHealth},
};

pub(crate) async fn all_of_it_is_there_after_a_restart(mut world: World) {
    let tenant = world.tenant("dev").await;
    let ids = world.delivered_to(&tenant, &[tenant.webhook; 2]).await;
    world
        .attempted(ids[0], tenant.webhook, AfterAttempt::Delivered)
        .await;
    world
        .record(world.arriving(&tenant, Verdict::Accepted, Some(key(1))))
        .await;
    world
        .record(world.arriving(&tenant, Verdict::Held, None))
        .await;
    let first = ids[0];
    let seen = |world: &World| {
        let store = std::sync::Arc::clone(&world.store);
        async move {
            (
                store.environments().await.unwrap(),
                store.integrations().await.unwrap(),
                store.connections(None, all()).await.unwrap(),
                store.webhooks(None, all()).await.unwrap(),
                // The lease is a new one.
                store
                    .queued_notifications(Seq::default(), 100)
                    .await
                    .unwrap()
                    .into_iter()
                    .map(|queued| (queued.seq, queued.due_at, queued.notification))
                    .collect::<Vec<_>>(),
                store
                    .deliveries(DeliveryFilter::default(), all())
                    .await
                    .unwrap(),
                store.attempts(first).await.unwrap(),
                store.health().await,
                store.hash_client_state("a state"),
            )
        }
    };
    let before = seen(&world).await;
    world.restart().await;
    assert_eq!(seen(&world).await, before);
}

pub(crate) async fn what_is_not_there_is_none(world: World) {
    let (store, ids) = (&world.store, &world.ids);
    let nobody: IntegrationKey = "nobody".parse().unwrap();
    assert_eq!(
        store.integration(ids.environment(), &nobody).await.unwrap(),
        None
    );
    assert_eq!(store.connection(ids.next()).await.unwrap(), None);
    assert_eq!(store.subscription(ids.next()).await.unwrap(), None);
    assert_eq!(store.webhook(ids.next()).await.unwrap(), None);
    assert_eq!(store.key_by_hash([0; 32]).await.unwrap(), None);
    assert_eq!(store.notification(ids.next()).await.unwrap(), None);
    assert_eq!(store.event(ids.next()).await.unwrap(), None);
    assert_eq!(store.delivery(ids.next()).await.unwrap(), None);
    assert_eq!(store.attempts(ids.next()).await.unwrap(), []);
    assert_eq!(store.reconcile(ids.next()).await.unwrap(), None);
    assert_eq!(store.reconcile_scopes(ids.next()).await.unwrap(), []);
    assert!(!store.delete_environment(ids.environment()).await.unwrap());
    assert!(!store.delete_connection(ids.next()).await.unwrap());
    let lease = world.lease(Shard::FIRST);
    assert!(
        !store
            .finish_notification(Seq(5), lease, Outcome::default())
            .await
            .unwrap()
    );
    store
        .postpone_notification(Seq(5), lease, world.now())
        .await
        .unwrap();
}

pub(crate) async fn health_counts_what_waits(mut world: World) {
    assert_eq!(world.store.health().await, StoreHealth::default());
    let tenant = world.tenant("dev").await;
    let start = world.now();
    world.delivered_to(&tenant, &[tenant.webhook; 2]).await;
    world.clock.advance(std::time::Duration::from_secs(9));
    world
        .record(world.arriving(&tenant, Verdict::Accepted, None))
        .await;
    let expected = StoreHealth {
        trouble: None,
        queued_notifications: 1,
        pending_deliveries: 2,
        oldest_waiting: Some(start),
    };
    assert_eq!(world.store.health().await, expected);
    world.restart().await;
    assert_eq!(world.store.health().await, expected);
}

pub(crate) async fn an_undamaged_store_has_no_findings(world: World) {
    let tenant = world.tenant("dev").await;
    world.delivered_to(&tenant, &[tenant.webhook]).await;
    world.reconciled(&tenant, "users/u/events", 1).await;
    world
        .record(world.arriving(&tenant, Verdict::Held, None))
        .await;
    assert_eq!(world.store.check().await.unwrap(), Vec::<String>::new());
}

pub(crate) async fn a_closed_store_takes_nothing(world: World) {
    world.store.close().await;
    world.store.close().await;
    let written = world
        .store
        .create_environment(world.environment("dev"))
        .await;
    assert!(
        matches!(written, Err(StoreError::Unavailable { .. })),
        "{written:?}"
    );
    let read = world.store.environments().await;
    assert!(
        matches!(read, Err(StoreError::Unavailable { .. })),
        "{read:?}"
    );
    assert!(world.store.health().await.trouble.is_some());
}

pub(crate) async fn hashes_are_equal_for_equal_states_only(world: World) {
    let hash = |text| world.store.hash_client_state(text);
    assert_eq!(hash("one"), hash("one"));
    assert_ne!(hash("one"), hash("two"));
}
