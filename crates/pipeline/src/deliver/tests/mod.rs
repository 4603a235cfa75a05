//! The stage over a real store, against real sockets, on a clock that the tests move.

use std::time::Duration;

use http::HeaderMap;
use tidings_domain::{
    Clock as _,
    delivery::{AttemptOutcome, DeadReason, DeliveryState},
    webhook::{DisabledReason, WebhookState},
};

use self::{
    receiver::{Receiver, Reply, ok},
    world::{World, step},
};
use crate::signature::{SigningKey, Verified};

mod faults;
mod moody;
mod nodes;
mod receiver;
mod store;
mod world;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn an_event_arrives_signed_with_its_bytes_and_is_recorded() {
    let mut receiver =
        Receiver::answering(b"HTTP/1.1 202 Accepted\r\ncontent-length: 6\r\n\r\nthanks").await;
    let world = World::start().await;
    let webhook = world.webhook(&receiver.url()).await;
    let body = r#"{"specversion":"1.0","data":"żółć"}"#;
    let delivery = world.deliver_body(&[webhook.id], body).await[0];

    let request = receiver.next().await;
    assert_eq!(request.line, "POST /hook?k=v HTTP/1.1");
    assert_eq!(request.body, body.as_bytes());
    let key = SigningKey::new(&webhook.secret).unwrap();
    let verified = key.verify(&request.headers, &request.body, Some(world.clock.now()));
    let both = Verified {
        standard: true,
        plain: true,
    };
    assert_eq!(verified, Ok(both));
    let recorded = world.finished(delivery).await;
    assert_eq!(request.headers["webhook-id"], recorded.event.to_string());
    assert_eq!(request.headers["x-tidings-attempt"], "1");
    assert_eq!(request.headers["content-type"], "application/json");
    let us = concat!("tidings/", env!("CARGO_PKG_VERSION"));
    assert_eq!(request.headers["user-agent"], us);

    assert_eq!(recorded.state, DeliveryState::Delivered);
    assert_eq!((recorded.attempts, recorded.last_status), (1, Some(202)));
    let attempts = world.store.attempts(delivery).await.unwrap();
    assert_eq!(attempts.len(), 1);
    assert_eq!(attempts[0].outcome, AttemptOutcome::Success);
    assert_eq!(&attempts[0].answer[..], b"thanks");
    assert_eq!(attempts[0].error, None);
    world.stop().await;
}

#[tokio::test]
async fn a_failed_attempt_is_repeated_with_the_same_id_and_bytes_and_a_new_time() {
    let mut receiver = Receiver::start(|number| match number {
        1 => Reply::Answer(b"HTTP/1.1 500 Oops\r\ncontent-length: 3\r\n\r\nbad".to_vec()),
        _ => ok(),
    })
    .await;
    let world = World::start().await;
    let webhook = world.webhook(&receiver.url()).await;
    let delivery = world.deliver(&[webhook.id]).await[0];
    let first = receiver.next().await;
    let failed = world.tried(delivery, 1).await;
    assert_eq!(failed.state, DeliveryState::Pending);
    let wait = world.clock.now().until(failed.due_at.unwrap());
    assert!((4 * SECOND..=6 * SECOND).contains(&wait), "{wait:?}");

    world.clock.advance(wait);
    let second = receiver.next().await;
    let recorded = world.finished(delivery).await;
    assert_eq!(recorded.state, DeliveryState::Delivered);
    assert_eq!(first.body, second.body);
    let header = |headers: &HeaderMap, name| headers[name].to_str().unwrap().to_owned();
    assert_eq!(
        header(&first.headers, "webhook-id"),
        header(&second.headers, "webhook-id")
    );
    assert_eq!(second.headers["x-tidings-attempt"], "2");
    assert_ne!(
        header(&first.headers, "webhook-timestamp"),
        header(&second.headers, "webhook-timestamp")
    );
    let log = world.store.attempts(delivery).await.unwrap();
    assert_eq!(log[0].outcome, AttemptOutcome::Status);
    assert_eq!(
        log[0].error.as_deref(),
        Some("the webhook answered 500 Internal Server Error")
    );
    assert_eq!((log[0].number, log[1].number), (1, 2));
    world.stop().await;
}

#[tokio::test]
async fn after_the_whole_schedule_a_delivery_is_dead() {
    let mut receiver = Receiver::answering(b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n").await;
    let world = World::start().await;
    let webhook = world.webhook(&receiver.url()).await;
    let delivery = world.deliver(&[webhook.id]).await[0];
    for attempt in 1..=10 {
        receiver.next().await;
        let tried = world.tried(delivery, attempt).await;
        if let Some(due) = tried.due_at {
            world.clock.advance(world.clock.now().until(due));
        }
    }
    let dead = world.finished(delivery).await;
    assert_eq!(dead.state, DeliveryState::Dead);
    assert_eq!(dead.dead_reason, Some(DeadReason::Exhausted));
    assert_eq!(receiver.requests(), 10);
    assert!(
        world
            .metrics
            .encode()
            .contains("tidings_deliver_dead_total 1\n")
    );
    world.stop().await;
}

#[tokio::test]
async fn a_webhook_that_fails_for_five_days_is_disabled_and_a_success_before_that_clears_it() {
    let mut receiver = Receiver::start(|number| match number {
        2 => ok(),
        _ => Reply::Answer(b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n".to_vec()),
    })
    .await;
    let world = World::start().await;
    let webhook = world.webhook(&receiver.url()).await;
    let mut failing = Vec::new();
    for _ in 0..3 {
        let delivery = world.deliver(&[webhook.id]).await[0];
        receiver.next().await;
        world.tried(delivery, 1).await;
        let row = world.store.webhook(webhook.id).await.unwrap().unwrap();
        failing.push(row.failing_since);
    }
    assert!(failing[0].is_some() && failing[1].is_none() && failing[2].is_some());

    let (day, first) = (24 * 3_600 * SECOND, failing[2].unwrap());
    world.clock.advance(5 * day);
    let disabled = step(async || {
        let row = world.store.webhook(webhook.id).await.unwrap().unwrap();
        (row.state != WebhookState::Active).then_some(row)
    })
    .await;
    let WebhookState::Disabled { reason, since } = disabled.state else {
        panic!("{disabled:?}")
    };
    assert_eq!(reason, DisabledReason::Failing);
    assert!(since.since(first) >= 5 * day);
    world.stop().await;
}

#[tokio::test]
async fn an_address_that_is_not_allowed_is_a_failed_attempt_that_says_why() {
    let world = World::start().await;
    let webhook = world.webhook("https://169.254.169.254/latest").await;
    let delivery = world.deliver(&[webhook.id]).await[0];
    world.tried(delivery, 1).await;
    let attempt = &world.store.attempts(delivery).await.unwrap()[0];
    assert_eq!(attempt.outcome, AttemptOutcome::ForbiddenAddress);
    assert!(
        attempt.error.as_ref().unwrap().contains("link-local"),
        "{attempt:?}"
    );
    world.stop().await;
}

#[tokio::test]
async fn a_stop_finishes_what_is_under_way_and_starts_nothing_new() {
    let mut receiver = Receiver::start(|_| Reply::WhenTold(ok_bytes())).await;
    let world = World::start().await;
    let webhook = world.webhook(&receiver.url()).await;
    // Twice as many as may be under way.
    let deliveries = world.deliver(&[webhook.id; 16]).await;
    for _ in 0..8 {
        receiver.next().await;
    }
    let (store, mut stopped) = world.begin_stop();
    receiver.tell(100);
    stopped.join_next().await.unwrap().unwrap();
    let mut states = Vec::new();
    for delivery in deliveries {
        states.push(store.delivery(delivery).await.unwrap().unwrap().state);
    }
    let delivered = states
        .iter()
        .filter(|state| **state == DeliveryState::Delivered);
    assert_eq!(delivered.count(), 8);
    assert_eq!(receiver.requests(), 8);
}

#[tokio::test]
async fn a_new_run_takes_up_what_is_due_and_what_becomes_due_without_any_hint() {
    let mut receiver = Receiver::start(|number| match number {
        1 => Reply::Answer(b"HTTP/1.1 503 Later\r\ncontent-length: 0\r\n\r\n".to_vec()),
        _ => ok(),
    })
    .await;
    let mut world = World::start().await;
    let webhook = world.webhook(&receiver.url()).await;
    let retried = world.deliver(&[webhook.id]).await[0];
    receiver.next().await;
    world.tried(retried, 1).await;
    world.crash().await;
    let waiting = world.deliver(&[webhook.id]).await[0];
    world.run();
    assert_eq!(
        world.finished(waiting).await.state,
        DeliveryState::Delivered
    );
    let due = world.delivery(retried).await.due_at.unwrap();
    world.clock.advance(world.clock.now().until(due));
    assert_eq!(
        world.finished(retried).await.state,
        DeliveryState::Delivered
    );
    world.stop().await;
}

fn ok_bytes() -> Vec<u8> {
    b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec()
}
