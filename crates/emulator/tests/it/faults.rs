//! Every fault.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::kit::{Graph, Receiver};

async fn fault(graph: &Graph, fault: Value) {
    let answer = graph.control(Method::POST, "faults", Some(fault)).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
}

async fn ready() -> (Graph, Receiver) {
    let graph = Graph::start().await;
    let receiver = Receiver::start().await;
    graph.subscribe_to_events(&receiver.url).await;
    receiver.forget();
    (graph, receiver)
}

fn ids(items: &[Value]) -> Vec<String> {
    items
        .iter()
        .map(|item| item["resourceData"]["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_dropped_notification_never_comes_and_missed_tells_if_asked() {
    let graph = Graph::start().await;
    let receiver = Receiver::start().await;
    let resource = format!("users/{}/events", graph.user(0, 0));
    let mut body = crate::kit::subscription(&resource, &receiver.url);
    body["lifecycleNotificationUrl"] = receiver.url.clone().into();
    graph.post("subscriptions", body).await;
    receiver.forget();
    fault(&graph, json!({"kind": "drop", "count": 1})).await;
    graph.new_event().await;
    fault(&graph, json!({"kind": "drop", "count": 1, "missed": true})).await;
    graph.new_event().await;
    let kept = graph.new_event().await;
    let items = receiver.items(2).await;
    graph.until_idle().await;
    assert_eq!(receiver.count(), 2);
    let missed = items
        .iter()
        .find(|item| item.get("lifecycleEvent").is_some())
        .unwrap();
    assert_eq!(missed["lifecycleEvent"], "missed");
    let change = items
        .iter()
        .find(|item| item.get("changeType").is_some())
        .unwrap();
    assert_eq!(change["resourceData"]["id"], kept["id"]);
    graph.stop().await;
}

#[tokio::test]
async fn a_doubled_notification_comes_twice_alike() {
    let (graph, receiver) = ready().await;
    fault(&graph, json!({"kind": "duplicate", "count": 1})).await;
    graph.new_event().await;
    graph.new_event().await;
    let items = receiver.items(3).await;
    graph.until_idle().await;
    assert_eq!(receiver.count(), 3);
    let mut ids = ids(&items);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 2);
    graph.stop().await;
}

#[tokio::test]
async fn a_late_notification_waits_on_the_clock() {
    let (graph, receiver) = ready().await;
    fault(&graph, json!({"kind": "delay", "count": 1, "ms": 60_000})).await;
    let late = graph.new_event().await;
    graph.until_next_wake(Duration::from_mins(1)).await;
    let soon = graph.new_event().await;
    assert_eq!(
        ids(&receiver.items(1).await),
        [soon["id"].as_str().unwrap()]
    );
    graph.clock.advance(Duration::from_mins(1));
    assert_eq!(
        ids(&receiver.items(2).await)[1],
        late["id"].as_str().unwrap()
    );
    graph.stop().await;
}

#[tokio::test]
async fn shuffled_notifications_come_in_another_order_the_same_for_each_seed() {
    let order = async || {
        let (graph, receiver) = ready().await;
        fault(&graph, json!({"kind": "reorder", "size": 5})).await;
        let mut made = Vec::new();
        for _ in 0..5 {
            assert_eq!(receiver.count(), 0);
            made.push(graph.new_event().await["id"].as_str().unwrap().to_owned());
        }
        let came = ids(&receiver.items(5).await);
        graph.stop().await;
        came.iter()
            .map(|id| made.iter().position(|other| other == id).unwrap())
            .collect::<Vec<_>>()
    };
    let first = order().await;
    assert_ne!(first, [0, 1, 2, 3, 4]);
    assert_eq!(first, order().await);
}

#[tokio::test]
async fn what_is_kept_back_goes_when_faults_are_cleared() {
    let (graph, receiver) = ready().await;
    fault(&graph, json!({"kind": "reorder", "size": 100})).await;
    graph.new_event().await;
    assert_eq!(graph.emulator.pending(), 1);
    graph.control(Method::DELETE, "faults", None).await;
    receiver.items(1).await;
    graph.stop().await;
}

#[tokio::test]
async fn merged_notifications_of_tenants_share_a_post() {
    let (graph, receiver) = ready().await;
    let theirs = format!("users/{}/events", graph.user(1, 0));
    graph.subscribe_in(1, &theirs, &receiver.url).await;
    let also = format!("users/{}/events", graph.user(0, 1));
    graph.subscribe_in(0, &also, &receiver.url).await;
    receiver.forget();
    fault(
        &graph,
        json!({"kind": "merge", "size": 3, "within_ms": 1_000}),
    )
    .await;
    graph.new_event().await;
    graph.post(&also, json!({})).await;
    assert_eq!(receiver.count(), 0);
    graph
        .call_in(1, Method::POST, &theirs, Some(json!({})))
        .await;
    let items = receiver.items(3).await;
    assert_eq!(receiver.count(), 1);
    let mut tenants: Vec<&str> = items
        .iter()
        .map(|item| item["tenantId"].as_str().unwrap())
        .collect();
    tenants.sort_unstable();
    tenants.dedup();
    assert_eq!(tenants.len(), 2);
    // The timer of the batch that has gone does nothing; the next one has its own.
    graph.new_event().await;
    graph.until_next_wake(Duration::from_secs(1)).await;
    assert_eq!(receiver.count(), 1);
    graph.clock.advance(Duration::from_secs(1));
    receiver.items(4).await;
    graph.stop().await;
}

#[tokio::test]
async fn chance_decides_alike_for_each_seed() {
    let pattern = async |seed| {
        let graph = Graph::with(|options| options.seed = seed).await;
        let receiver = Receiver::start().await;
        graph.subscribe_to_events(&receiver.url).await;
        receiver.forget();
        fault(&graph, json!({"kind": "drop", "rate": 0.5})).await;
        let mut pattern = Vec::new();
        for _ in 0..12 {
            let before = receiver.count();
            graph.new_event().await;
            graph.until_idle().await;
            pattern.push(receiver.count() > before);
        }
        graph.stop().await;
        pattern
    };
    let first = pattern(3).await;
    assert!(first.contains(&true) && first.contains(&false));
    assert_eq!(first, pattern(3).await);
}

#[tokio::test]
async fn throttling_has_every_form_of_retry_after() {
    let graph = Graph::start().await;
    for (form, header) in [
        (json!({"text": "10"}), Some("10")),
        (json!({"text": "2.128"}), Some("2.128")),
        (
            json!({"date_in": 30}),
            Some("Sun, 22 Nov 2026 10:00:30 GMT"),
        ),
        (json!("missing"), None),
    ] {
        fault(
            &graph,
            json!({"kind": "throttle", "count": 2, "retry_after": form}),
        )
        .await;
        for _ in 0..2 {
            let answer = graph.get("users").await;
            answer.is_error(429, "TooManyRequests", "Please retry again later.");
            let given = answer
                .headers
                .get("retry-after")
                .map(|value| value.to_str().unwrap());
            assert_eq!(given, header);
        }
        assert_eq!(graph.get("users").await.status, StatusCode::OK);
    }
    graph.stop().await;
}

#[tokio::test]
async fn an_outage_is_a_status_or_a_closed_connection_of_graph_or_sign_in() {
    let graph = Graph::start().await;
    let bearer = format!("Bearer {}", graph.token(0).await);
    let headers = [("authorization", &*bearer)];
    let users = || graph.send(Method::GET, "/v1.0/users", &headers, "");
    fault(
        &graph,
        json!({"kind": "outage", "count": 1, "mode": {"status": 503}}),
    )
    .await;
    assert_eq!(
        users().await.unwrap().status,
        StatusCode::SERVICE_UNAVAILABLE
    );
    fault(
        &graph,
        json!({"kind": "outage", "count": 1, "mode": "close"}),
    )
    .await;
    users().await.unwrap_err();
    assert_eq!(users().await.unwrap().status, StatusCode::OK);

    fault(
        &graph,
        json!({"kind": "outage", "target": "sign_in", "mode": "close"}),
    )
    .await;
    assert_eq!(users().await.unwrap().status, StatusCode::OK);
    let path = format!("/{}/oauth2/v2.0/token", graph.tenants[0].tenant_id);
    graph.send(Method::POST, &path, &[], "").await.unwrap_err();
    graph.control(Method::DELETE, "faults", None).await;
    graph.token(0).await;

    fault(
        &graph,
        json!({"kind": "sign_in", "count": 1, "code": 7_000_222}),
    )
    .await;
    let expired = graph.send(Method::POST, &path, &[], "").await.unwrap();
    assert_eq!(expired.status, StatusCode::UNAUTHORIZED);
    assert_eq!(expired.json()["error_codes"], json!([7_000_222]));
    graph.stop().await;
}

#[tokio::test]
async fn a_hanging_call_is_not_answered_until_faults_are_cleared() {
    let graph = Graph::start().await;
    let bearer = format!("Bearer {}", graph.token(0).await);
    let headers = [("authorization", &*bearer)];
    fault(
        &graph,
        json!({"kind": "outage", "count": 1, "mode": "hang"}),
    )
    .await;
    let hanging = graph.send(Method::GET, "/v1.0/users", &headers, "");
    let meanwhile = async {
        // The fault is used up once it has hit.
        while !graph.emulator.faults().is_empty() {
            tokio::task::yield_now().await;
        }
        let other = graph.send(Method::GET, "/v1.0/users", &headers, "").await;
        graph.emulator.clear_faults();
        other.unwrap().status
    };
    let (hanging, other) = tokio::join!(hanging, meanwhile);
    hanging.unwrap_err();
    assert_eq!(other, StatusCode::OK);
    graph.stop().await;
}

#[tokio::test]
async fn reads_of_items_fail_or_lag_as_told_and_nothing_else_does() {
    let graph = Graph::start().await;
    let event = graph.new_event().await;
    let path = format!(
        "users/{}/events/{}",
        graph.user(0, 0),
        event["id"].as_str().unwrap()
    );
    let changed = graph.patch(&path, json!({"subject": "new"})).await.json();

    fault(&graph, json!({"kind": "not_found", "count": 2})).await;
    assert_eq!(graph.get("users").await.status, StatusCode::OK);
    for _ in 0..2 {
        graph.get(&path).await.is_error(
            404,
            "ErrorItemNotFound",
            "The specified object was not found in the store.",
        );
    }
    fault(&graph, json!({"kind": "forbidden", "count": 1})).await;
    graph.get(&path).await.is_error(
        403,
        "ErrorAccessDenied",
        "Access is denied. Check credentials and try again.",
    );
    fault(&graph, json!({"kind": "stale", "count": 1})).await;
    assert_eq!(
        graph.get(&path).await.json()["@odata.etag"],
        event["@odata.etag"]
    );
    assert_eq!(
        graph.get(&path).await.json()["@odata.etag"],
        changed["@odata.etag"]
    );

    let user = format!("users/{}", graph.user(0, 0));
    fault(&graph, json!({"kind": "not_found", "count": 1})).await;
    let missing = graph.get(&user).await;
    assert_eq!(missing.json()["error"]["code"], "Request_ResourceNotFound");
    assert_eq!(graph.get(&user).await.status, StatusCode::OK);

    fault(&graph, json!({"kind": "lag", "count": 1, "ms": 5_000})).await;
    let bearer = "Bearer x";
    let headers = [("authorization", bearer)];
    let call = graph.send(Method::GET, "/v1.0/users", &headers, "");
    let time = async {
        graph.until_next_wake(Duration::from_secs(5)).await;
        graph.clock.advance(Duration::from_secs(5));
    };
    let (answer, ()) = tokio::join!(call, time);
    assert_eq!(answer.unwrap().status, StatusCode::UNAUTHORIZED);
    graph.stop().await;
}
