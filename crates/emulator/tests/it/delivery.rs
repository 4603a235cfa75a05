//! When notifications are sent again, and what slow endpoints get.

use std::time::Duration;

use http::Method;
use serde_json::json;
use tidings_emulator::Delivery;

use crate::kit::{Graph, Receiver, Reply};

/// Judges after ten answers rather than a hundred, and samples two: the rules are the same.
fn small() -> Delivery {
    Delivery {
        minimum_answers: 10,
        sample: 2,
        ..Delivery::default()
    }
}

async fn ready() -> (Graph, Receiver) {
    let graph = Graph::with(|options| options.delivery = small()).await;
    let receiver = Receiver::start().await;
    graph.subscribe_to_events(&receiver.url).await;
    receiver.forget();
    (graph, receiver)
}

fn state(graph: &Graph) -> &'static str {
    graph.emulator.endpoints()[0].state
}

#[tokio::test]
async fn a_failed_notification_comes_again_with_growing_waits_until_taken() {
    let (graph, receiver) = ready().await;
    receiver.reply(Reply::Status(503));
    graph.new_event().await;
    let mut attempts = 1;
    for wait in [10, 20, 40, 80] {
        graph.emulator.attempted(attempts).await;
        let wait = Duration::from_secs(wait);
        graph.until_next_wake(wait).await;
        if attempts == 4 {
            receiver.reply(Reply::Status(204));
        }
        graph.clock.advance(wait);
        attempts += 1;
    }
    graph.emulator.attempted(attempts).await;
    graph.until_idle().await;
    assert_eq!(graph.clock.next_wake(), None);
    let requests = receiver.received(5).await;
    assert_eq!(requests.len(), 5);
    assert!(requests.iter().all(|one| one.body == requests[0].body));
    let sent = graph.control(Method::GET, "sent", None).await.json();
    let told: Vec<(u64, u64)> = sent
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (
                one["attempt"].as_u64().unwrap(),
                one["status"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(told, [(1, 503), (2, 503), (3, 503), (4, 503), (5, 204)]);
    graph.stop().await;
}

#[tokio::test]
async fn every_2xx_is_taken() {
    let (graph, receiver) = ready().await;
    for (count, status) in [200, 201, 202, 204, 299].into_iter().enumerate() {
        receiver.reply(Reply::Status(status));
        graph.new_event().await;
        graph.emulator.attempted(count as u64 + 1).await;
        graph.until_idle().await;
    }
    assert_eq!(graph.clock.next_wake(), None);
    graph.stop().await;
}

#[tokio::test]
async fn the_first_try_has_3_s_and_the_others_10_s() {
    let (graph, receiver) = ready().await;
    receiver.reply(Reply::Silence);
    graph.new_event().await;
    receiver.received(1).await;
    graph.until_next_wake(Duration::from_secs(3)).await;
    graph.clock.advance(Duration::from_secs(3));
    graph.emulator.attempted(1).await;
    graph.until_next_wake(Duration::from_secs(10)).await;
    graph.clock.advance(Duration::from_secs(10));
    receiver.received(2).await;
    graph.until_next_wake(Duration::from_secs(10)).await;
    graph.clock.advance(Duration::from_millis(9_999));
    graph.until_next_wake(Duration::from_millis(1)).await;
    graph.clock.advance(Duration::from_millis(1));
    graph.emulator.attempted(2).await;
    let sent = graph.emulator.sent();
    assert_eq!((sent[0].took_ms, sent[1].took_ms), (3_000, 10_000));
    assert!(
        sent.iter()
            .all(|one| one.status.is_none() && one.error.is_some())
    );
    graph.stop().await;
}

#[tokio::test]
async fn after_four_hours_it_is_given_up_and_outlook_says_missed() {
    let graph = Graph::start().await;
    let (receiver, lifecycle) = (Receiver::start().await, Receiver::start().await);
    let resource = format!("users/{}/events", graph.user(0, 0));
    let mut body = crate::kit::subscription(&resource, &receiver.url);
    body["lifecycleNotificationUrl"] = lifecycle.url.clone().into();
    graph.post("subscriptions", body).await;
    lifecycle.forget();
    receiver.reply(Reply::Status(500));
    graph.new_event().await;
    let mut attempts = 1;
    let mut passed = Duration::ZERO;
    // Waits of 10 s doubling to 30 min: the fifteenth try is the last within four hours.
    while attempts < 15 {
        graph.emulator.attempted(attempts).await;
        while graph.clock.next_wake().is_none() {
            tokio::task::yield_now().await;
        }
        let wait = graph.clock.next_wake().unwrap();
        passed += wait;
        assert!(passed <= Duration::from_hours(4), "{passed:?}");
        graph.clock.advance(wait);
        attempts += 1;
    }
    graph.emulator.attempted(15).await;
    graph.until_next_wake(Duration::from_mins(30)).await;
    graph.clock.advance(Duration::from_mins(30));
    let missed = lifecycle.items(1).await;
    assert_eq!(missed[0]["lifecycleEvent"], "missed");
    graph.until_idle().await;
    assert_eq!(
        graph
            .emulator
            .sent()
            .iter()
            .filter(|one| one.url == receiver.url)
            .count(),
        15
    );
    graph.stop().await;
}

/// Makes events until ten answers are there, of which the first `silent` never come.
async fn ten_answers(graph: &Graph, receiver: &Receiver, silent: usize) {
    receiver.reply(Reply::Silence);
    for _ in 0..silent {
        graph.new_event().await;
    }
    receiver.received(silent).await;
    graph.until_next_wake(Duration::from_secs(3)).await;
    graph.clock.advance(Duration::from_secs(3));
    graph.emulator.attempted(silent as u64).await;
    receiver.reply(Reply::Right);
    for _ in silent..10 {
        graph.new_event().await;
    }
    graph.emulator.attempted(10).await;
}

#[tokio::test]
async fn over_a_tenth_beyond_3_s_delays_what_is_new_by_10_minutes() {
    let (graph, receiver) = ready().await;
    ten_answers(&graph, &receiver, 1).await;
    assert_eq!(state(&graph), "normal");
    graph.clock.advance(Duration::from_secs(10));
    graph.emulator.attempted(11).await;

    let (graph, receiver) = ready().await;
    ten_answers(&graph, &receiver, 2).await;
    assert_eq!(state(&graph), "slow");
    // Retries of old ones are not held up.
    graph.until_next_wake(Duration::from_secs(10)).await;
    graph.clock.advance(Duration::from_secs(10));
    graph.emulator.attempted(12).await;
    receiver.received(12).await;
    graph.new_event().await;
    graph.until_next_wake(Duration::from_mins(10)).await;
    assert_eq!(receiver.count(), 12);
    graph.clock.advance(Duration::from_millis(599_999));
    graph.until_next_wake(Duration::from_millis(1)).await;
    assert_eq!(receiver.count(), 12);
    graph.clock.advance(Duration::from_millis(1));
    receiver.received(13).await;
    graph.until_idle().await;
    // This one opened the next window; once that has been good too, all is well.
    graph.clock.advance(Duration::from_mins(10));
    graph.new_event().await;
    graph.until_next_wake(Duration::from_mins(10)).await;
    graph.clock.advance(Duration::from_mins(10));
    receiver.received(14).await;
    graph.until_idle().await;
    assert_eq!(state(&graph), "normal");
    graph.new_event().await;
    receiver.received(15).await;
    graph.stop().await;
}

#[tokio::test]
async fn over_15_percent_beyond_10_s_drops_for_10_minutes_then_samples_and_says_missed() {
    let graph = Graph::with(|options| {
        options.delivery = Delivery {
            minimum_answers: 4,
            ..small()
        };
    })
    .await;
    let (receiver, lifecycle) = (Receiver::start().await, Receiver::start().await);
    let resource = format!("users/{}/events", graph.user(0, 0));
    let mut body = crate::kit::subscription(&resource, &receiver.url);
    body["lifecycleNotificationUrl"] = lifecycle.url.clone().into();
    graph.post("subscriptions", body).await;
    lifecycle.forget();
    receiver.forget();
    receiver.reply(Reply::Silence);
    for _ in 0..3 {
        graph.new_event().await;
    }
    receiver.received(3).await;
    graph.until_next_wake(Duration::from_secs(3)).await;
    graph.clock.advance(Duration::from_secs(3));
    graph.emulator.attempted(3).await;
    graph.until_next_wake(Duration::from_secs(10)).await;
    graph.clock.advance(Duration::from_secs(10));
    receiver.received(6).await;
    graph.until_next_wake(Duration::from_secs(10)).await;
    graph.clock.advance(Duration::from_secs(10));
    graph.emulator.attempted(6).await;
    let endpoint = graph
        .emulator
        .endpoints()
        .into_iter()
        .find(|one| receiver.url.contains(&one.host))
        .unwrap();
    assert_eq!(endpoint.state, "drop");

    // New ones and retries are lost alike, and nobody hears of it yet.
    receiver.reply(Reply::Right);
    graph.new_event().await;
    graph.clock.advance(Duration::from_secs(20));
    graph.until_idle().await;
    assert_eq!((receiver.count(), lifecycle.count()), (6, 0));
    // After ten minutes a sample of two goes through; it is good.
    graph.clock.advance(Duration::from_mins(10));
    graph.new_event().await;
    graph.new_event().await;
    receiver.received(8).await;
    let missed = lifecycle.items(1).await;
    assert_eq!(missed[0]["lifecycleEvent"], "missed");
    graph.new_event().await;
    receiver.received(9).await;
    graph.until_idle().await;
    assert_eq!(lifecycle.count(), 1);
    graph.stop().await;
}

#[tokio::test]
async fn hosts_do_not_suffer_for_each_other() {
    let (graph, receiver) = ready().await;
    let other = Receiver::start().await;
    let resource = format!("users/{}/messages", graph.user(0, 0));
    graph.subscribe_in(0, &resource, &other.url).await;
    other.forget();
    ten_answers(&graph, &receiver, 3).await;
    let path = format!("users/{}/messages", graph.user(0, 0));
    graph.post(&path, json!({})).await;
    other.items(1).await;
    graph.stop().await;
}

#[tokio::test]
async fn times_can_be_set_by_the_control_api() {
    let (graph, receiver) = ready().await;
    let set = json!({"backoff_ms": 5});
    let answer = graph
        .control(Method::PATCH, "delivery", Some(set))
        .await
        .json();
    assert_eq!(
        (&answer["backoff_ms"], &answer["give_up_ms"]),
        (&json!(5), &json!(14_400_000))
    );
    receiver.reply(Reply::Status(500));
    graph.new_event().await;
    graph.until_next_wake(Duration::from_millis(5)).await;
    graph.stop().await;
}

#[tokio::test]
async fn it_is_quiet_when_nothing_happens_unless_time_goes_on() {
    let graph = Graph::start().await;
    let receiver = Receiver::start().await;
    graph.subscribe_to_events(&receiver.url).await;
    receiver.forget();
    graph.emulator.quiet().await;
    receiver.reply(Reply::Status(503));
    let user = graph.tenants[0].users[0].id;
    for tries in 1..=3 {
        if tries == 1 {
            graph
                .emulator
                .create_event(user, serde_json::Map::new())
                .unwrap();
        }
        // Nothing else runs between the change, or the end of its wait, and this.
        graph.emulator.quiet().await;
        assert_eq!(graph.emulator.sent().len(), tries);
        assert_eq!(graph.emulator.pending(), 1);
        let wait = graph.clock.next_wake().unwrap();
        graph.clock.advance(wait);
    }
    graph.stop().await;
}
