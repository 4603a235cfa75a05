//! The handshake, byte by byte.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::json;

use crate::kit::{Graph, Receiver, Reply, subscription};

const TEXT: &str =
    "Validation: Testing client application reachability for subscription Request-Id: ";

async fn events(graph: &Graph, url: &str) -> crate::kit::Answered {
    let resource = format!("users/{}/events", graph.user(0, 0));
    graph
        .post("subscriptions", subscription(&resource, url))
        .await
}

#[tokio::test]
async fn the_request_is_the_one_recorded_from_the_service() {
    let graph = Graph::start().await;
    let receiver = Receiver::start().await;
    let created = events(&graph, &receiver.url).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.text());
    let request = &receiver.received(1).await[0];
    let request_id = created.headers["request-id"].to_str().unwrap();
    let target = format!(
        "/hook?validationToken=Validation%3a+Testing+client+application+reachability+for+subscription+Request-Id%3a+{request_id}"
    );
    assert_eq!(request.target(), ("POST", &*target));
    assert_eq!(
        request.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(request.header("content-length"), Some("0"));
    assert_eq!(request.header("transfer-encoding"), None);
    assert_eq!(request.header("user-agent"), None);
    assert_eq!(request.header("referer"), None);
    assert_eq!(request.header("authorization"), None);
    assert!(request.body.is_empty());
    let token = request.token().unwrap();
    assert_eq!(token, format!("{TEXT}{request_id}"));
    assert_eq!(token.len(), 117);
    graph.stop().await;
}

#[tokio::test]
async fn a_query_of_the_url_stays_before_the_token() {
    let graph = Graph::start().await;
    let receiver = Receiver::start().await;
    let created = events(&graph, &format!("{}?team=a&x=%20", receiver.url)).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.text());
    let requests = receiver.received(1).await;
    assert!(
        requests[0]
            .target()
            .1
            .starts_with("/hook?team=a&x=%20&validationToken=Validation%3a+")
    );
    graph.stop().await;
}

#[tokio::test]
async fn both_urls_are_asked_notifications_first_and_one_url_twice() {
    let graph = Graph::start().await;
    let (main, lifecycle) = (Receiver::start().await, Receiver::start().await);
    let resource = format!("users/{}/events", graph.user(0, 0));
    let mut body = subscription(&resource, &main.url);
    body["lifecycleNotificationUrl"] = lifecycle.url.clone().into();

    lifecycle.reply(Reply::Status(500));
    let refused = graph.post("subscriptions", body.clone()).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert_eq!((main.count(), lifecycle.count()), (1, 1));

    main.reply(Reply::Status(500));
    let refused = graph.post("subscriptions", body.clone()).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    // The first refusal ends it.
    assert_eq!((main.count(), lifecycle.count()), (2, 1));

    main.reply(Reply::Right);
    body["lifecycleNotificationUrl"] = main.url.clone().into();
    let created = graph.post("subscriptions", body).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.text());
    assert_eq!(main.count(), 4);
    graph.stop().await;
}

#[tokio::test]
async fn only_200_with_plain_text_and_the_exact_token_passes() {
    let graph = Graph::start().await;
    let receiver = Receiver::start().await;
    let answer = |kind: &str, body: &str| {
        Reply::Bytes(format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ))
    };
    let status = |name: &str| {
        format!(
            "Subscription validation request failed. HTTP status code is '{name}'. Notification endpoint must respond \
             with 200 OK to validation request."
        )
    };
    let mismatch = "Subscription validation request failed. Response must exactly match validationToken query parameter.";
    let cases = [
        (Reply::Status(202), status("Accepted")),
        (Reply::Status(204), status("NoContent")),
        (Reply::Status(302), status("Found")),
        (Reply::Status(400), status("BadRequest")),
        (Reply::Status(403), status("Forbidden")),
        (
            answer("text/plain", "Validation%3a+Testing"),
            mismatch.to_owned(),
        ),
        (
            answer("text/plain", &"x".repeat(100_000)),
            mismatch.to_owned(),
        ),
        (
            answer("text/html", "x"),
            "Subscription validation request failed. Response must have content type text/plain."
                .to_owned(),
        ),
    ];
    for (reply, message) in cases {
        receiver.reply(reply);
        events(&graph, &receiver.url)
            .await
            .is_error(400, "ValidationError", &message);
    }
    receiver.reply(Reply::Bytes("nonsense\r\n\r\n".into()));
    events(&graph, &receiver.url).await.is_error(
        400,
        "ValidationError",
        "Subscription validation request failed. Notification endpoint must respond with 200 OK to validation request.",
    );
    assert!(graph.emulator.subscriptions().is_empty());
    graph.stop().await;
}

#[tokio::test]
async fn nobody_there_is_a_failed_validation() {
    let graph = Graph::start().await;
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", gone.local_addr().unwrap());
    drop(gone);
    events(&graph, &url).await.is_error(
        400,
        "ValidationError",
        "Subscription validation request failed. Notification endpoint must respond with 200 OK to validation request.",
    );
    graph.stop().await;
}

#[tokio::test]
async fn an_endpoint_has_10_seconds_and_the_call_stays_open_meanwhile() {
    let graph = Graph::start().await;
    let receiver = Receiver::start().await;
    receiver.reply(Reply::Silence);
    let creation = events(&graph, &receiver.url);
    let time = async {
        receiver.received(1).await;
        graph.until_next_wake(Duration::from_secs(10)).await;
        graph.clock.advance(Duration::from_millis(9_999));
        graph.until_next_wake(Duration::from_millis(1)).await;
        graph.clock.advance(Duration::from_millis(1));
    };
    let (answer, ()) = tokio::join!(creation, time);
    answer.is_error(
        400,
        "InvalidRequest",
        "Subscription validation request timed out.",
    );
    graph.stop().await;
}

#[tokio::test]
async fn a_changed_url_is_validated_and_a_renewal_only_with_the_switch() {
    let graph = Graph::start().await;
    let (old, new) = (Receiver::start().await, Receiver::start().await);
    let id = graph.subscribe_to_events(&old.url).await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("subscriptions/{id}");

    new.reply(Reply::Status(500));
    let refused = graph
        .patch(&path, json!({"notificationUrl": new.url}))
        .await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert_eq!(graph.get(&path).await.json()["notificationUrl"], *old.url);
    new.reply(Reply::Right);
    let changed = graph
        .patch(&path, json!({"notificationUrl": new.url}))
        .await;
    assert_eq!(changed.json()["notificationUrl"], *new.url);
    assert_eq!((old.count(), new.count()), (1, 2));

    let renewal = json!({"expirationDateTime": "2026-11-24T10:00:00Z"});
    assert_eq!(
        graph.patch(&path, renewal.clone()).await.status,
        StatusCode::OK
    );
    assert_eq!(new.count(), 2);
    let switch = json!({"validate_at_renewal": true});
    graph.control(Method::PATCH, "switches", Some(switch)).await;
    assert_eq!(graph.patch(&path, renewal).await.status, StatusCode::OK);
    assert_eq!(new.count(), 3);
    graph.stop().await;
}
