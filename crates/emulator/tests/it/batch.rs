//! `$batch`: many calls in one, each for itself.

use std::{collections::BTreeMap, time::Duration};

use http::{Method, StatusCode};
use serde_json::{Value, json};
use tidings_emulator::Quota;

use crate::kit::{Graph, Receiver};

/// Sends a batch; its answers by name.
async fn batch(graph: &Graph, requests: Value) -> BTreeMap<String, Value> {
    let answer = graph.post("$batch", json!({"requests": requests})).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    by_id(&answer.json())
}

fn by_id(answer: &Value) -> BTreeMap<String, Value> {
    let answers = answer["responses"].as_array().unwrap();
    answers
        .iter()
        .map(|one| (one["id"].as_str().unwrap().to_owned(), one.clone()))
        .collect()
}

fn get(id: &str, url: &str) -> Value {
    json!({"id": id, "method": "GET", "url": url})
}

async fn event_url(graph: &Graph) -> String {
    let event = graph.new_event().await;
    let id = event["id"].as_str().unwrap();
    format!("/users/{}/events/{id}", graph.user(0, 0))
}

#[tokio::test]
async fn parts_are_answered_by_name_each_with_its_own_status() {
    let graph = Graph::start().await;
    let receiver = Receiver::start().await;
    let id = graph.subscribe_to_events(&receiver.url).await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let event = event_url(&graph).await;
    let renewal = json!({
        "id": "renew",
        "method": "PATCH",
        "url": format!("/subscriptions/{id}"),
        "headers": {"Content-Type": "application/json"},
        "body": {"expirationDateTime": "2026-11-24T10:00:00Z"},
    });
    let answers = batch(
        &graph,
        json!([
            get("event", &event),
            // A slash is not needed, and blanks need not be escaped.
            get("users", "users?$select=id,  displayName&$top=1"),
            get("gone", "/users/nobody@fabrikam.example"),
            get("odd", "/$batch"),
            renewal,
            json!({"id": "end", "method": "delete", "url": format!("{event}")}),
        ]),
    )
    .await;
    let status: BTreeMap<&str, u64> = answers
        .iter()
        .map(|(id, answer)| (id.as_str(), answer["status"].as_u64().unwrap()))
        .collect();
    assert_eq!(
        status,
        BTreeMap::from([
            ("end", 204),
            ("event", 200),
            ("gone", 404),
            ("odd", 400),
            ("renew", 200),
            ("users", 200),
        ])
    );
    assert_eq!(answers["event"]["body"]["subject"], "Tea");
    assert!(
        answers["event"]["headers"]["Content-Type"]
            .as_str()
            .unwrap()
            .starts_with("application/json")
    );
    assert!(answers["end"].get("body").is_none());
    let next = answers["users"]["body"]["@odata.nextLink"]
        .as_str()
        .unwrap();
    assert!(
        next.starts_with(&format!("{}/v1.0/users?", graph.url)),
        "{next}"
    );
    assert_eq!(
        answers["gone"]["body"]["error"]["code"],
        "Request_ResourceNotFound"
    );
    assert_eq!(
        answers["renew"]["body"]["expirationDateTime"],
        "2026-11-24T10:00:00.0000000Z"
    );
    // Each part was counted as the call that it is.
    let calls = graph.emulator.calls();
    for call in ["POST $batch", "PATCH subscriptions/{id}", "GET users"] {
        assert!(
            calls.iter().any(|one| one.call == call && one.count == 1),
            "{call}"
        );
    }
    graph.stop().await;
}

#[tokio::test]
async fn a_malformed_batch_is_refused_as_a_whole() {
    let graph = Graph::start().await;
    let refused = async |body: Value, message: &str| {
        let answer = graph.post("$batch", body).await;
        answer.is_error(400, "BadRequest", message);
    };
    let requests = |requests: Value| json!({ "requests": requests });
    for odd in [
        json!({}),
        json!([]),
        requests(json!([])),
        requests(json!([{"id": 1, "method": "GET", "url": "/users"}])),
    ] {
        refused(odd, "Invalid batch payload format.").await;
    }
    let many: Vec<Value> = (0..21).map(|n| get(&n.to_string(), "/users")).collect();
    refused(
        requests(many[..].into()),
        "Number of batch request steps exceeds the maximum value of 20.",
    )
    .await;
    let answers = batch(&graph, many[..20].into()).await;
    assert_eq!(answers.len(), 20);
    refused(
        requests(json!([get("a", "/users"), get("A", "/users")])),
        "Request Ids within a batch must be unique: 'A' is not.",
    )
    .await;
    refused(
        requests(json!([get("a", &format!("{}/v1.0/users", graph.url))])),
        &format!(
            "The url of request 'a' must be relative: '{}/v1.0/users' is not.",
            graph.url
        ),
    )
    .await;
    refused(
        requests(json!([{"id": "a", "url": "/users"}])),
        "A request within the batch has no method.",
    )
    .await;
    // Writes need both a body and its type.
    for part in [
        json!({"id": "1", "method": "PATCH", "url": "/subscriptions/x", "body": {}}),
        json!({"id": "1", "method": "POST", "url": "/subscriptions/x/reauthorize"}),
        json!({
            "id": "1",
            "method": "POST",
            "url": "/subscriptions/x/reauthorize",
            "headers": {"Content-Type": "application/json"},
        }),
    ] {
        refused(
            requests(json!([part])),
            "Write request id : 1 does not contain Content-Type header or body.",
        )
        .await;
    }
    let unnamed = graph
        .send(Method::POST, "/v1.0/$batch", &[], r#"{"requests":[]}"#)
        .await
        .unwrap();
    assert_eq!(unnamed.status, StatusCode::UNAUTHORIZED);
    let read = graph.get("$batch").await;
    assert_eq!(read.status, StatusCode::METHOD_NOT_ALLOWED);
    graph.stop().await;
}

#[tokio::test]
async fn parts_wait_for_what_they_depend_on_and_fail_with_it() {
    let graph = Graph::start().await;
    let user = graph.user(0, 0);
    let event = event_url(&graph).await;
    let after = |mut part: Value, names: Value| {
        part["dependsOn"] = names;
        part
    };
    let delete = json!({"id": "delete", "method": "DELETE", "url": event});
    let answers = batch(
        &graph,
        json!([
            after(get("again", &event), json!(["DELETE"])),
            after(get("never", &format!("/users/{user}")), json!(["again"])),
            after(delete, json!(["first"])),
            get("first", &event),
        ]),
    )
    .await;
    assert_eq!(answers["first"]["status"], 200);
    assert_eq!(answers["delete"]["status"], 204);
    assert_eq!(answers["again"]["status"], 404);
    assert_eq!(answers["never"]["status"], 424);
    assert_eq!(
        answers["never"]["body"]["error"]["code"],
        "FailedDependency"
    );
    for (names, message) in [
        (
            json!(["nobody"]),
            "Request 'a' depends on 'nobody', which is not in the batch.",
        ),
        (
            json!(["a"]),
            "The requests within the batch depend on each other in a circle.",
        ),
    ] {
        let requests = json!({"requests": [after(get("a", "/users"), names)]});
        let answer = graph.post("$batch", requests).await;
        answer.is_error(400, "BadRequest", message);
    }
    graph.stop().await;
}

#[tokio::test]
async fn each_part_is_throttled_for_itself_with_its_own_wait() {
    let graph = Graph::start().await;
    for text in ["3", "2.128"] {
        let fault = json!({"kind": "throttle", "count": 1, "retry_after": {"text": text}});
        graph.control(Method::POST, "faults", Some(fault)).await;
    }
    let fault = json!({
        "kind": "outage",
        "call": "GET users/{id}",
        "mode": {"status": 503},
        "retry_after": {"text": "7"},
    });
    graph.control(Method::POST, "faults", Some(fault)).await;
    let user = format!("/users/{}", graph.user(0, 0));
    let answers = batch(
        &graph,
        json!([
            get("a", "/users"),
            get("b", "/users"),
            get("c", "/users"),
            get("down", &user),
        ]),
    )
    .await;
    let mut waits: Vec<(u64, Option<&str>)> = answers
        .values()
        .map(|answer| {
            let wait = answer["headers"].get("Retry-After");
            (
                answer["status"].as_u64().unwrap(),
                wait.map(|wait| wait.as_str().unwrap()),
            )
        })
        .collect();
    waits.sort_unstable();
    assert_eq!(
        waits,
        [
            (200, None),
            (429, Some("2.128")),
            (429, Some("3")),
            (503, Some("7")),
        ]
    );
    assert_eq!(answers["down"]["status"], 503);
    graph.stop().await;
}

#[tokio::test]
async fn a_part_that_would_have_been_cut_off_is_answered_with_504() {
    let graph = Graph::start().await;
    let fault = json!({"kind": "outage", "call": "GET users", "mode": "close"});
    graph.control(Method::POST, "faults", Some(fault)).await;
    let user = format!("/users/{}", graph.user(0, 0));
    let answers = batch(&graph, json!([get("a", "/users"), get("b", &user)])).await;
    assert_eq!(answers["a"]["status"], 504);
    assert_eq!(answers["b"]["status"], 200);
    graph.stop().await;
}

#[tokio::test]
async fn at_most_four_parts_go_to_one_mailbox_at_a_time() {
    let graph = Graph::start().await;
    let token = graph.token(0).await;
    let fault = json!({"kind": "lag", "ms": 1_000, "call": "GET users/{id}/events"});
    graph.control(Method::POST, "faults", Some(fault)).await;
    // One mailbox, by both of its names; and another.
    let names = [&graph.user(0, 0), &graph.tenants[0].users[0].mail.clone()];
    let mut requests: Vec<Value> = (0..6)
        .map(|n| get(&n.to_string(), &format!("/users/{}/events", names[n % 2])))
        .collect();
    let other = graph.user(0, 1);
    requests.push(get("other", &format!("/users/{other}/events")));
    let body = json!({"requests": requests}).to_string();
    let bearer = format!("Bearer {token}");
    let headers = [
        ("authorization", &*bearer),
        ("content-type", "application/json"),
    ];
    let call = graph.send(Method::POST, "/v1.0/$batch", &headers, body);
    let time = async {
        let under_way = || graph.highest(Quota::OutlookConcurrency).iter().sum::<u64>();
        while under_way() < 5 {
            tokio::task::yield_now().await;
        }
        graph.clock.advance(Duration::from_secs(1));
        // The two that had to wait.
        graph.until_next_wake(Duration::from_secs(1)).await;
        graph.clock.advance(Duration::from_secs(1));
    };
    let (answer, ()) = tokio::join!(call, time);
    let answers = by_id(&answer.unwrap().json());
    assert!(answers.values().all(|answer| answer["status"] == 200));
    assert_eq!(graph.highest(Quota::OutlookConcurrency), [1, 4]);
    graph.stop().await;
}

#[tokio::test]
async fn answers_come_in_an_order_that_the_seed_decides() {
    let order = async |seed, shuffled| {
        let graph = Graph::with(|options| {
            options.seed = seed;
            options.switches.shuffled_batches = shuffled;
        })
        .await;
        // One after the other, the last one first.
        let requests: Vec<Value> = (0..20)
            .map(|n: u32| {
                let mut part = get(&n.to_string(), "/users");
                if n < 19 {
                    part["dependsOn"] = json!([(n + 1).to_string()]);
                }
                part
            })
            .collect();
        let answer = graph.post("$batch", json!({"requests": requests})).await;
        let order: Vec<u32> = answer.json()["responses"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["id"].as_str().unwrap().parse().unwrap())
            .collect();
        graph.stop().await;
        order
    };
    let ended: Vec<u32> = (0..20).rev().collect();
    assert_eq!(order(3, false).await, ended);
    let first = order(3, true).await;
    assert_ne!(first, ended);
    assert_ne!(first, order(4, true).await);
    assert_eq!(first, order(3, true).await);
    let mut sorted = first;
    sorted.sort_unstable_by(|one, other| other.cmp(one));
    assert_eq!(sorted, ended);
}
