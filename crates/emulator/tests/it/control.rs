//! The control API: directory, counters, clock.

use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::json;
use tidings_domain::{clock::SystemClock, entropy::SeededEntropy};
use tidings_emulator::{Emulator, Options};

use crate::kit::{Graph, Receiver};

#[tokio::test]
async fn tenants_users_and_apps_can_be_added() {
    let mut graph = Graph::start().await;
    let tenant = json!({"domain": "contoso.example"});
    let made = graph
        .control(Method::POST, "tenants", Some(tenant.clone()))
        .await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    assert_eq!(
        made.json()["client_id"],
        graph.tenants[0].client_id.to_string()
    );
    let again = graph.control(Method::POST, "tenants", Some(tenant)).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    let id = made.json()["tenant_id"].as_str().unwrap().to_owned();
    let user = json!({"mail": "hal@contoso.example", "name": "Hal Imai"});
    let user = graph
        .control(Method::POST, &format!("tenants/{id}/users"), Some(user))
        .await;
    assert_eq!(user.status, StatusCode::CREATED, "{}", user.text());
    let listed = graph.control(Method::GET, "tenants", None).await.json();
    assert_eq!(listed[2]["users"][0]["mail"], "hal@contoso.example");
    graph.tenants = graph.emulator.directory();
    let users = graph.call_in(2, Method::GET, "users", None).await.json();
    assert_eq!(users["value"][0]["displayName"], "Hal Imai");

    let app = json!({"tenants": [id], "client_secret": "another-secret"});
    let app = graph.control(Method::POST, "apps", Some(app)).await;
    assert_eq!(app.status, StatusCode::CREATED);
    let form = format!(
        "grant_type=client_credentials&scope=https%3A%2F%2Fgraph.microsoft.com%2F.default&client_id={}&client_secret=another-secret",
        app.json()["client_id"].as_str().unwrap()
    );
    let token = graph
        .send(
            Method::POST,
            "/contoso.example/oauth2/v2.0/token",
            &[],
            form,
        )
        .await;
    assert_eq!(token.unwrap().status, StatusCode::OK);
    graph.stop().await;
}

#[tokio::test]
async fn the_state_tells_what_stands_and_what_was_called() {
    let graph = Graph::start().await;
    let receiver = Receiver::start().await;
    let made = graph.subscribe_to_events(&receiver.url).await;
    graph.get("users/nobody").await;
    let state = graph.control(Method::GET, "state", None).await.json();
    assert_eq!(state["subscriptions"][0]["id"], made["id"]);
    assert_eq!(state["subscriptions"][0]["client_state"], "s3cret");
    assert_eq!(state["now"], "2026-11-22T10:00:00.000Z");
    let calls = state["calls"].as_array().unwrap();
    for call in [
        json!({"call": "POST subscriptions", "status": 201, "count": 1}),
        json!({"call": "GET users/{id}", "status": 404, "count": 1}),
        json!({"call": "POST {tenant}/oauth2/v2.0/token", "status": 200, "count": 2}),
    ] {
        assert!(calls.contains(&call), "{call} in {calls:?}");
    }
    assert_eq!(
        graph.control(Method::DELETE, "log", None).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(graph.emulator.calls(), []);
    graph.stop().await;
}

#[tokio::test]
async fn changes_need_no_token_here_and_raise_notifications() {
    let graph = Graph::start().await;
    let receiver = Receiver::start().await;
    graph.subscribe_to_events(&receiver.url).await;
    receiver.forget();
    let events = format!("users/{}/events", graph.user(0, 0));
    let made = graph
        .control(Method::POST, &events, Some(json!({"subject": "x"})))
        .await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let one = format!("{events}/{}", made.json()["id"].as_str().unwrap());
    receiver.items(1).await;
    graph
        .control(Method::PATCH, &one, Some(json!({"subject": "y"})))
        .await;
    receiver.items(2).await;
    assert_eq!(
        graph.control(Method::DELETE, &one, None).await.status,
        StatusCode::NO_CONTENT
    );
    receiver.items(3).await;
    assert_eq!(
        graph.control(Method::DELETE, &one, None).await.status,
        StatusCode::NOT_FOUND
    );
    graph.stop().await;
}

#[tokio::test]
async fn a_manual_clock_can_be_moved_and_the_systems_cannot() {
    let graph = Graph::start().await;
    let moved = graph
        .control(Method::POST, "clock/advance", Some(json!({"ms": 1_500})))
        .await;
    assert_eq!(moved.json()["now"], "2026-11-22T10:00:01.500Z");
    let mut options = Options::new(
        Arc::new(SystemClock::new()),
        Arc::new(SeededEntropy::new(1)),
    );
    options.seed = 9;
    let emulator = Emulator::new(options).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!(
        "http://{}/emulator/clock/advance",
        listener.local_addr().unwrap()
    );
    let serving = emulator.serve(listener, None, std::future::pending());
    let headers = [("content-type", "application/json")];
    let call = graph.send(Method::POST, &url, &headers, r#"{"ms":1}"#);
    tokio::select! {
        answer = call => assert_eq!(answer.unwrap().status, StatusCode::CONFLICT),
        ended = serving => panic!("{ended:?}"),
    }
    emulator.stop().await;
    graph.stop().await;
}
