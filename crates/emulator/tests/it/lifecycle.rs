//! Lifecycle notifications on demand, and hand-made POSTs.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use tidings_domain::notification::LifecycleEvent;
use tidings_emulator::{Challenges, Loss, Pause};
use uuid::Uuid;

use crate::kit::{Graph, Receiver};

/// Subscribes to `resource` in the first tenant, with a lifecycle URL; the id.
async fn subscribe(graph: &Graph, resource: &str, url: &str, lifecycle: &str) -> Uuid {
    let mut body = crate::kit::subscription(resource, url);
    body["lifecycleNotificationUrl"] = lifecycle.into();
    let made = graph.post("subscriptions", body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    made.json()["id"].as_str().unwrap().parse().unwrap()
}

fn events_of(graph: &Graph, user: usize) -> String {
    format!("users/{}/events", graph.user(0, user))
}

async fn reauthorize(graph: &Graph, id: Uuid) {
    let path = format!("subscriptions/{id}/reauthorize");
    let answer = graph.call(Method::POST, &path, None).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text());
}

#[tokio::test]
async fn each_of_the_three_has_neither_change_nor_resource() {
    let graph = Graph::start().await;
    let (receiver, lifecycle) = (Receiver::start().await, Receiver::start().await);
    let resource = format!("users/{}/events", graph.user(0, 0));
    let mut body = crate::kit::subscription(&resource, &receiver.url);
    body["lifecycleNotificationUrl"] = lifecycle.url.clone().into();
    let id = graph.post("subscriptions", body).await.json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    lifecycle.forget();
    let path = format!("subscriptions/{id}/lifecycle");
    for (count, event) in ["reauthorizationRequired", "missed", "subscriptionRemoved"]
        .into_iter()
        .enumerate()
    {
        let answer = graph
            .control(Method::POST, &path, Some(json!({"event": event})))
            .await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text());
        assert_eq!(
            lifecycle.items(count + 1).await[count],
            json!({
                "subscriptionId": id,
                "subscriptionExpirationDateTime": "2026-11-23T10:00:00.0000000Z",
                "tenantId": graph.tenants[0].tenant_id,
                "clientState": "s3cret",
                "lifecycleEvent": event,
            })
        );
    }
    // The last one removed it.
    assert_eq!(
        graph.get(&format!("subscriptions/{id}")).await.status,
        StatusCode::NOT_FOUND
    );
    let gone = graph
        .control(Method::POST, &path, Some(json!({"event": "missed"})))
        .await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
    graph.stop().await;
}

#[tokio::test]
async fn without_a_lifecycle_url_or_with_an_unknown_word_nothing_is_sent() {
    let graph = Graph::start().await;
    let receiver = Receiver::start().await;
    let id = graph.subscribe_to_events(&receiver.url).await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("subscriptions/{id}/lifecycle");
    for event in ["missed", "exploded"] {
        let answer = graph
            .control(Method::POST, &path, Some(json!({"event": event})))
            .await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    }
    assert_eq!(receiver.count(), 1);
    graph.stop().await;
}

#[tokio::test]
async fn a_hand_made_post_is_sent_as_it_is() {
    let graph = Graph::start().await;
    let receiver = Receiver::start().await;
    let post = r#"{"value":[ {"odd" : 1.50} ]}"#;
    let body = format!(r#"{{"url":"{}","body":{post}}}"#, receiver.url);
    let headers = [("content-type", "application/json")];
    let answer = graph
        .send(Method::POST, "/emulator/notifications", &headers, body)
        .await
        .unwrap();
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text());
    assert_eq!(receiver.received(1).await[0].body, post.as_bytes());
    graph.stop().await;
}

#[tokio::test]
async fn before_its_end_a_subscription_is_challenged_ever_more_often_until_somebody_acts() {
    let graph = Graph::with(|options| options.switches.challenges = Challenges::End).await;
    let receiver = Receiver::start().await;
    let resource = format!("users/{}/events", graph.user(0, 0));
    let mut body = crate::kit::subscription(&resource, &receiver.url);
    body["lifecycleNotificationUrl"] = receiver.url.clone().into();
    let made = graph.post("subscriptions", body).await.json();
    let path = format!("subscriptions/{}", made["id"].as_str().unwrap());
    receiver.forget();
    // It ends in 24 hours.
    let mut count = 0;
    for wait in [
        Duration::from_hours(12),
        Duration::from_hours(6),
        Duration::from_hours(2),
        Duration::from_mins(15),
        Duration::from_mins(15),
    ] {
        graph.until_next_wake(wait).await;
        graph.clock.advance(wait);
        count += 1;
        let items = receiver.items(count).await;
        assert_eq!(
            items[count - 1]["lifecycleEvent"],
            "reauthorizationRequired"
        );
        graph.until_idle().await;
    }
    // An hour after it has been reauthorized it begins again; a renewal ends it until the new end is near.
    graph
        .call(Method::POST, &format!("{path}/reauthorize"), None)
        .await;
    graph.until_next_wake(Duration::from_hours(1)).await;
    assert_eq!(receiver.count(), count);
    let renewal = json!({"expirationDateTime": "2026-11-26T10:00:00Z"});
    assert_eq!(graph.patch(&path, renewal).await.status, StatusCode::OK);
    // 20.5 hours have gone; the end is 96 hours after the beginning, the first challenge 12 hours before it.
    graph
        .until_next_wake(Duration::from_mins(63 * 60 + 30))
        .await;
    assert_eq!(receiver.count(), count);
    graph.delete(&path).await;
    while graph.clock.next_wake().is_some() {
        tokio::task::yield_now().await;
    }
    graph.stop().await;
}

#[tokio::test]
async fn a_token_of_an_hour_is_challenged_at_once_and_every_quarter_of_an_hour() {
    let graph = Graph::with(|options| options.switches.challenges = Challenges::Token).await;
    let receiver = Receiver::start().await;
    let id = subscribe(&graph, &events_of(&graph, 0), &receiver.url, &receiver.url).await;
    let quarter = Duration::from_mins(15);
    for count in 1..=3 {
        let items = receiver.items(count).await;
        assert_eq!(items[count - 1]["subscriptionId"], id.to_string());
        graph.until_next_wake(quarter).await;
        if count < 3 {
            graph.clock.advance(quarter);
        }
    }
    graph.clock.advance(Duration::from_mins(10));
    // The answer quiets it for a quarter of the new token's life.
    reauthorize(&graph, id).await;
    graph.until_next_wake(quarter).await;
    graph.clock.advance(quarter);
    receiver.items(4).await;
    graph.stop().await;
}

#[tokio::test]
async fn a_token_of_a_day_is_challenged_with_half_of_it_left_and_whichever_ends_first_decides() {
    for (challenges, first) in [(Challenges::Token, 18), (Challenges::Both, 12)] {
        let graph = Graph::with(|options| {
            options.switches.challenges = challenges;
            options.switches.token_seconds = 30 * 3_600;
        })
        .await;
        let receiver = Receiver::start().await;
        // The subscription itself ends in 24 hours.
        subscribe(&graph, &events_of(&graph, 0), &receiver.url, &receiver.url).await;
        receiver.forget();
        graph.until_next_wake(Duration::from_hours(first)).await;
        assert_eq!(receiver.count(), 0);
        graph.clock.advance(Duration::from_hours(first));
        receiver.items(1).await;
        graph.stop().await;
    }
}

#[tokio::test]
async fn what_changes_after_the_token_has_expired_is_held_until_somebody_acts() {
    let graph = Graph::with(|options| options.switches.pause = Pause::Hold).await;
    let receiver = Receiver::start().await;
    let first = subscribe(&graph, &events_of(&graph, 0), &receiver.url, &receiver.url).await;
    receiver.forget();
    graph.clock.advance(Duration::from_secs(3_598));
    graph.new_event().await;
    receiver.items(1).await;
    graph.clock.advance(Duration::from_secs(1));
    let held = [graph.new_event().await, graph.new_event().await];
    graph.until_idle().await;
    assert_eq!(receiver.count(), 1);
    let shown = &graph.emulator.subscriptions()[0];
    assert!(shown.paused);
    assert_eq!(shown.held, 2);
    graph.clock.advance(Duration::from_hours(4));
    reauthorize(&graph, first).await;
    let came: Vec<Value> = receiver.items(3).await[1..]
        .iter()
        .map(|item| item["resourceData"]["id"].clone())
        .collect();
    assert!(held.iter().all(|event| came.contains(&event["id"])));
    // A renewal does the same.
    graph.clock.advance(Duration::from_hours(1));
    graph.new_event().await;
    graph.until_idle().await;
    assert_eq!(receiver.count(), 3);
    let renewal = json!({"expirationDateTime": "2026-11-24T10:00:00Z"});
    let patched = graph
        .patch(&format!("subscriptions/{first}"), renewal)
        .await;
    assert_eq!(patched.status, StatusCode::OK);
    receiver.items(4).await;
    assert!(graph.emulator.losses().is_empty());
    graph.stop().await;
}

#[tokio::test]
async fn what_was_held_for_over_4_hours_is_lost_and_outlook_says_missed() {
    let graph = Graph::with(|options| options.switches.pause = Pause::Hold).await;
    let (receiver, lifecycle) = (Receiver::start().await, Receiver::start().await);
    let id = subscribe(&graph, &events_of(&graph, 0), &receiver.url, &lifecycle.url).await;
    receiver.forget();
    lifecycle.forget();
    graph.clock.advance(Duration::from_hours(1));
    graph.new_event().await;
    graph.clock.advance(Duration::from_mins(5));
    let kept = graph.new_event().await;
    graph.clock.advance(Duration::from_mins(236));
    reauthorize(&graph, id).await;
    assert_eq!(receiver.items(1).await[0]["resourceData"]["id"], kept["id"]);
    assert_eq!(lifecycle.items(1).await[0]["lifecycleEvent"], "missed");
    graph.until_idle().await;
    assert_eq!((receiver.count(), lifecycle.count()), (1, 1));
    assert_eq!(graph.emulator.losses()[&Loss::HeldTooLong], 1);
    graph.stop().await;
}

#[tokio::test]
async fn with_the_other_switch_a_pause_loses_what_changes_and_says_nothing() {
    let graph = Graph::with(|options| {
        options.switches.pause = Pause::Lose;
        options.switches.pause_grace_seconds = 60;
    })
    .await;
    let receiver = Receiver::start().await;
    let id = subscribe(&graph, &events_of(&graph, 0), &receiver.url, &receiver.url).await;
    receiver.forget();
    graph.clock.advance(Duration::from_secs(3_599 + 59));
    graph.new_event().await;
    receiver.items(1).await;
    graph.clock.advance(Duration::from_secs(1));
    graph.new_event().await;
    reauthorize(&graph, id).await;
    let next = graph.new_event().await;
    let items = receiver.items(2).await;
    assert_eq!(items[1]["resourceData"]["id"], next["id"]);
    graph.until_idle().await;
    assert_eq!(receiver.count(), 2);
    let losses = graph.control(Method::GET, "losses", None).await.json();
    assert_eq!(losses, json!({"paused": 1}));
    graph.stop().await;
}

#[tokio::test]
async fn several_lifecycle_notifications_share_a_post() {
    let graph = Graph::start().await;
    let (receiver, elsewhere) = (Receiver::start().await, Receiver::start().await);
    let mut ids = Vec::new();
    for (user, lifecycle) in [(0, &receiver), (1, &receiver), (2, &elsewhere)] {
        let resource = events_of(&graph, user);
        ids.push(subscribe(&graph, &resource, &receiver.url, &lifecycle.url).await);
    }
    receiver.forget();
    elsewhere.forget();
    let body = json!([
        {"subscription": ids[0], "event": "subscriptionRemoved"},
        {"subscription": ids[1], "event": "missed"},
        {"subscription": ids[2], "event": "reauthorizationRequired"},
    ]);
    let sent = graph.control(Method::POST, "lifecycle", Some(body)).await;
    assert_eq!(sent.status, StatusCode::ACCEPTED, "{}", sent.text());
    let both = receiver.items(2).await;
    assert_eq!(receiver.count(), 1);
    assert_eq!(both[0]["lifecycleEvent"], "subscriptionRemoved");
    assert_eq!(both[1]["lifecycleEvent"], "missed");
    assert_eq!(both[1]["subscriptionId"], ids[1].to_string());
    elsewhere.items(1).await;
    let left: Vec<Uuid> = graph
        .emulator
        .subscriptions()
        .iter()
        .map(|one| one.id)
        .collect();
    assert!(!left.contains(&ids[0]) && left.len() == 2);
    // One by one, they share a POST where a fault lets items wait for each other.
    receiver.forget();
    let merge = json!({"kind": "merge", "size": 2, "within_ms": 60_000});
    graph.control(Method::POST, "faults", Some(merge)).await;
    for event in [
        LifecycleEvent::Missed,
        LifecycleEvent::ReauthorizationRequired,
    ] {
        graph.emulator.send_lifecycle(ids[1], event).unwrap();
    }
    receiver.items(2).await;
    assert_eq!(receiver.count(), 1);
    let unknown = [(Uuid::nil(), LifecycleEvent::Missed)];
    graph.emulator.send_lifecycles(&unknown).unwrap_err();
    graph.stop().await;
}

#[tokio::test]
async fn a_subscription_can_vanish_without_a_word() {
    let graph = Graph::start().await;
    let receiver = Receiver::start().await;
    let id = subscribe(&graph, &events_of(&graph, 0), &receiver.url, &receiver.url).await;
    receiver.forget();
    assert!(graph.emulator.remove_subscription(id));
    assert!(!graph.emulator.remove_subscription(id));
    graph.new_event().await;
    graph.until_idle().await;
    assert_eq!(receiver.count(), 0);
    let path = format!("subscriptions/{id}");
    assert_eq!(graph.get(&path).await.status, StatusCode::NOT_FOUND);
    let again = graph
        .call(Method::POST, &format!("{path}/reauthorize"), None)
        .await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
    graph.stop().await;
}

#[tokio::test]
async fn only_outlook_hears_of_what_it_missed() {
    let graph = Graph::start().await;
    let receiver = Receiver::start().await;
    let mut body = crate::kit::subscription("users", &receiver.url);
    body["changeType"] = "updated,deleted".into();
    body["lifecycleNotificationUrl"] = receiver.url.clone().into();
    graph.post("subscriptions", body).await;
    subscribe(&graph, &events_of(&graph, 0), &receiver.url, &receiver.url).await;
    receiver.forget();
    let fault = json!({"kind": "drop", "missed": true});
    graph.control(Method::POST, "faults", Some(fault)).await;
    let user = format!("users/{}", graph.user(0, 1));
    let changed = graph.patch(&user, json!({"jobTitle": "Baker"})).await;
    assert!(changed.status.is_success(), "{}", changed.text());
    graph.new_event().await;
    let items = receiver.items(1).await;
    graph.until_idle().await;
    assert_eq!(receiver.count(), 1, "{items:?}");
    assert_eq!(items[0]["lifecycleEvent"], "missed");
    assert_eq!(graph.emulator.losses()[&Loss::Fault], 2);
    graph.stop().await;
}

#[tokio::test]
async fn faults_hit_lifecycle_notifications_only_with_the_switch() {
    for hit in [false, true] {
        let graph = Graph::with(|options| options.switches.lifecycle_faults = hit).await;
        let receiver = Receiver::start().await;
        let resource = events_of(&graph, 0);
        let id = subscribe(&graph, &resource, &receiver.url, &receiver.url).await;
        receiver.forget();
        for fault in [
            json!({"kind": "drop", "count": 1}),
            json!({"kind": "duplicate", "count": 1}),
        ] {
            graph.control(Method::POST, "faults", Some(fault)).await;
        }
        let both = [
            (id, LifecycleEvent::Missed),
            (id, LifecycleEvent::ReauthorizationRequired),
        ];
        graph.emulator.send_lifecycles(&both).unwrap();
        graph.emulator.quiet().await;
        let came: Vec<Value> = receiver
            .items(2)
            .await
            .iter()
            .map(|item| item["lifecycleEvent"].clone())
            .collect();
        let expected = if hit {
            ["reauthorizationRequired"; 2]
        } else {
            ["missed", "reauthorizationRequired"]
        };
        assert_eq!(came, expected);
        assert_eq!(graph.emulator.losses().len(), usize::from(hit));
        graph.stop().await;
    }
}
