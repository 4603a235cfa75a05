//! Limits on calls: counted always, enforced if asked.

use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use tidings_emulator::{Bound, Quota, Quotas, Throttling, Wait};

use crate::kit::{Graph, Receiver};

/// An emulator that enforces the documented limits but for one.
async fn with(quota: Quota, count: u64, span_ms: u64, retry_after: Wait) -> Graph {
    Graph::with(|options| {
        options.throttling = Throttling {
            enforced: true,
            retry_after,
            quotas: Quotas::default().with(quota, Bound { count, span_ms }),
        };
    })
    .await
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_mailbox_takes_so_many_calls_and_those_made_while_throttled_keep_counting() {
    let graph = with(Quota::OutlookRequests, 3, 60_000, Wait::Seconds).await;
    let path = format!("users/{}/events", graph.user(0, 0));
    for _ in 0..3 {
        assert_eq!(graph.get(&path).await.status, StatusCode::OK);
    }
    graph.clock.advance(Duration::from_secs(30));
    let refused = graph.get(&path).await;
    refused.is_error(429, "TooManyRequests", "Please retry again later.");
    assert_eq!(refused.json()["error"]["innerError"]["code"], "429");
    assert_eq!(text(&refused.headers, "retry-after"), Some("30"));
    // Another mailbox, and the same one in the eyes of another service, are free.
    let other = format!("users/{}/events", graph.user(0, 1));
    assert_eq!(graph.get(&other).await.status, StatusCode::OK);
    let user = format!("users/{}", graph.user(0, 0));
    assert_eq!(graph.get(&user).await.status, StatusCode::OK);
    // Two more calls while throttled: when the first three are forgotten, these three still count.
    for _ in 0..2 {
        assert_eq!(graph.get(&path).await.status, StatusCode::TOO_MANY_REQUESTS);
    }
    graph.clock.advance(Duration::from_secs(30));
    let still = graph.get(&path).await;
    assert_eq!(still.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(text(&still.headers, "retry-after"), Some("30"));
    graph.clock.advance(Duration::from_secs(30));
    assert_eq!(graph.get(&path).await.status, StatusCode::OK);

    let uses = graph.emulator.quota_uses();
    let exceeded: Vec<_> = uses.iter().filter(|one| one.is_exceeded()).collect();
    assert_eq!(exceeded.len(), 1, "{exceeded:?}");
    assert_eq!(exceeded[0].quota, Quota::OutlookRequests);
    assert_eq!(exceeded[0].mailbox, Some(graph.tenants[0].users[0].id));
    assert_eq!(exceeded[0].highest, 6);
    assert_eq!(exceeded[0].limit, 3);
    assert_eq!(exceeded[0].refused, 4);
    graph.stop().await;
}

#[tokio::test]
async fn retry_after_is_whole_a_decimal_or_missing() {
    for (form, header) in [
        (Wait::Seconds, Some("40")),
        (Wait::Decimal, Some("40.000")),
        (Wait::Missing, None),
    ] {
        let graph = with(Quota::OutlookRequests, 1, 60_000, form).await;
        let path = format!("users/{}/events", graph.user(0, 0));
        graph.get(&path).await;
        graph.clock.advance(Duration::from_secs(20));
        let refused = graph.get(&path).await;
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(text(&refused.headers, "retry-after"), header);
        graph.stop().await;
    }
}

#[tokio::test]
async fn a_fifth_call_to_a_mailbox_at_once_is_refused_unless_it_waits_in_its_batch() {
    let graph = with(Quota::OutlookConcurrency, 4, 0, Wait::Seconds).await;
    let bearer = format!("Bearer {}", graph.token(0).await);
    let headers = [
        ("authorization", &*bearer),
        ("content-type", "application/json"),
    ];
    let path = format!("/v1.0/users/{}/events", graph.user(0, 0));
    let lag = json!({"kind": "lag", "ms": 1_000, "count": 4});
    graph.control(Method::POST, "faults", Some(lag)).await;
    let call = || graph.send(Method::GET, &path, &headers, "");
    let fifth = async {
        while graph.highest(Quota::OutlookConcurrency) != [4] {
            tokio::task::yield_now().await;
        }
        let refused = call().await.unwrap();
        graph.clock.advance(Duration::from_secs(1));
        refused
    };
    let (a, b, c, d, refused) = tokio::join!(call(), call(), call(), call(), fifth);
    for answer in [a, b, c, d] {
        assert_eq!(answer.unwrap().status, StatusCode::OK);
    }
    refused.is_error(
        429,
        "ApplicationThrottled",
        "Application is over its MailboxConcurrency limit.",
    );
    assert_eq!(text(&refused.headers, "retry-after"), Some("1"));
    // All have ended: there is room again, also for twenty in a batch.
    let requests: Vec<Value> = (0..20)
        .map(|n| json!({"id": n.to_string(), "method": "GET", "url": path.trim_start_matches("/v1.0")}))
        .collect();
    let answer = graph.post("$batch", json!({"requests": requests})).await;
    let answers = answer.json()["responses"].as_array().unwrap().clone();
    assert!(answers.iter().all(|answer| answer["status"] == 200));
    graph.stop().await;
}

#[tokio::test]
async fn writes_of_subscriptions_are_counted_per_app_and_tenant() {
    let graph = with(
        Quota::SubscriptionWritesPerAppAndTenant,
        2,
        20_000,
        Wait::Seconds,
    )
    .await;
    let receiver = Receiver::start().await;
    let id = graph.subscribe_to_events(&receiver.url).await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("subscriptions/{id}");
    let reauthorize = format!("{path}/reauthorize");
    let again = graph.call(Method::POST, &reauthorize, None).await;
    assert_eq!(again.status, StatusCode::NO_CONTENT);
    let refused = graph.call(Method::POST, &reauthorize, None).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    // Reads have a limit of their own, and so have other tenants.
    assert_eq!(graph.get(&path).await.status, StatusCode::OK);
    let theirs = format!("users/{}/events", graph.user(1, 0));
    graph.subscribe_in(1, &theirs, &receiver.url).await;
    graph.stop().await;
}

#[tokio::test]
async fn the_directory_tells_what_calls_cost_and_how_near_its_limit_is() {
    let graph = with(Quota::IdentityUnitsSmall, 10, 10_000, Wait::Missing).await;
    let mut told = Vec::new();
    for _ in 0..6 {
        let answer = graph.get("users").await;
        let headers = &answer.headers;
        told.push((
            answer.status.as_u16(),
            text(headers, "x-ms-resource-unit").unwrap().to_owned(),
            text(headers, "x-ms-throttle-limit-percentage").map(str::to_owned),
        ));
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            let (app, tenant) = (graph.tenants[0].client_id, graph.tenants[0].tenant_id);
            assert_eq!(
                text(headers, "x-ms-throttle-scope").unwrap(),
                format!("Tenant_Application/Read/{app}/{tenant}")
            );
            assert_eq!(
                text(headers, "x-ms-throttle-information"),
                Some("ResourceUnitLimitExceeded")
            );
        }
    }
    let two = || "2".to_owned();
    let near = |share: &str| Some(share.to_owned());
    assert_eq!(
        told,
        [
            (200, two(), None),
            (200, two(), None),
            (200, two(), None),
            (200, two(), near("0.80")),
            (200, two(), near("1.00")),
            (429, two(), near("1.20")),
        ]
    );
    // What is no part of the directory does not tell.
    let events = format!("users/{}/events", graph.user(0, 0));
    let answer = graph.get(&events).await;
    assert_eq!(text(&answer.headers, "x-ms-resource-unit"), None);
    graph.stop().await;
}

#[tokio::test]
async fn unless_enforced_a_limit_is_counted_only() {
    let graph = Graph::start().await;
    let quotas = json!({"quotas": {"outlook_requests": {"count": 1, "span_ms": 60_000}}});
    let set = graph
        .control(Method::PATCH, "throttling", Some(quotas))
        .await;
    assert_eq!(set.status, StatusCode::OK, "{}", set.text());
    // The others stay.
    assert_eq!(set.json()["quotas"]["outlook_concurrency"]["count"], 4);
    let path = format!("users/{}/events", graph.user(0, 0));
    for _ in 0..2 {
        assert_eq!(graph.get(&path).await.status, StatusCode::OK);
    }
    assert_eq!(graph.highest(Quota::OutlookRequests), [2]);
    let enforced = json!({"enforced": true});
    graph
        .control(Method::PATCH, "throttling", Some(enforced))
        .await;
    assert_eq!(graph.get(&path).await.status, StatusCode::TOO_MANY_REQUESTS);
    let shown = graph.control(Method::GET, "quotas", None).await.json();
    let requests = shown
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["quota"] == "outlook_requests")
        .unwrap();
    assert_eq!(requests["highest"], 3);
    assert_eq!(requests["refused"], 1);
    graph.control(Method::DELETE, "log", None).await;
    assert_eq!(graph.highest(Quota::OutlookRequests), [0]);
    let unknown = json!({"quotas": {"outlook_sparkle": {"count": 1}}});
    let refused = graph
        .control(Method::PATCH, "throttling", Some(unknown))
        .await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    graph.stop().await;
}
