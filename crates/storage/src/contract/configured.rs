//! Environments, integrations, connections and keys.

use tidings_domain::{
    connection::ConnectionState,
    ids::EnvironmentId,
    key::{ApiKey, Scope},
    notification::Verdict,
    shard::Shard,
};

use super::{
    World,
    make::{all, unchanged},
    reconcile::as_it_is,
};
use crate::{
    StoreError,
    record::{NewApiKey, ReconcileUpdate, SubscriptionUpdate},
};

pub(crate) async fn an_environment_name_is_taken_once(world: World) {
    let first = world.environment("dev");
    world.store.create_environment(first.clone()).await.unwrap();
    let again = world
        .store
        .create_environment(world.environment("dev"))
        .await;
    assert!(
        matches!(again, Err(StoreError::Conflict { .. })),
        "{again:?}"
    );
    let second = world.environment("prod");
    world
        .store
        .create_environment(second.clone())
        .await
        .unwrap();
    assert_eq!(world.store.environments().await.unwrap(), [first, second]);
}

pub(crate) async fn an_environment_in_use_stays_and_an_unused_one_goes_with_its_keys(world: World) {
    let tenant = world.tenant("dev").await;
    let refused = world.store.delete_environment(tenant.environment).await;
    assert!(
        matches!(refused, Err(StoreError::Conflict { .. })),
        "{refused:?}"
    );

    let unused = world.environment("old");
    world
        .store
        .create_environment(unused.clone())
        .await
        .unwrap();
    world
        .store
        .create_key(new_key(&world, Some(unused.id), 1))
        .await
        .unwrap();
    assert!(world.store.delete_environment(unused.id).await.unwrap());
    assert!(!world.store.delete_environment(unused.id).await.unwrap());
    assert_eq!(world.store.key_by_hash([1; 32]).await.unwrap(), None);
    assert_eq!(world.store.environments().await.unwrap().len(), 1);
}

pub(crate) async fn an_integration_reads_back_with_its_secrets(world: World) {
    let environment = world.environment("dev");
    world
        .store
        .create_environment(environment.clone())
        .await
        .unwrap();
    let one = world.integration(environment.id, "one");
    let two = world.integration(environment.id, "two");
    world.store.create_integration(one.clone()).await.unwrap();
    world.store.create_integration(two.clone()).await.unwrap();
    let found = world
        .store
        .integration(environment.id, &one.key)
        .await
        .unwrap();
    assert_eq!(found, Some(one.clone()));
    assert_eq!(world.store.integrations().await.unwrap(), [one, two]);
}

pub(crate) async fn an_integration_key_is_taken_once_in_its_environment(world: World) {
    for name in ["dev", "prod"] {
        let environment = world.environment(name);
        world
            .store
            .create_environment(environment.clone())
            .await
            .unwrap();
        let integration = world.integration(environment.id, "microsoft");
        world.store.create_integration(integration).await.unwrap();
        let again = world
            .store
            .create_integration(world.integration(environment.id, "microsoft"))
            .await;
        assert!(
            matches!(again, Err(StoreError::Conflict { .. })),
            "{again:?}"
        );
    }
}

pub(crate) async fn an_integration_needs_its_environment_and_stays_while_it_is_used(world: World) {
    let nowhere = world.integration(world.ids.environment(), "microsoft");
    let refused = world.store.create_integration(nowhere).await;
    assert!(
        matches!(refused, Err(StoreError::Missing { .. })),
        "{refused:?}"
    );

    let tenant = world.tenant("dev").await;
    let refused = world.store.delete_integration(tenant.integration).await;
    assert!(
        matches!(refused, Err(StoreError::Conflict { .. })),
        "{refused:?}"
    );
    assert!(
        world
            .store
            .delete_connection(tenant.connection)
            .await
            .unwrap()
    );
    assert!(
        world
            .store
            .delete_integration(tenant.integration)
            .await
            .unwrap()
    );
    assert!(
        !world
            .store
            .delete_integration(tenant.integration)
            .await
            .unwrap()
    );
}

pub(crate) async fn a_tenant_has_one_connection_per_integration(world: World) {
    let environment = world.environment("dev");
    world
        .store
        .create_environment(environment.clone())
        .await
        .unwrap();
    let integration = world.integration(environment.id, "microsoft");
    let connection = world.connection(&integration);
    let missing = world.store.create_connection(connection.clone()).await;
    assert!(
        matches!(missing, Err(StoreError::Missing { .. })),
        "{missing:?}"
    );
    world
        .store
        .create_integration(integration.clone())
        .await
        .unwrap();
    world
        .store
        .create_connection(connection.clone())
        .await
        .unwrap();
    let mut again = world.connection(&integration);
    again.tenant_id = connection.tenant_id;
    let refused = world.store.create_connection(again).await;
    assert!(
        matches!(refused, Err(StoreError::Conflict { .. })),
        "{refused:?}"
    );
    assert_eq!(
        world.store.connection(connection.id).await.unwrap(),
        Some(connection)
    );
}

pub(crate) async fn the_state_of_a_connection_reads_back(world: World) {
    let tenant = world.tenant("dev").await;
    let broken = ConnectionState::Broken {
        reason: "the client secret has expired".to_owned(),
        since: world.now(),
    };
    for state in [broken, ConnectionState::Active] {
        world
            .store
            .set_connection_state(tenant.connection, state.clone(), world.now(), Vec::new())
            .await
            .unwrap();
        let found = world
            .store
            .connection(tenant.connection)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(found.state, state);
    }
    let missing = world
        .store
        .set_connection_state(
            world.ids.next(),
            ConnectionState::Active,
            world.now(),
            Vec::new(),
        )
        .await;
    assert!(
        matches!(missing, Err(StoreError::Missing { .. })),
        "{missing:?}"
    );
}

pub(crate) async fn a_connection_stays_while_a_subscription_needs_it(world: World) {
    let tenant = world.tenant("dev").await;
    let connection = world
        .store
        .connection(tenant.connection)
        .await
        .unwrap()
        .unwrap();
    let subscription = world.subscription(&connection, "users/u/events");
    world
        .store
        .create_subscription(subscription.clone(), Shard::FIRST)
        .await
        .unwrap();
    let refused = world.store.delete_connection(connection.id).await;
    assert!(
        matches!(refused, Err(StoreError::Conflict { .. })),
        "{refused:?}"
    );
    assert!(
        world
            .store
            .delete_subscription(subscription.id)
            .await
            .unwrap()
    );
    assert!(world.store.delete_connection(connection.id).await.unwrap());
    assert_eq!(world.store.connection(connection.id).await.unwrap(), None);
}

pub(crate) async fn a_key_is_found_by_its_hash_until_it_is_removed(world: World) {
    let tenant = world.tenant("dev").await;
    let (first, of_all) = (
        new_key(&world, Some(tenant.environment), 1),
        new_key(&world, None, 2),
    );
    world.store.create_key(first.clone()).await.unwrap();
    world.store.create_key(of_all.clone()).await.unwrap();
    let nowhere = world
        .store
        .create_key(new_key(&world, Some(world.ids.environment()), 3))
        .await;
    assert!(
        matches!(nowhere, Err(StoreError::Missing { .. })),
        "{nowhere:?}"
    );

    assert_eq!(
        world.store.key_by_hash([1; 32]).await.unwrap(),
        Some(first.key.clone())
    );
    let listed = world.store.keys(None, all()).await.unwrap().items;
    assert_eq!(listed, [of_all.key, first.key.clone()]);
    let listed = world
        .store
        .keys(Some(tenant.environment), all())
        .await
        .unwrap()
        .items;
    assert_eq!(listed, std::slice::from_ref(&first.key));
    assert!(world.store.delete_key(first.key.id).await.unwrap());
    assert!(!world.store.delete_key(first.key.id).await.unwrap());
    assert_eq!(world.store.key_by_hash([1; 32]).await.unwrap(), None);
}

fn new_key(world: &World, environment: Option<EnvironmentId>, hash: u8) -> NewApiKey {
    NewApiKey {
        key: ApiKey {
            id: world.ids.next(),
            environment,
            name: "a key".to_owned(),
            scope: Scope::Read,
            prefix: "tdk_ab".to_owned(),
            created_at: world.now(),
        },
        hash: [hash; 32],
    }
}

pub(crate) async fn a_change_of_a_connections_state_is_told_once(world: World) {
    let tenant = world.tenant("dev").await;
    world
        .record(world.arriving(&tenant, Verdict::Accepted, None))
        .await;
    let queued = world.queue().await.remove(0);
    let event = || {
        let mut told = world.event(&tenant, &queued, &[tenant.webhook]);
        told.event.notification = None;
        told
    };
    let broken = |reason: &str| ConnectionState::Broken {
        reason: reason.to_owned(),
        since: world.now(),
    };
    let (first, second, back, idle) = (event(), event(), event(), event());
    for (state, told) in [
        (broken("expired"), &first),
        // Who finds out the same at the same time.
        (broken("gone"), &second),
        (ConnectionState::Active, &back),
        (ConnectionState::Active, &idle),
    ] {
        let set = world.store.set_connection_state(
            tenant.connection,
            state,
            world.now(),
            vec![told.clone()],
        );
        set.await.unwrap();
    }
    for (told, is_there) in [(first, true), (second, false), (back, true), (idle, false)] {
        let found = world.store.event(told.event.id).await.unwrap();
        assert_eq!(found, is_there.then_some(told.event));
    }
    assert_eq!(world.due(tenant.webhook).await.len(), 2);
}

pub(crate) async fn what_failed_is_tried_again_when_a_connection_recovers(world: World) {
    let (tenant, other) = (world.tenant("dev").await, world.tenant("prod").await);
    let mut rows = Vec::new();
    for (tenant, resource, failures) in [
        (&tenant, "users/failed/events", 2),
        (&tenant, "users/fine/events", 0),
        (&other, "users/failed/events", 2),
    ] {
        let subscription = world.reconciled(tenant, resource, 90).await;
        let update = SubscriptionUpdate {
            due_at: world.in_seconds(60),
            failures,
            ..unchanged(&subscription)
        };
        world.store.update_subscription(update, None).await.unwrap();
        let update = ReconcileUpdate {
            failures,
            ..as_it_is(&world.reconcile_of(subscription.id).await)
        };
        let lease = world.lease(Shard::FIRST);
        world.store.update_reconcile(update, lease).await.unwrap();
        rows.push(subscription.id);
    }
    let broken = ConnectionState::Broken {
        reason: "expired".to_owned(),
        since: world.now(),
    };
    let at = world.in_seconds(5);
    for (state, seconds) in [(broken, (60, 90)), (ConnectionState::Active, (5, 5))] {
        let set = world
            .store
            .set_connection_state(tenant.connection, state, at, Vec::new());
        set.await.unwrap();
        for (&id, (row, reconcile)) in rows.iter().zip([seconds, (60, 90), (60, 90)]) {
            let found = world.store.subscription(id).await.unwrap().unwrap();
            assert_eq!(found.due_at, world.in_seconds(row));
            let due_at = world.reconcile_of(id).await.due_at;
            assert_eq!(due_at, world.in_seconds(reconcile));
        }
    }
}
