//! The image and what it is of.

use tidings_domain::{
    Secret,
    ids::{SubscriptionId, WebhookId},
    shard::Shard,
    subscription::{Subscription, SubscriptionState},
    webhook::{Webhook, WebhookState, WebhookUrl},
};
use tidings_graph::resource::SubscriptionPath;
use tidings_storage::record::{SubscriptionUpdate, WebhookChange};

use super::*;
use crate::testing::{TENANT, World};

const GRAPH_ID: &str = "7f105c7d-2dc5-4530-97cd-4e7ae6534c07";

/// Nothing here asks Graph.
async fn world() -> World {
    World::new(&"https://graph.example".parse().unwrap()).await
}

fn subscription(world: &World, number: u32) -> Subscription {
    let path = SubscriptionPath::parse(&format!("users/u{number}/events")).unwrap();
    Subscription {
        id: world.ids.next(),
        environment: world.environment,
        integration: world.integration,
        connection: world.connection,
        policy: None,
        resource: path.canonical().to_owned(),
        kind: path.kind(),
        change_types: "created".parse().unwrap(),
        state: SubscriptionState::Pending,
        client_state: Secret::new(format!("state-{number}")),
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
    }
}

async fn set_graph_id(world: &World, id: SubscriptionId, graph_id: &str) {
    let update = SubscriptionUpdate {
        id,
        state: SubscriptionState::Active,
        graph_id: Some(graph_id.to_owned()),
        expires_at: None,
        due_at: world.clock.now(),
        failures: 0,
        last_error: None,
        renewed_at: None,
        patched_at: None,
        notification_url: None,
        lifecycle_url: None,
        former: None,
        attended: None,
        reconcile: None,
        events: Vec::new(),
    };
    world.store.update_subscription(update, None).await.unwrap();
}

fn webhook(world: &World, triggers: &[&str], connections: Vec<ConnectionId>) -> Webhook {
    Webhook {
        id: world.ids.next(),
        environment: world.environment,
        url: WebhookUrl::parse("https://app.example/hook").unwrap(),
        description: String::new(),
        triggers: triggers
            .iter()
            .map(|name| Trigger::parse(name).unwrap())
            .collect(),
        connections,
        secret: Secret::new("whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="),
        state: WebhookState::Active,
        failing_since: None,
        created_at: world.clock.now(),
    }
}

fn wanting(world: &World, connection: ConnectionId, trigger: &str) -> Vec<WebhookId> {
    let trigger = Trigger::parse(trigger).unwrap();
    let wanting = world
        .directory
        .webhooks_wanting(world.environment, connection, trigger);
    wanting.into_iter().map(|webhook| webhook.id).collect()
}

#[tokio::test]
async fn a_load_reads_every_page() {
    let world = world().await;
    for number in 0..PageLimit::MAX + 7 {
        world
            .store
            .create_subscription(subscription(&world, number), Shard::FIRST)
            .await
            .unwrap();
    }
    let directory = Directory::load(Arc::clone(&world.store)).await.unwrap();
    assert_eq!(directory.tables().subscription_count(), 507);
    let hash = world.store.hash_client_state("state-0");
    assert!(directory.subscription_by_client_state(hash).is_some());
}

#[tokio::test]
async fn a_subscription_is_found_by_what_it_has_now_and_not_by_what_it_had() {
    let world = world().await;
    let made = subscription(&world, 1);
    let (id, hash) = (made.id, world.store.hash_client_state("state-1"));
    world
        .store
        .create_subscription(made, Shard::FIRST)
        .await
        .unwrap();
    let directory = &world.directory;
    assert!(
        directory.subscription(id).is_none(),
        "an image changes by refreshes alone"
    );
    directory.refresh(Change::Subscription(id)).await.unwrap();
    assert_eq!(directory.subscription_by_client_state(hash).unwrap().id, id);
    assert!(directory.subscription_by_graph_id(GRAPH_ID).is_none());

    set_graph_id(&world, id, GRAPH_ID).await;
    directory.refresh(Change::Subscription(id)).await.unwrap();
    let found = directory.subscription_by_graph_id(&GRAPH_ID.to_uppercase());
    assert_eq!(found.unwrap().id, id);

    set_graph_id(&world, id, "00000000-2dc5-4530-97cd-4e7ae6534c07").await;
    directory.refresh(Change::Subscription(id)).await.unwrap();
    assert!(directory.subscription_by_graph_id(GRAPH_ID).is_none());

    world.store.delete_subscription(id).await.unwrap();
    directory.refresh(Change::Subscription(id)).await.unwrap();
    assert!(directory.subscription(id).is_none());
    assert!(directory.subscription_by_client_state(hash).is_none());
    assert_eq!(directory.tables().subscription_count(), 0);
}

#[tokio::test]
async fn webhooks_are_found_by_what_they_ask_for() {
    let world = world().await;
    let all = webhook(
        &world,
        &["event.created", "event.created", "event.updated"],
        Vec::new(),
    );
    let one = webhook(&world, &["event.created"], vec![world.other]);
    let (all_id, one_id) = (all.id, one.id);
    for webhook in [all, one] {
        let id = webhook.id;
        world.store.create_webhook(webhook).await.unwrap();
        world.directory.refresh(Change::Webhook(id)).await.unwrap();
    }
    assert_eq!(wanting(&world, world.connection, "event.created"), [all_id]);
    assert_eq!(
        wanting(&world, world.other, "event.created"),
        [all_id, one_id]
    );
    assert_eq!(wanting(&world, world.other, "message.created"), []);
    let elsewhere = world.directory.webhooks_wanting(
        world.ids.environment(),
        world.connection,
        Trigger::parse("event.created").unwrap(),
    );
    assert!(elsewhere.is_empty());

    let change = WebhookChange {
        triggers: Some(vec![Trigger::parse("message.created").unwrap()]),
        ..WebhookChange::default()
    };
    world.store.change_webhook(all_id, change).await.unwrap();
    world
        .directory
        .refresh(Change::Webhook(all_id))
        .await
        .unwrap();
    assert_eq!(wanting(&world, world.connection, "event.created"), []);
    assert_eq!(
        wanting(&world, world.connection, "message.created"),
        [all_id]
    );

    world.store.delete_webhook(all_id).await.unwrap();
    world
        .directory
        .refresh(Change::Webhook(all_id))
        .await
        .unwrap();
    assert_eq!(wanting(&world, world.connection, "message.created"), []);
    assert!(world.directory.webhook(all_id).is_none());
}

#[tokio::test]
async fn integrations_and_connections_are_found_by_key_and_tenant() {
    let world = world().await;
    let directory = &world.directory;
    let found = directory.integration(world.environment, "mail").unwrap();
    assert_eq!(found.id, world.integration);
    assert!(directory.integration(world.environment, "other").is_none());
    assert!(
        directory
            .integration(world.ids.environment(), "mail")
            .is_none()
    );
    let tenant = TENANT.parse().unwrap();
    let found = directory
        .connection_for_tenant(world.integration, tenant)
        .unwrap();
    assert_eq!(found.id, world.connection);

    world
        .store
        .delete_connection(world.connection)
        .await
        .unwrap();
    directory
        .refresh(Change::Connection(world.connection))
        .await
        .unwrap();
    assert!(
        directory
            .connection_for_tenant(world.integration, tenant)
            .is_none()
    );
    world.store.delete_connection(world.other).await.unwrap();
    world
        .store
        .delete_integration(world.integration)
        .await
        .unwrap();
    directory
        .refresh(Change::Integration(world.integration))
        .await
        .unwrap();
    assert!(directory.integration_by_id(world.integration).is_none());
}

#[tokio::test]
async fn a_row_in_doubt_is_read_until_it_must_have_been_decided_and_no_longer() {
    let world = world().await;
    let (directory, stop) = (&world.directory, CancellationToken::new());
    let made = webhook(&world, &["event.created"], Vec::new());
    let id = made.id;
    let lost = async {
        let detail = "the answer was lost".to_owned();
        Err::<(), _>(StoreError::Unavailable { detail })
    };
    assert!(directory.change(Change::Webhook(id), lost).await.is_err());
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let after = move |_| told.send(()).unwrap();
    let looks = async {
        heard.recv().await.unwrap();
        assert!(directory.webhook(id).is_none());
        // The commit comes only now.
        world.store.create_webhook(made).await.unwrap();
        for _ in 1..LOOKS {
            world.pass(RETRY, || true).await;
            heard.recv().await.unwrap();
        }
        assert!(directory.webhook(id).is_some());
        assert!(!directory.is_stale());
    };
    tokio::select! {
        () = directory.run(&world.clock, &stop, after) => unreachable!(),
        () = looks => {}
    }
}

#[tokio::test]
async fn what_the_store_refused_is_not_read_again() {
    let world = world().await;
    let id = world.ids.next();
    let refused = async {
        let what = "a webhook".to_owned();
        Err::<(), _>(StoreError::Missing { what })
    };
    let change = Change::Webhook(id);
    assert!(world.directory.change(change, refused).await.is_err());
    assert!(!world.directory.is_stale());
}
