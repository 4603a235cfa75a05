//! Subscriptions that follow the people of a tenant, and the connection that they hang on.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use testkit::{
    emulator::Tenant,
    receiver::Receiver,
    store::Store,
    wait,
    world::{INTEGRATION, World, id},
};

testkit::on_both_stores!(
    every_mailbox_of_a_tenant_is_watched_also_those_to_come,
    a_connection_takes_its_subscriptions_with_it,
);

/// Gateways that ask every second who has come and gone.
async fn world(store: Store) -> World {
    let settings = store.settings().with("TIDINGS__POLICY__INTERVAL", "\"1s\"");
    World::start_with(&settings).await
}

async fn add_user(world: &World, tenant: &Tenant, mail: &str) -> String {
    let path = format!("/emulator/tenants/{}/users", tenant.id);
    let new = json!({ "mail": mail });
    id(&world.emulator.control("POST", &path, &new).await)
}

async fn change_calendar(world: &World, tenant: &Tenant, user: &str) {
    let day = "2026-12-01T10:00:00";
    let body = json!({
        "subject": user,
        "start": {"dateTime": day, "timeZone": "UTC"},
        "end": {"dateTime": day, "timeZone": "UTC"},
    });
    let path = format!("/v1.0/users/{user}/events");
    world.emulator.graph(tenant, "POST", &path, body).await;
}

/// The users of a tenant whose calendars Graph serves for us, by our list.
async fn served(world: &World) -> BTreeSet<String> {
    let all = world.api.list("/v1/subscriptions").await;
    all.iter()
        .filter(|one| one["state"] == "active")
        .filter_map(|one| {
            let resource = one["resource"].as_str()?;
            let user = resource.strip_prefix("users/")?.strip_suffix("/events")?;
            Some(user.to_owned())
        })
        .collect()
}

async fn until_served(world: &World, users: &BTreeSet<String>) {
    wait::until("the calendars that are to be watched", || async {
        (served(world).await == *users).then_some(())
    })
    .await;
}

/// How many subscriptions Graph has of a tenant.
async fn at_graph(world: &World, tenant: &Tenant) -> usize {
    let all = world
        .emulator
        .control("GET", "/emulator/subscriptions", &json!(null))
        .await;
    let all = all.as_array().cloned().unwrap_or_default();
    let of_tenant = all
        .iter()
        .filter(|one| one["tenant_id"] == json!(tenant.id));
    of_tenant.count()
}

/// Waits until a change of each of these calendars has been told.
async fn told(receiver: &Receiver, users: &BTreeSet<String>) {
    wait::until("a change of each calendar", || async {
        let told: BTreeSet<String> = receiver
            .deliveries()
            .iter()
            .map(|delivery| {
                let event: Value = delivery.event();
                event["data"]["object"]["subject"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned()
            })
            .collect();
        users.is_subset(&told).then_some(())
    })
    .await;
}

async fn every_mailbox_of_a_tenant_is_watched_also_those_to_come(store: Store) {
    let world = world(store).await;
    let [tenant, other] = [0, 1].map(|place| world.emulator.tenants[place].clone());
    let mut users: BTreeSet<String> = tenant.users.iter().cloned().collect();
    for number in 0..10 {
        users.insert(add_user(&world, &tenant, &format!("user{number}@a.example")).await);
    }
    let connection = world.connect(&tenant).await;
    world.connect(&other).await;
    let receiver = Receiver::start().await;
    world.webhook(&receiver.url(), &[]).await;
    let wanted = json!({
        "connection_id": connection,
        "resource": "users/*/events",
        "change_types": ["created", "updated", "deleted"],
    });
    let policy = id(&world.api.post("/v1/subscriptions", &wanted).await);
    until_served(&world, &users).await;
    world.holds_everywhere().await;
    for user in &users {
        change_calendar(&world, &tenant, user).await;
    }
    told(&receiver, &users).await;

    let late = add_user(&world, &tenant, "late@a.example").await;
    users.insert(late.clone());
    until_served(&world, &users).await;
    world.holds_everywhere().await;
    change_calendar(&world, &tenant, &late).await;
    told(&receiver, &users).await;

    let gone = users.pop_first().expect("there are users");
    let path = format!("/emulator/users/{gone}");
    world.emulator.control("DELETE", &path, &json!(null)).await;
    until_served(&world, &users).await;

    let path = format!("/v1/policies/{policy}");
    let shown = wait::until("the row of who has gone to go", || async {
        let shown = world.api.get(&path).await;
        let counted = &shown["subscriptions"];
        (counted["active"] == json!(users.len()) && counted["deleting"] == 0).then_some(shown)
    })
    .await;
    assert_eq!(shown["connections"].as_array().map(Vec::len), Some(1));
    assert!(shown["connections"][0]["checked_at"].is_string(), "{shown}");
    // The other tenant has nobody watched: the wish was for one connection.
    assert_eq!(at_graph(&world, &other).await, 0);
    assert_eq!(at_graph(&world, &tenant).await, users.len());

    // A policy of the integration comes to both, and is given up with all that it made.
    let wanted = json!({
        "integration": INTEGRATION,
        "resource": "users/{user}/contacts",
        "change_types": ["created"],
    });
    let of_all = id(&world.api.post("/v1/policies", &wanted).await);
    wait::until("the other tenant's users", || async {
        (at_graph(&world, &other).await == other.users.len()).then_some(())
    })
    .await;
    let removed = world
        .api
        .call("DELETE", &format!("/v1/policies/{of_all}"), None)
        .await;
    assert!(removed.status.is_success(), "{removed:?}");
    wait::until("what the policy made to go", || async {
        let left = (
            at_graph(&world, &other).await,
            at_graph(&world, &tenant).await,
        );
        (left == (0, users.len())).then_some(())
    })
    .await;
}

async fn a_connection_takes_its_subscriptions_with_it(store: Store) {
    let world = world(store).await;
    let [tenant, other] = [0, 1].map(|place| world.emulator.tenants[place].clone());
    let (connection, kept) = (world.connect(&tenant).await, world.connect(&other).await);
    let wanted = json!({
        "integration": INTEGRATION,
        "resource": "users/{user}/events",
        "change_types": ["created"],
    });
    world.api.post("/v1/policies", &wanted).await;
    let both = tenant.users.iter().chain(&other.users).cloned().collect();
    until_served(&world, &both).await;
    world.holds_everywhere().await;

    let path = format!("/v1/connections/{connection}");
    let disabled = world.api.post(&format!("{path}/disable"), &json!({})).await;
    assert_eq!(disabled["state"], "disabled");
    wait::until("Graph to have none of the disabled connection", || async {
        (at_graph(&world, &tenant).await == 0).then_some(())
    })
    .await;
    assert_eq!(at_graph(&world, &other).await, other.users.len());
    let enabled = world.api.post(&format!("{path}/enable"), &json!({})).await;
    assert_eq!(enabled["state"], "active");
    until_served(&world, &both).await;
    assert_eq!(at_graph(&world, &tenant).await, tenant.users.len());

    let refused = world.api.call("DELETE", &path, None).await;
    assert_eq!(refused.status, 409);
    let deleting = world
        .api
        .call("DELETE", &format!("{path}?subscriptions=delete"), None)
        .await;
    assert!(deleting.status.is_success(), "{deleting:?}");
    wait::until("the connection to go", || async {
        (world.api.call("GET", &path, None).await.status == 404).then_some(())
    })
    .await;
    assert_eq!(at_graph(&world, &tenant).await, 0);
    // The other tenant is not touched by any of it.
    assert_eq!(at_graph(&world, &other).await, other.users.len());
    until_served(&world, &other.users.iter().cloned().collect()).await;
    let left = world.api.get(&format!("/v1/connections/{kept}")).await;
    assert_eq!(left["state"], "active");
}
