//! Teams and channels.

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::kit::{Graph, Receiver, id, subscription};

fn named(name: &str) -> Map<String, Value> {
    json!({"displayName": name}).as_object().unwrap().clone()
}

fn new_group(graph: &Graph, name: &str) -> Uuid {
    let tenant = graph.tenants[0].tenant_id;
    let group = graph.emulator.create_group(tenant, named(name)).unwrap();
    id(&group).parse().unwrap()
}

/// Subscribes for as long as Teams allows without a lifecycle URL.
async fn watch(graph: &Graph, resource: &str, receiver: &Receiver) {
    let mut body = subscription(resource, &receiver.url);
    body["expirationDateTime"] = "2026-11-22T11:00:00Z".into();
    let made = graph.post("subscriptions", body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    receiver.forget();
}

#[tokio::test]
async fn a_group_becomes_a_team_with_a_channel() {
    let graph = Graph::start().await;
    let receiver = Receiver::start().await;
    let (group, other) = (new_group(&graph, "Bakers"), new_group(&graph, "Cooks"));
    assert_eq!(
        graph.get(&format!("teams/{group}")).await.status,
        StatusCode::NOT_FOUND
    );
    watch(&graph, "teams", &receiver).await;
    let put = |group: Uuid| {
        let path = format!("groups/{group}/team");
        let graph = &graph;
        async move { graph.call(Method::PUT, &path, Some(json!({}))).await }
    };
    let made = put(group).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    assert_eq!(put(group).await.status, StatusCode::CONFLICT);
    let items = receiver.items(1).await;
    assert_eq!(items[0]["changeType"], "created");
    assert_eq!(items[0]["resource"], format!("teams('{group}')"));
    graph.emulator.make_team(other).unwrap();
    receiver.items(2).await;

    let teams = graph.get("teams").await.json();
    assert_eq!(teams["value"].as_array().unwrap().len(), 2);
    assert_eq!(
        graph.get(&format!("teams/{group}")).await.json()["displayName"],
        "Bakers"
    );
    let channels = graph.get(&format!("teams/{group}/channels")).await.json();
    assert_eq!(channels["value"][0]["displayName"], "General");
    assert_eq!(
        graph.get(&format!("groups/{group}")).await.json()["resourceProvisioningOptions"],
        json!(["Team"])
    );
    graph.delete(&format!("groups/{group}")).await;
    let items = receiver.items(3).await;
    assert_eq!(items[2]["changeType"], "deleted");
    assert_eq!(
        graph.get(&format!("teams/{group}/channels")).await.status,
        StatusCode::NOT_FOUND
    );
    graph.stop().await;
}

#[tokio::test]
async fn channels_are_made_read_changed_and_removed_and_each_is_notified() {
    let graph = Graph::start().await;
    let receiver = Receiver::start().await;
    let all = Receiver::start().await;
    let team = new_group(&graph, "Bakers");
    graph.emulator.make_team(team).unwrap();
    let channels = format!("teams/{team}/channels");
    watch(&graph, &channels, &receiver).await;
    watch(&graph, "teams/getAllChannels", &all).await;
    let made = graph.post(&channels, json!({"displayName": "Rye"})).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let made = made.json();
    assert!(id(&made).starts_with("19:") && id(&made).ends_with("@thread.tacv2"));
    let path = format!("{channels}/{}", id(&made));
    assert_eq!(graph.get(&path).await.json(), made);
    let items = receiver.items(1).await;
    let resource = format!("teams('{team}')/channels('{}')", id(&made));
    assert_eq!(items[0]["resource"], resource);
    assert_eq!(
        items[0]["resourceData"],
        json!({
            "@odata.type": "#Microsoft.Graph.channel",
            "@odata.id": resource,
            "id": made["id"],
        })
    );
    let patched = graph.patch(&path, json!({"description": "Dark"})).await;
    assert_eq!(patched.status, StatusCode::NO_CONTENT);
    receiver.items(2).await;
    assert_eq!(graph.get(&path).await.json()["description"], "Dark");
    assert_eq!(graph.delete(&path).await.status, StatusCode::NO_CONTENT);
    let items = receiver.items(3).await;
    let words: Vec<_> = items.iter().map(|item| &item["changeType"]).collect();
    assert_eq!(words, ["created", "updated", "deleted"]);
    assert_eq!(graph.get(&path).await.status, StatusCode::NOT_FOUND);
    all.items(3).await;
    graph.stop().await;
}

#[tokio::test]
async fn channels_are_changed_without_a_token_too() {
    let graph = Graph::start().await;
    let team = new_group(&graph, "Bakers");
    let path = format!("groups/{team}/team");
    let made = graph.control(Method::PUT, &path, None).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let channels = format!("teams/{team}/channels");
    let body = Some(json!({"displayName": "Rye"}));
    let made = graph.control(Method::POST, &channels, body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let channel = id(&made.json()).to_owned();
    let changed = graph
        .emulator
        .update_channel(team, &channel, named("Wheat"))
        .unwrap();
    assert_eq!(changed["displayName"], "Wheat");
    assert_eq!(graph.emulator.channels(team).unwrap().len(), 2);
    graph.emulator.delete_channel(team, &channel).unwrap();
    assert_eq!(graph.emulator.channels(team).unwrap().len(), 1);
    graph.stop().await;
}
