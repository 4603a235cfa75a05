//! A change made through one gateway holds on all within a second.

use std::time::Duration;

use serde_json::json;
use testkit::{
    api::Api,
    collection::collection,
    gateway::Gateway,
    receiver::Receiver,
    store::Store,
    wait,
    world::{INTEGRATION, World, id},
};

/// What a promise of one second is held to on a busy machine.
const HOLDS: Duration = Duration::from_secs(20);

/// How long it takes until a gateway answers a GET with this status.
async fn answers(node: &Gateway, key: &str, status: u16) -> Duration {
    let api = Api::new(node.url(), key);
    let asked = wait::now();
    wait::until("the other gateway to know", || async {
        let answer = api.call("GET", "/v1/webhooks", None).await;
        (answer.status == status).then_some(())
    })
    .await;
    wait::now().saturating_sub(asked)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_one_node_removes_opens_nothing_on_any() {
    let world = World::start_on(Store::Postgres).await;
    let body = json!({"name": "short-lived", "scope": "read"});
    let made = world.api.post("/v1/keys", &body).await;
    let key = made["key"].as_str().expect("a new key is shown");
    let mut slowest = Duration::ZERO;
    for node in world.gateways() {
        slowest = slowest.max(answers(node, key, 200).await);
    }
    println!("a new key opens everywhere after {slowest:?}");
    assert!(slowest < HOLDS, "{slowest:?}");

    let path = format!("/v1/keys/{}", id(&made));
    assert_eq!(world.api.call("DELETE", &path, None).await.status, 204);
    let mut slowest = Duration::ZERO;
    for node in world.gateways() {
        slowest = slowest.max(answers(node, key, 401).await);
    }
    println!("a removed key opens nowhere after {slowest:?}");
    assert!(slowest < HOLDS, "{slowest:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_node_was_told_another_one_does() {
    let world = World::start_on(Store::Postgres).await;
    let tenant = world.emulator.tenants[0].clone();
    let connected = world.connect_calendar(&tenant).await;
    let receiver = Receiver::start().await;
    let others: Vec<Api> = world.gateways().map(Gateway::api).collect();

    // Each step through another gateway than the one before.
    let body = json!({"url": receiver.url(), "triggers": ["event.deleted"], "connections": []});
    let webhook = id(&others[1].post("/v1/webhooks", &body).await);
    world.holds_everywhere().await;
    let body = collection([connected.subscribed.deleted("first")]);
    assert_eq!(world.notify(body).await.status, 202);
    receiver.wait_for(1).await;

    let path = format!("/v1/webhooks/{webhook}");
    others[2].post(&format!("{path}/disable"), &json!({})).await;
    world.holds_everywhere().await;
    let body = collection([connected.subscribed.deleted("second")]);
    assert_eq!(world.notify(body).await.status, 202);
    wait::until("a held delivery", || async {
        let held = others[0].list("/v1/deliveries?state=held").await;
        (held.len() == 1).then_some(())
    })
    .await;
    assert_eq!(receiver.count(), 1, "it is disabled");
    others[1].post(&format!("{path}/enable"), &json!({})).await;
    receiver.wait_for(2).await;

    // A subscription that is asked for at one gateway is made, and is served whichever gateway gets its notifications.
    let body = json!({
        "connection_id": connected.connection_id,
        "resource": format!("users/{}/messages", tenant.users[0]),
        "change_types": ["created"],
    });
    let subscription = id(&others[2].post("/v1/subscriptions", &body).await);
    let graph_id = world.active(&subscription).await;
    assert!(!graph_id.is_empty());
    let path = format!("/v1/subscriptions/{subscription}");
    let deleted = others[1].call("DELETE", &path, None).await;
    assert!(deleted.status.is_success(), "{}", deleted.text());
    wait::until("it to be gone at every gateway", || async {
        for api in &others {
            if api.call("GET", &path, None).await.status != 404 {
                return None;
            }
        }
        Some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_integration_is_reached_through_every_node() {
    let world = World::start_on(Store::Postgres).await;
    let path = world.notification_url.path().to_owned();
    let path = path.replace(INTEGRATION, "another");
    let body = json!({
        "key": "another",
        "client_id": world.emulator.client_id,
        "client_secret": world.emulator.client_secret,
        "login_url": world.emulator.url,
        "graph_url": world.emulator.url,
    });
    world.api.post("/v1/integrations", &body).await;
    let asked = wait::now();
    for node in world.gateways() {
        let api = Api::new(node.url(), "");
        wait::until("the integration's URL", || async {
            // No notification in it: taken where the integration is known, and nothing comes of it.
            let answer = api.call("POST", &path, Some(&json!({"value": []}))).await;
            (answer.status != 404).then_some(())
        })
        .await;
    }
    let took = wait::now().saturating_sub(asked);
    println!("a new integration is known everywhere after {took:?}");
    assert!(took < HOLDS, "{took:?}");
}
