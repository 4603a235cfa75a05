//! What notifications say, in every form.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use tidings_graph::wire::notification::parse_collection;

use crate::kit::{Graph, Receiver};

async fn set(graph: &Graph, switches: Value) {
    let answer = graph
        .control(Method::PATCH, "switches", Some(switches))
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
}

/// The item of a new event, with the event.
async fn item(graph: &Graph, receiver: &Receiver) -> (Value, Value) {
    receiver.forget();
    let event = graph.new_event().await;
    (receiver.items(1).await.remove(0), event)
}

#[tokio::test]
async fn the_default_form_is_the_documented_one() {
    let graph = Graph::start().await;
    let receiver = Receiver::start().await;
    let url = format!("{}?team=a", receiver.url);
    let subscription = graph.subscribe_to_events(&url).await;
    receiver.forget();
    let event = graph.new_event().await;
    let request = receiver.received(1).await.remove(0);
    assert_eq!(request.target(), ("POST", "/hook?team=a"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("user-agent"), None);
    let id = event["id"].as_str().unwrap();
    let path = format!("Users/{}/Events/{id}", graph.user(0, 0));
    assert_eq!(
        request.json(),
        json!({"value": [{
            "subscriptionId": subscription["id"],
            "subscriptionExpirationDateTime": "2026-11-23T10:00:00.0000000Z",
            "clientState": "s3cret",
            "changeType": "created",
            "resource": path,
            "tenantId": graph.tenants[0].tenant_id,
            "resourceData": {
                "@odata.type": "#Microsoft.Graph.Event",
                "@odata.id": path,
                "@odata.etag": event["@odata.etag"],
                "id": id,
            },
        }]})
    );
    graph.stop().await;
}

#[tokio::test]
async fn every_change_has_its_word_and_its_etag() {
    let graph = Graph::start().await;
    let receiver = Receiver::start().await;
    graph.subscribe_to_events(&receiver.url).await;
    receiver.forget();
    let event = graph.new_event().await;
    let path = format!(
        "users/{}/events/{}",
        graph.user(0, 0),
        event["id"].as_str().unwrap()
    );
    receiver.items(1).await;
    let changed = graph.patch(&path, json!({"subject": "x"})).await.json();
    receiver.items(2).await;
    graph.delete(&path).await;
    let items = receiver.items(3).await;
    let words: Vec<&str> = items
        .iter()
        .map(|item| item["changeType"].as_str().unwrap())
        .collect();
    assert_eq!(words, ["created", "updated", "deleted"]);
    assert_eq!(
        items[1]["resourceData"]["@odata.etag"],
        changed["@odata.etag"]
    );
    assert_ne!(
        items[0]["resourceData"]["@odata.etag"],
        items[1]["resourceData"]["@odata.etag"]
    );
    graph.stop().await;
}

#[tokio::test]
async fn only_subscriptions_that_watch_it_are_raised() {
    let graph = Graph::start().await;
    let receiver = Receiver::start().await;
    let (ada, bo) = (graph.user(0, 0), graph.user(0, 1));
    let mut created_only =
        crate::kit::subscription(&format!("users/{ada}/messages"), &receiver.url);
    created_only["changeType"] = "created".into();
    let all = graph.post("subscriptions", created_only).await.json();
    let inbox = graph
        .subscribe_in(
            0,
            &format!("users/{ada}/mailFolders('inbox')/messages"),
            &receiver.url,
        )
        .await;
    graph
        .subscribe_in(
            0,
            &format!("users/{ada}/mailFolders/archive/messages"),
            &receiver.url,
        )
        .await;
    graph
        .subscribe_in(0, &format!("users/{bo}/messages"), &receiver.url)
        .await;
    graph
        .subscribe_in(0, &format!("users/{ada}/events"), &receiver.url)
        .await;
    receiver.forget();

    // A draft: not in the inbox.
    let draft = graph
        .post(&format!("users/{ada}/messages"), json!({}))
        .await
        .json();
    let items = receiver.items(1).await;
    assert_eq!(items[0]["subscriptionId"], all["id"]);
    let path = format!("users/{ada}/messages/{}", draft["id"].as_str().unwrap());
    graph.patch(&path, json!({"subject": "x"})).await;
    graph.until_idle().await;
    assert_eq!(receiver.count(), 1);

    let user: uuid::Uuid = ada.parse().unwrap();
    graph
        .emulator
        .receive_message(user, serde_json::Map::new())
        .unwrap();
    let items = receiver.items(3).await;
    let mut raised: Vec<&Value> = items[1..]
        .iter()
        .map(|item| &item["subscriptionId"])
        .collect();
    raised.sort_by_key(ToString::to_string);
    let mut expected = vec![&all["id"], &inbox["id"]];
    expected.sort_by_key(ToString::to_string);
    assert_eq!(raised, expected);
    assert_eq!(
        items[1]["resourceData"]["@odata.type"],
        "#Microsoft.Graph.Message"
    );
    graph.stop().await;
}

#[tokio::test]
async fn each_switch_changes_what_it_says() {
    let graph = Graph::start().await;
    let receiver = Receiver::start().await;
    graph.subscribe_to_events(&receiver.url).await;
    let (user, tenant) = (graph.user(0, 0), graph.tenants[0].tenant_id);

    set(&graph, json!({"notification_id": true})).await;
    let (first, _) = item(&graph, &receiver).await;
    let (second, _) = item(&graph, &receiver).await;
    assert!(first["id"].is_string());
    assert_ne!(first["id"], second["id"]);

    for (offset, text) in [
        (json!(0), "2026-11-23T10:00:00.0000000+00:00"),
        (json!(330), "2026-11-23T15:30:00.0000000+05:30"),
        (json!(-480), "2026-11-23T02:00:00.0000000-08:00"),
        (Value::Null, "2026-11-23T10:00:00.0000000Z"),
    ] {
        set(
            &graph,
            json!({"notification_id": false, "date_offset_minutes": offset}),
        )
        .await;
        let (item, _) = item(&graph, &receiver).await;
        assert_eq!(item["subscriptionExpirationDateTime"], text);
        assert!(item.get("id").is_none());
    }

    set(&graph, json!({"casing": "lower"})).await;
    let (low, event) = item(&graph, &receiver).await;
    let id = event["id"].as_str().unwrap();
    assert_eq!(low["resource"], format!("users/{user}/events/{id}"));
    assert_eq!(low["resourceData"]["@odata.type"], "#microsoft.graph.event");
    set(&graph, json!({"casing": "upper"})).await;
    let (up, event) = item(&graph, &receiver).await;
    assert_eq!(
        up["resource"],
        format!("USERS/{user}/EVENTS/{}", event["id"].as_str().unwrap())
    );

    set(
        &graph,
        json!({"casing": "documented", "path_form": "quoted"}),
    )
    .await;
    let (quoted, event) = item(&graph, &receiver).await;
    let id = event["id"].as_str().unwrap();
    assert_eq!(
        quoted["resource"],
        format!("Users('{user}')/Events('{id}')")
    );
    assert_eq!(quoted["resourceData"]["@odata.id"], quoted["resource"]);
    set(&graph, json!({"path_form": "user_at_tenant"})).await;
    let (at, event) = item(&graph, &receiver).await;
    assert_eq!(
        at["resource"],
        format!(
            "Users/{user}@{tenant}/Events/{}",
            event["id"].as_str().unwrap()
        )
    );

    set(
        &graph,
        json!({"path_form": "segments", "unknown_members": true}),
    )
    .await;
    let (unknown, _) = item(&graph, &receiver).await;
    assert!(unknown["deliveryHint"].is_object());
    assert!(receiver.received(1).await[0].json()["batchHint"].is_object());

    set(
        &graph,
        json!({"unknown_members": false, "unknown_change_type": true}),
    )
    .await;
    assert_eq!(
        item(&graph, &receiver).await.0["changeType"],
        "unknownFutureValue"
    );
    set(
        &graph,
        json!({"unknown_change_type": false, "without_etag": true}),
    )
    .await;
    let (bare, _) = item(&graph, &receiver).await;
    assert!(
        bare["resourceData"]["id"].is_string() && bare["resourceData"].get("@odata.etag").is_none()
    );
    set(
        &graph,
        json!({"without_etag": false, "null_resource_data": true}),
    )
    .await;
    let (null, _) = item(&graph, &receiver).await;
    assert!(
        null.as_object().unwrap().contains_key("resourceData") && null["resourceData"].is_null()
    );

    let unknown = graph
        .control(Method::PATCH, "switches", Some(json!({"sparkle": true})))
        .await;
    assert_eq!(unknown.status, StatusCode::BAD_REQUEST);
    graph.stop().await;
}

#[tokio::test]
async fn a_rich_subscription_is_not_served_with_half_the_truth() {
    let graph = Graph::start().await;
    let receiver = Receiver::start().await;
    let resource = format!("users/{}/events?$select=subject", graph.user(0, 0));
    let mut body = crate::kit::subscription(&resource, &receiver.url);
    body["includeResourceData"] = true.into();
    body["encryptionCertificate"] = "MIIC".into();
    body["encryptionCertificateId"] = "c1".into();
    assert_eq!(
        graph.post("subscriptions", body).await.status,
        StatusCode::CREATED
    );
    receiver.forget();
    graph.new_event().await;
    graph.until_idle().await;
    assert_eq!(receiver.count(), 0);
    graph.stop().await;
}

#[tokio::test]
async fn what_is_sent_can_be_read_by_the_wire_types() {
    let graph = Graph::start().await;
    let receiver = Receiver::start().await;
    graph.subscribe_to_events(&receiver.url).await;
    let (_, event) = item(&graph, &receiver).await;
    let body = receiver.received(1).await.remove(0).body;
    let items = parse_collection(&body).unwrap();
    let read = items[0].parsed.as_ref().unwrap();
    let data = read.resource_data.as_ref().unwrap();
    assert_eq!(data.id.as_deref(), event["id"].as_str());
    graph.stop().await;
}
