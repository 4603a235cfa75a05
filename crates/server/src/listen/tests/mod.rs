//! The notification URL over raw sockets.

use std::time::Duration;

use serde_json::json;
use tidings_domain::page::{Page, PageLimit};
use tidings_storage::record::NotificationFilter;

mod served;

use served::{Answered, Served};

const TOKEN: &str = "Validation%3a+Testing+client+application+reachability+for+subscription+Request-Id%3a+0b8e6f54-6c1d-4a57-9a53-52b1e0c7d9aa";
const DECODED: &str = "Validation: Testing client application reachability for subscription Request-Id: 0b8e6f54-6c1d-4a57-9a53-52b1e0c7d9aa";

/// The limit under test, shorter than any other wait of a gateway, so that a test sees on the clock that it runs.
const LIMIT: Duration = Duration::from_millis(7);

fn post(path: &str, headers: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: tidings.example\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A collection of one item that nobody knows.
fn collection() -> String {
    json!({"value": [{
        "subscriptionId": "6f2b1c33-8a0e-4d6b-9b57-0a4f5c6d7e8f",
        "changeType": "updated",
        "resource": "Users/5d9c1f6a-1b7e-4f57-8f0e-2c3a4b5c6d7e/Events/AAMkAD=",
    }]})
    .to_string()
}

async fn kept(served: &Served) -> usize {
    let page = Page::first(PageLimit::default());
    let filter = NotificationFilter::default();
    served
        .gateway
        .store
        .notifications(filter, page)
        .await
        .unwrap()
        .items
        .len()
}

fn assert_handshake(answered: &Answered) {
    assert_eq!(answered.status, 200);
    assert_eq!(answered.header("content-type"), Some("text/plain"));
    assert_eq!(answered.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answered.body, DECODED.as_bytes());
}

#[tokio::test]
async fn the_handshake_is_answered_byte_for_byte_whatever_is_broken() {
    let served = Served::start(|_| {}).await;
    served.gateway.store.close().await;
    let own = served.url();
    let stranger = "/webhook/0d6e7a4e-5b3f-4f0a-9c61-7f7a4f0f6a11/nobody".to_owned();
    for url in [own.clone(), format!("{own}/lifecycle"), stranger] {
        for path in [
            format!("{url}?validationToken={TOKEN}"),
            format!("{url}?ours=1&validationToken={TOKEN}&more=2"),
        ] {
            let mut client = served.connect().await;
            client
                .send(&post(
                    &path,
                    "Content-Type: text/plain; charset=utf-8\r\n",
                    "",
                ))
                .await;
            assert_handshake(&client.answer().await);
            // The same connection takes the next one.
            client.send(&post(&path, "", "")).await;
            assert_handshake(&client.answer().await);
        }
    }
}

#[tokio::test]
async fn the_handshake_does_not_wait_for_a_body() {
    let served = Served::start(|_| {}).await;
    let mut client = served.connect().await;
    let head = format!(
        "POST {}?validationToken={TOKEN} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n",
        served.url()
    );
    client.send(&head).await;
    assert_handshake(&client.answer().await);
}

#[tokio::test]
async fn what_is_no_handshake_and_no_notification_is_refused() {
    let served = Served::start(|_| {}).await;
    let url = served.url();
    let long = format!("{url}?validationToken={}", "x".repeat(2_049));
    for (request, status) in [
        (post(&long, "", ""), 400),
        (
            format!("GET {url}?validationToken=x HTTP/1.1\r\nHost: x\r\n\r\n"),
            405,
        ),
        (post(&format!("{url}/other"), "", "{}"), 404),
        (post("/webhook/", "", "{}"), 404),
        (post("/webhook/not-a-uuid/mail", "", "{}"), 404),
        (
            post(
                "/webhook/0d6e7a4e-5b3f-4f0a-9c61-7f7a4f0f6a11/mail",
                "",
                &collection(),
            ),
            404,
        ),
        (post(&url, "", "{"), 400),
        (post(&url, "", ""), 400),
    ] {
        let mut client = served.connect().await;
        client.send(&request).await;
        let answered = client.answer().await;
        assert_eq!(answered.status, status, "{request}");
        assert_eq!(answered.header("allow"), (status == 405).then_some("POST"));
    }
}

#[tokio::test]
async fn notifications_are_taken_in_every_form_of_http() {
    let served = Served::start(|_| {}).await;
    let (url, body) = (served.url(), collection());
    let chunked = format!(
        "POST {url} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{}\r\n{:x}\r\n{}\r\n0\r\n\r\n",
        10,
        &body[..10],
        body.len() - 10,
        &body[10..]
    );
    let mut client = served.connect().await;
    for request in [
        post(&url, "", &body),
        post(
            &format!("{url}?ours=1"),
            "Content-Type: nonsense\r\n",
            &body,
        ),
        post(&format!("{url}/lifecycle"), "", &body),
        chunked,
    ] {
        client.send(&request).await;
        let answered = client.answer().await;
        assert_eq!(
            (answered.status, answered.body.as_slice()),
            (202, &b""[..]),
            "{request}"
        );
    }
    // Two at once: the second comes before the first is answered.
    client
        .send(&(post(&url, "", &body) + &post(&url, "", &body)))
        .await;
    assert_eq!(client.answer().await.status, 202);
    assert_eq!(client.answer().await.status, 202);
    assert_eq!(kept(&served).await, 6);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_however_it_comes() {
    let served = Served::start(|config| config.ingest.max_body_bytes = 10_000).await;
    let url = served.url();
    let body = "x".repeat(10_001);
    let chunked = format!(
        "POST {url} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    let asks_first = format!(
        "POST {url} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 999999999\r\n\r\n"
    );
    for request in [post(&url, "", &body), chunked, asks_first] {
        let mut client = served.connect().await;
        client.send(&request).await;
        let answered = client.answer().await;
        assert_eq!(answered.status, 413);
        assert_eq!(answered.header("connection"), Some("close"));
        assert!(client.is_closed().await);
    }
    assert_eq!(kept(&served).await, 0);
    // One that just fits is looked at.
    let mut client = served.connect().await;
    client.send(&post(&url, "", &body[..10_000])).await;
    assert_eq!(client.answer().await.status, 400);
}

#[tokio::test]
async fn a_store_that_takes_nothing_means_503_at_once() {
    let served = Served::start(|_| {}).await;
    let secret = served.webhook_secret.clone();
    served.gateway.store.close().await;
    let held = collection().replace(
        "\"changeType\"",
        &format!("\"clientState\":\"not-{secret}\",\"changeType\""),
    );
    let mut client = served.connect().await;
    client.send(&post(&served.url(), "", &held)).await;
    let answered = client.answer().await;
    assert_eq!(answered.status, 503);
    assert!(answered.header("retry-after").is_some());
}

#[tokio::test]
async fn a_head_that_does_not_come_ends_the_connection() {
    let served = Served::start(|config| config.server.header_timeout.0 = LIMIT).await;
    for sent in ["", "POST /webhook/ HTTP/1.1\r\nX-Slow: "] {
        let mut client = served.connect().await;
        client.send(sent).await;
        served.someone_sleeps_for(LIMIT).await;
        served.clock.advance(LIMIT);
        assert!(client.is_closed().await, "{sent}");
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_is_refused_in_time() {
    let served = Served::start(|config| config.server.body_timeout.0 = LIMIT).await;
    let mut client = served.connect().await;
    let request = post(&served.url(), "", &collection());
    client.send(&request[..request.len() - 1]).await;
    served.someone_sleeps_for(LIMIT).await;
    served.clock.advance(LIMIT);
    assert_eq!(client.answer().await.status, 408);
    assert!(client.is_closed().await);
    assert_eq!(kept(&served).await, 0);
}

#[tokio::test]
async fn when_all_places_are_taken_others_wait_for_one() {
    let served = Served::start(|config| config.server.max_connections = 1).await;
    let handshake = post(&format!("{}?validationToken={TOKEN}", served.url()), "", "");
    let mut first = served.connect().await;
    first.send(&handshake).await;
    assert_handshake(&first.answer().await);
    let mut second = served.connect().await;
    second.send(&handshake).await;
    // Exchanges on the first give the second every chance to be taken too early.
    for _ in 0..10 {
        first.send(&handshake).await;
        assert_handshake(&first.answer().await);
    }
    assert_eq!(
        served.gateway.supervisor.tasks().len(),
        served.tasks_without_connections + 1
    );
    drop(first);
    assert_handshake(&second.answer().await);
}

#[tokio::test]
async fn a_stop_lets_the_request_under_way_finish() {
    let served = Served::start(|config| config.server.body_timeout.0 = LIMIT).await;
    let mut client = served.connect().await;
    let request = post(&served.url(), "", &collection());
    client.send(&request[..request.len() - 1]).await;
    served.someone_sleeps_for(LIMIT).await;
    let gateway = std::sync::Arc::clone(&served.gateway);
    let (stopped, answered) = tokio::join!(gateway.stop(), async {
        gateway.supervisor.soft().cancelled().await;
        client.send(&request[request.len() - 1..]).await;
        client.answer().await
    });
    assert_eq!(answered.status, 202);
    assert_eq!(stopped, tidings_pipeline::supervisor::Stopped::Clean);
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn health_and_metrics_say_what_is() {
    let served = Served::start(|_| {}).await;
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut client = served.connect().await;
    client.send(&post(&served.url(), "", &collection())).await;
    assert_eq!(client.answer().await.status, 202);
    for path in ["/healthz", "/readyz"] {
        client.send(&get(path)).await;
        assert_eq!(client.answer().await.status, 200, "{path}");
    }
    client.send(&get("/readyz")).await;
    let ready: serde_json::Value = serde_json::from_slice(&client.answer().await.body).unwrap();
    assert_eq!(ready["shards_held"], 64, "the only node has all");
    client.send(&get("/metrics")).await;
    let metrics = client.answer().await;
    assert!(
        metrics
            .header("content-type")
            .unwrap()
            .starts_with("application/openmetrics-text")
    );
    let text = String::from_utf8(metrics.body).unwrap();
    for line in [
        "tidings_ingest_notifications_total{verdict=\"unknown_subscription\"} 1\n",
        "tidings_ingest_posts_total{status=\"202\"} 1\n",
        "tidings_store_up 1\n",
        "tidings_nodes_shards_held 64\n",
    ] {
        assert!(text.contains(line), "{line}");
    }
    served.gateway.store.close().await;
    client.send(&get("/healthz")).await;
    assert_eq!(client.answer().await.status, 200);
    client.send(&get("/readyz")).await;
    let ready = client.answer().await;
    assert_eq!(ready.status, 503);
    let said: serde_json::Value = serde_json::from_slice(&ready.body).unwrap();
    assert_eq!(said["parts"]["store"]["ready"], false);
    assert!(said["parts"]["store"]["reason"].is_string());
}
