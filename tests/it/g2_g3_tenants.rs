//! G2 and G3: nothing reaches a webhook that does not ask for its connection, and nothing is believed that did not pass
//! subscription, tenant and clientState together.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use testkit::{
    api::Api,
    collection::collection,
    receiver::{Delivery, Receiver},
    store::Store,
    wait,
    world::{EVENT_TRIGGERS, World, id},
};

testkit::on_both_stores!(
    of_five_items_in_one_post_exactly_the_right_ones_reach_exactly_the_right_webhooks,
    nothing_of_one_environment_reaches_another,
    an_item_of_a_hand_made_subscription_only_makes_us_look,
);

/// What has arrived, by the item's name, and that it is of the connection it should be of.
fn arrived(receiver: &Receiver) -> Vec<String> {
    let deliveries = receiver.deliveries();
    let mut items: Vec<String> = deliveries.iter().map(|one| one.item()).collect();
    items.sort();
    items
}

fn connection_of(delivery: &Delivery) -> String {
    let event = delivery.event();
    let id = event["data"]["connection_id"].as_str();
    id.expect("an event names its connection").to_owned()
}

/// The verdicts of the newest notifications as `tidings notification list` shows them, counted.
async fn verdicts(world: &World) -> BTreeMap<String, usize> {
    let arguments = ["notification", "list", "--limit", "50", "--json"];
    let listed = world.gateway.cli().run(&arguments).await.json();
    let mut counts = BTreeMap::new();
    for notification in listed["data"].as_array().expect("a list has data") {
        let verdict = notification["verdict"].as_str().expect("a verdict");
        *counts.entry(verdict.to_owned()).or_default() += 1;
    }
    counts
}

async fn of_five_items_in_one_post_exactly_the_right_ones_reach_exactly_the_right_webhooks(
    store: Store,
) {
    let world = World::start_on(store).await;
    let tenants = world.emulator.tenants.clone();
    let first = world.connect_calendar(&tenants[0]).await;
    let second = world.connect_calendar(&tenants[1]).await;
    let (of_first, of_second, of_all) = (
        Receiver::start().await,
        Receiver::start().await,
        Receiver::start().await,
    );
    world
        .webhook(&of_first.url(), &[&first.connection_id])
        .await;
    world
        .webhook(&of_second.url(), &[&second.connection_id])
        .await;
    world.webhook(&of_all.url(), &[]).await;

    let mut wrong_client_state = first.subscribed.deleted("wrong-client-state");
    wrong_client_state["clientState"] = json!(second.subscribed.client_state);
    let mut wrong_tenant = first.subscribed.deleted("wrong-tenant");
    wrong_tenant["tenantId"] = json!(second.subscribed.tenant_id);
    let mut unknown = first.subscribed.deleted("unknown-subscription");
    unknown["subscriptionId"] = json!("00000000-1111-4222-8333-444444444444");
    unknown["clientState"] = json!("a guess");
    let body = collection([
        first.subscribed.deleted("right-first"),
        wrong_client_state,
        wrong_tenant,
        unknown,
        second.subscribed.deleted("right-second"),
    ]);
    assert_eq!(world.notify(body).await.status, 202);

    let expected = BTreeMap::from([
        ("accepted".to_owned(), 2),
        ("unknown_subscription".to_owned(), 1),
        ("wrong_client_state".to_owned(), 1),
        ("wrong_tenant".to_owned(), 1),
    ]);
    // The unknown one may be held some seconds, for a subscription that is just being made.
    wait::until("all five verdicts", || async {
        (verdicts(&world).await == expected).then_some(())
    })
    .await;

    // What comes after them shows that nothing of the bad ones is still on its way.
    let body = collection([
        first.subscribed.deleted("sentinel-first"),
        second.subscribed.deleted("sentinel-second"),
    ]);
    assert_eq!(world.notify(body).await.status, 202);
    of_first.wait_for(2).await;
    of_second.wait_for(2).await;
    of_all.wait_for(4).await;
    wait::until("an end of all deliveries", || async {
        let pending = world.api.list("/v1/deliveries?state=pending").await;
        pending.is_empty().then_some(())
    })
    .await;
    assert_eq!(arrived(&of_first), ["right-first", "sentinel-first"]);
    assert_eq!(arrived(&of_second), ["right-second", "sentinel-second"]);
    assert_eq!(
        arrived(&of_all),
        [
            "right-first",
            "right-second",
            "sentinel-first",
            "sentinel-second"
        ]
    );
    for delivery in of_all.deliveries() {
        let own = if delivery.item().ends_with("first") {
            &first
        } else {
            &second
        };
        assert_eq!(&connection_of(&delivery), &own.connection_id);
        assert_eq!(
            delivery.event()["data"]["tenant_id"],
            own.subscribed.tenant_id.as_str()
        );
    }
}

async fn nothing_of_one_environment_reaches_another(store: Store) {
    let world = World::start_on(store).await;
    let tenant = world.emulator.tenants[0].clone();
    let connected = world.connect_calendar(&tenant).await;
    let own = Receiver::start().await;
    world.webhook(&own.url(), &[]).await;

    // Another environment, with a webhook for everything of it and keys of its own.
    let other = id(&world
        .api
        .post("/v1/environments", &json!({"name": "other"}))
        .await);
    let cli = world.gateway.cli().with("TIDINGS_ENVIRONMENT", &other);
    let arguments = [
        "key", "create", "--name", "other", "--scope", "admin", "--json",
    ];
    let key = cli.run(&arguments).await.json();
    let key = key["key"].as_str().expect("a new key is shown").to_owned();
    let api = Api::new(world.gateway.url(), key);
    let receiver = Receiver::start().await;
    let webhook = json!({
        "url": receiver.url(),
        "triggers": EVENT_TRIGGERS,
        "description": "the other's",
    });
    api.post("/v1/webhooks", &webhook).await;

    let body = collection([connected.subscribed.deleted("of-the-first")]);
    assert_eq!(world.notify(body).await.status, 202);
    own.wait_for(1).await;
    assert_eq!(receiver.count(), 0);

    // Its key sees nothing of the first, and cannot ask for a connection of it.
    for list in [
        "integrations",
        "connections",
        "subscriptions",
        "notifications",
        "events",
        "deliveries",
    ] {
        let listed = api.list(&format!("/v1/{list}")).await;
        assert!(listed.is_empty(), "{list}: {listed:?}");
    }
    let path = format!("/v1/connections/{}", connected.connection_id);
    assert_eq!(api.call("GET", &path, None).await.status, 404);
    let mut asking: Value = webhook.clone();
    asking["connections"] = json!([connected.connection_id]);
    let answer = api.call("POST", "/v1/webhooks", Some(&asking)).await;
    assert!(answer.status.is_client_error(), "{}", answer.text());

    // A notification URL of the other environment does not lead to the first's subscriptions either.
    let crossed = world
        .notification_url
        .as_str()
        .replace(world.gateway.environment(), &other);
    let answer = testkit::api::Http::new()
        .send(
            "POST",
            crossed.parse().expect("a URL"),
            &[("content-type", "application/json")],
            collection([connected.subscribed.deleted("crossed")]),
        )
        .await;
    assert_eq!(
        answer.status, 404,
        "the other environment has no such integration"
    );
    assert_eq!(arrived(&own), ["of-the-first"]);
}

async fn an_item_of_a_hand_made_subscription_only_makes_us_look(store: Store) {
    let world = World::start_on(store).await;
    let tenant = world.emulator.tenants[0].clone();
    world.connect(&tenant).await;
    let mut receiver = Receiver::start().await;
    world.webhook(&receiver.url(), &[]).await;
    let user = &tenant.users[0];
    let path = format!("/v1.0/users/{user}/events");
    let event = json!({
        "subject": "Stand-up",
        "start": {"dateTime": "2036-01-15T09:00:00", "timeZone": "UTC"},
        "end": {"dateTime": "2036-01-15T09:30:00", "timeZone": "UTC"},
    });
    let event = world.emulator.graph(&tenant, "POST", &path, event).await;
    let event_id = event["id"].as_str().expect("a new event has an id");

    // Whoever knows the integration's secret claims that it was deleted, under a subscription nobody knows.
    let claimed = testkit::collection::Subscribed {
        graph_id: "99999999-1111-4222-8333-444444444444".to_owned(),
        client_state: world.webhook_secret.clone(),
        tenant_id: tenant.id.clone(),
        user_id: user.clone(),
    };
    let body = collection([claimed.deleted(event_id)]);
    assert_eq!(world.notify(body).await.status, 202);

    // It is not: what is delivered is what the GET found.
    let delivery = receiver.next().await;
    let data = &delivery.event()["data"];
    assert_eq!(data["object_state"], "fetched", "{data}");
    assert_eq!(data["object"]["subject"], "Stand-up");
}
