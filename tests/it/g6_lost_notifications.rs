//! G6: what Graph drops is found.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use testkit::{
    receiver::Receiver,
    store::Store,
    wait,
    world::{Connected, INTEGRATION, World, id},
};

testkit::on_both_stores!(
    what_graph_does_not_notify_is_found_and_told_once,
    what_graph_notifies_is_not_found_again,
    a_notification_of_a_drive_leads_to_the_items_that_changed,
    what_exists_is_delivered_if_that_is_asked_for,
    who_joins_or_leaves_a_group_is_found_and_told_once,
);

/// Waits until everything that Graph has of a subscription has been compared since `asked`, and gives how much was found.
async fn reconciled(world: &World, connected: &Connected, asked: &Value) -> u64 {
    let path = format!("/v1/subscriptions/{}/reconcile", connected.subscription_id);
    let asked_at = asked["asked_at"].as_str().unwrap_or_default().to_owned();
    let state = wait::until("a round of reconciling to end", || async {
        let state = world.api.get(&path).await;
        let finished_at = state["finished_at"].as_str()?;
        (finished_at >= asked_at.as_str() && state["started_at"].is_null()).then_some(state)
    })
    .await;
    state["finds"].as_u64().expect("a number of finds")
}

async fn ask(world: &World, connected: &Connected) -> Value {
    let path = format!("/v1/subscriptions/{}/reconcile", connected.subscription_id);
    world.api.post(&path, &json!({})).await
}

/// What was told of each item: triggers in their order, each with who told of it.
fn told(receiver: &Receiver) -> BTreeMap<String, Vec<(String, String)>> {
    let mut told: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for delivery in receiver.deliveries() {
        let event = delivery.event();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        told.entry(delivery.item())
            .or_default()
            .push((text(&event["type"]), text(&event["data"]["origin"])));
    }
    told
}

struct Calendar<'a> {
    world: &'a World,
    user: String,
}

impl Calendar<'_> {
    async fn create(&self, subject: &str) -> String {
        let day = "2026-12-01T10:00:00";
        let body = json!({
            "subject": subject,
            "start": {"dateTime": day, "timeZone": "UTC"},
            "end": {"dateTime": day, "timeZone": "UTC"},
        });
        let path = format!("/v1.0/users/{}/events", self.user);
        let tenant = &self.world.emulator.tenants[0];
        let made = self.world.emulator.graph(tenant, "POST", &path, body).await;
        made["id"].as_str().expect("an id").to_owned()
    }

    async fn change(&self, id: &str, method: &str, body: Value) {
        let path = format!("/v1.0/users/{}/events/{id}", self.user);
        let tenant = &self.world.emulator.tenants[0];
        self.world.emulator.graph(tenant, method, &path, body).await;
    }
}

async fn connected(store: Store) -> (World, Connected, Receiver) {
    let world = World::start_on(store).await;
    let tenant = world.emulator.tenants[0].clone();
    let connected = world.connect_calendar(&tenant).await;
    let receiver = Receiver::start().await;
    world.webhook(&receiver.url(), &[]).await;
    world.holds_everywhere().await;
    (world, connected, receiver)
}

async fn arrived(receiver: &Receiver, count: usize) {
    wait::until("deliveries", || async {
        (receiver.deliveries().len() >= count).then_some(())
    })
    .await;
}

async fn what_graph_does_not_notify_is_found_and_told_once(store: Store) {
    let (world, connected, receiver) = connected(store).await;
    let calendar = Calendar {
        world: &world,
        user: connected.subscribed.user_id.clone(),
    };
    let (kept, gone) = (calendar.create("kept").await, calendar.create("gone").await);
    arrived(&receiver, 2).await;
    let baseline = ask(&world, &connected).await;
    reconciled(&world, &connected, &baseline).await;

    let drop = json!({"kind": "drop"});
    world
        .emulator
        .control("POST", "/emulator/faults", &drop)
        .await;
    let new = calendar.create("new").await;
    calendar
        .change(&kept, "PATCH", json!({"subject": "changed"}))
        .await;
    calendar.change(&gone, "DELETE", json!(null)).await;
    let asked = ask(&world, &connected).await;
    assert_eq!(reconciled(&world, &connected, &asked).await, 3);
    arrived(&receiver, 5).await;
    // Once more: there is nothing left to be found.
    let asked = ask(&world, &connected).await;
    assert_eq!(reconciled(&world, &connected, &asked).await, 0);

    let told = told(&receiver);
    let pair = |trigger: &str, origin: &str| (trigger.to_owned(), origin.to_owned());
    let created = pair("event.created", "notification");
    assert_eq!(
        told[&kept],
        [created.clone(), pair("event.updated", "reconcile")]
    );
    assert_eq!(told[&gone], [created, pair("event.deleted", "reconcile")]);
    assert_eq!(told[&new], [pair("event.created", "reconcile")]);

    // Two changes were notified and three were not; gateways write that down within some seconds.
    let totals = json!({"on_time": 2, "late": 0, "found": 3, "percent": 40.0});
    wait::until("the counts of all gateways", || async {
        let report = world.api.get("/v1/completeness?since=1d").await;
        (report["totals"] == totals).then_some(())
    })
    .await;
    let shell = world.gateway.cli();
    let report = ["subscription", "completeness", "--fail-below"];
    for (least, code) in [("40", 0), ("99.9", 1)] {
        let ended = shell.run(&[&report[..], &[least]].concat()).await;
        assert_eq!(ended.code, code, "{ended:?}");
        assert!(
            ended.stdout.contains("2 on time, 0 late, 3 found"),
            "{ended:?}"
        );
    }
    let one = [
        "subscription",
        "completeness",
        &connected.subscription_id,
        "--json",
    ];
    let one = shell.run(&one).await.json();
    assert_eq!(
        (&one["found"], &one["comparable"]),
        (&json!(3), &json!(true))
    );
    assert!(one["compared_at"].is_string(), "{one}");
}

async fn what_graph_notifies_is_not_found_again(store: Store) {
    let (world, connected, receiver) = connected(store).await;
    let calendar = Calendar {
        world: &world,
        user: connected.subscribed.user_id.clone(),
    };
    let baseline = ask(&world, &connected).await;
    reconciled(&world, &connected, &baseline).await;
    let one = calendar.create("one").await;
    calendar
        .change(&one, "PATCH", json!({"subject": "two"}))
        .await;
    arrived(&receiver, 2).await;
    let other = calendar.create("other").await;
    calendar.change(&other, "DELETE", json!(null)).await;
    arrived(&receiver, 4).await;
    let asked = ask(&world, &connected).await;
    assert_eq!(reconciled(&world, &connected, &asked).await, 0);
    assert!(
        told(&receiver)
            .values()
            .flatten()
            .all(|(_, origin)| origin == "notification"),
        "{:?}",
        told(&receiver)
    );
}

async fn a_notification_of_a_drive_leads_to_the_items_that_changed(store: Store) {
    let world = World::start_on(store).await;
    let tenant = world.emulator.tenants[0].clone();
    let user = &tenant.users[0];
    let connection_id = world.connect(&tenant).await;
    let body = json!({
        "connection_id": connection_id,
        "resource": format!("users/{user}/drive/root"),
        "change_types": ["updated"],
    });
    let subscription = world.api.post("/v1/subscriptions", &body).await;
    let path = format!("/v1/subscriptions/{}/reconcile", id(&subscription));
    wait::until("the first round to end", || async {
        let state = world.api.get(&path).await;
        state["finished_at"].as_str().map(str::to_owned)
    })
    .await;
    let receiver = Receiver::start().await;
    let triggers = [
        "drive_item.created",
        "drive_item.updated",
        "drive_item.deleted",
    ];
    let webhook = json!({"url": receiver.url(), "triggers": triggers});
    world.api.post("/v1/webhooks", &webhook).await;
    world.holds_everywhere().await;
    let drive = format!("/emulator/users/{user}/drive");
    let made = world
        .emulator
        .control("POST", &drive, &json!({"path": "report.txt", "size": 3}))
        .await;
    let item = made["id"].as_str().expect("an id").to_owned();
    let of_item = |trigger: &'static str| {
        let (receiver, item) = (&receiver, &item);
        async move {
            wait::until(trigger, || async {
                let told = told(receiver).remove(item).unwrap_or_default();
                told.iter().any(|(kind, _)| kind == trigger).then_some(())
            })
            .await;
        }
    };
    of_item("drive_item.created").await;
    let one = format!("{drive}/{item}");
    world.emulator.control("DELETE", &one, &json!(null)).await;
    of_item("drive_item.deleted").await;
    let pair = |trigger: &str| (trigger.to_owned(), "notification".to_owned());
    assert_eq!(
        told(&receiver)[&item],
        [pair("drive_item.created"), pair("drive_item.deleted")]
    );
}

async fn what_exists_is_delivered_if_that_is_asked_for(store: Store) {
    let (world, connected, receiver) = connected(store).await;
    let user = connected.subscribed.user_id.clone();
    let calendar = Calendar {
        world: &world,
        user: user.clone(),
    };
    let there = calendar.create("there").await;
    arrived(&receiver, 1).await;
    // Another subscription to the same calendar, by another wish.
    let resource = format!("users/{user}/events");
    let create = ["subscription", "create", "--deliver-existing"];
    let what = [
        ["--connection", &connected.connection_id],
        ["--resource", &resource],
        ["--change-types", "created"],
    ];
    let arguments = [&create[..], what.as_flattened()].concat();
    world.gateway.cli().run(&arguments).await.ok();
    arrived(&receiver, 2).await;
    let pair = |origin: &str| ("event.created".to_owned(), origin.to_owned());
    assert_eq!(
        told(&receiver)[&there],
        [pair("notification"), pair("reconcile")]
    );
    // As an app would ask that knows Nango.
    let body = json!({
        "provider_config_key": INTEGRATION,
        "connection_id": connected.connection_id,
        "syncs": ["event"],
    });
    let triggered = world.api.post("/sync/trigger", &body).await;
    assert_eq!(triggered, json!({"success": true, "subscriptions": 2}));
}

/// Asks for a round, and waits for its end; gives how much was found.
async fn round(world: &World, subscription: &str) -> u64 {
    let path = format!("/v1/subscriptions/{subscription}/reconcile");
    let asked = world.api.post(&path, &json!({})).await;
    let asked_at = asked["asked_at"].as_str().unwrap_or_default().to_owned();
    let state = wait::until("a round of reconciling to end", || async {
        let state = world.api.get(&path).await;
        let finished_at = state["finished_at"].as_str()?;
        (finished_at >= asked_at.as_str() && state["started_at"].is_null()).then_some(state)
    })
    .await;
    state["finds"].as_u64().expect("a number of finds")
}

async fn who_joins_or_leaves_a_group_is_found_and_told_once(store: Store) {
    let world = World::start_on(store).await;
    let tenant = world.emulator.tenants[0].clone();
    let control = |method: &'static str, path: String, body: Value| {
        let emulator = &world.emulator;
        async move { emulator.control(method, &path, &body).await }
    };
    let group = control(
        "POST",
        format!("/emulator/tenants/{}/groups", tenant.id),
        json!({"displayName": "All"}),
    )
    .await;
    let group = id(&group);
    let connection_id = world.connect(&tenant).await;
    let mut subscriptions = Vec::new();
    for resource in [
        "groups".to_owned(),
        format!("groups/{group}"),
        format!("groups/{group}/members"),
    ] {
        let body = json!({
            "connection_id": connection_id,
            "resource": resource,
            "change_types": ["updated"],
        });
        let made = id(&world.api.post("/v1/subscriptions", &body).await);
        world.active(&made).await;
        round(&world, &made).await;
        subscriptions.push(made);
    }
    let receiver = Receiver::start().await;
    let webhook = json!({"url": receiver.url(), "triggers": ["group.created", "group.updated"]});
    world.api.post("/v1/webhooks", &webhook).await;
    world.holds_everywhere().await;
    let member = |method: &'static str, user: usize| {
        let path = format!("/emulator/groups/{group}/members/{}", tenant.users[user]);
        control(method, path, json!(null))
    };
    // What is notified is not found again.
    member("PUT", 0).await;
    arrived(&receiver, 3).await;
    for subscription in &subscriptions {
        round(&world, subscription).await;
    }
    let drop = json!({"kind": "drop"});
    control("POST", "/emulator/faults".to_owned(), drop).await;
    for (method, user, count) in [("PUT", 1, 6), ("DELETE", 0, 9)] {
        member(method, user).await;
        for subscription in &subscriptions {
            assert!(round(&world, subscription).await > 0);
        }
        arrived(&receiver, count).await;
    }
    for subscription in &subscriptions {
        round(&world, subscription).await;
    }
    let mut told = told(&receiver);
    let told = told.remove(&group).unwrap_or_default();
    let by = |origin: &str| told.iter().filter(|(_, by)| by == origin).count();
    assert_eq!((by("notification"), by("reconcile")), (3, 6), "{told:?}");
    assert!(
        told.iter().all(|(trigger, _)| trigger == "group.updated"),
        "{told:?}"
    );
}
