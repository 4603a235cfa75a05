//! Lifecycle notifications on demand, and hand-made POSTs.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::json;

use crate::kit::{Graph, Receiver};

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
    let graph = Graph::with(|options| options.switches.challenges = true).await;
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
    graph.until_next_wake(Duration::from_mins(15)).await;
    graph.clock.advance(Duration::from_mins(15));
    graph.until_next_wake(Duration::from_mins(45)).await;
    assert_eq!(receiver.count(), count);
    let renewal = json!({"expirationDateTime": "2026-11-26T10:00:00Z"});
    assert_eq!(graph.patch(&path, renewal).await.status, StatusCode::OK);
    graph.clock.advance(Duration::from_mins(45));
    // Woken, it finds the new end days away.
    while graph
        .clock
        .next_wake()
        .is_none_or(|wait| wait < Duration::from_hours(24))
    {
        tokio::task::yield_now().await;
    }
    assert_eq!(receiver.count(), count);
    graph.stop().await;
}
