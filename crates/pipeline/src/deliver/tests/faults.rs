//! Receivers and networks at their worst.

use tokio::net::TcpListener;

use super::*;

#[tokio::test]
async fn a_connection_that_is_cut_is_a_failed_attempt_and_is_repeated() {
    let mut receiver = Receiver::start(|number| match number {
        1 => Reply::Reset(Vec::new()),
        2 => Reply::Reset(b"HTTP/1.1 2".to_vec()),
        _ => ok(),
    })
    .await;
    let world = World::start().await;
    let webhook = world.webhook(&receiver.url()).await;
    let delivery = world.deliver(&[webhook.id]).await[0];
    for attempt in 1..=2 {
        receiver.next().await;
        let tried = world.tried(delivery, attempt).await;
        assert_eq!(
            (tried.state, tried.last_status),
            (DeliveryState::Pending, None)
        );
        let wait = world.clock.now().until(tried.due_at.unwrap());
        assert!(wait > Duration::ZERO);
        world.clock.advance(wait);
    }
    assert_eq!(
        world.finished(delivery).await.state,
        DeliveryState::Delivered
    );
    let log = world.store.attempts(delivery).await.unwrap();
    let outcomes: Vec<_> = log.iter().map(|attempt| attempt.outcome).collect();
    let cut = AttemptOutcome::Protocol;
    assert_eq!(outcomes, [cut, cut, AttemptOutcome::Success]);
    world.stop().await;
}

#[tokio::test]
async fn a_receiver_that_was_down_gets_everything_once_it_is_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let world = World::start().await;
    let webhook = world.webhook(&format!("http://{address}/")).await;
    let deliveries = world.deliver(&[webhook.id; 20]).await;
    for &delivery in &deliveries {
        world.tried(delivery, 1).await;
        let log = world.store.attempts(delivery).await.unwrap();
        assert_eq!(log[0].outcome, AttemptOutcome::Connect);
    }
    let receiver = Receiver::serve(TcpListener::bind(address).await.unwrap(), |_| ok());
    assert_eq!(receiver.address(), address);
    world.clock.advance(6 * SECOND);
    for delivery in deliveries {
        let found = world.finished(delivery).await;
        assert_eq!((found.state, found.attempts), (DeliveryState::Delivered, 2));
    }
    world.stop().await;
}

#[tokio::test]
async fn a_receiver_that_hangs_is_left_at_the_deadline_and_delays_nobody_else() {
    let mut hung = Receiver::start(|_| Reply::Hang(Vec::new())).await;
    let healthy = Receiver::start(|_| ok()).await;
    let mut world = World::start().await;
    let (bad, good) = (
        world.webhook(&hung.url()).await,
        world.webhook(&healthy.url()).await,
    );
    let waiting = world.deliver(&[bad.id; 30]).await;
    for _ in 0..8 {
        hung.next().await;
    }
    // No time passes: whatever arrives now was not delayed.
    for delivery in world.deliver(&[good.id; 100]).await {
        assert_eq!(
            world.finished(delivery).await.state,
            DeliveryState::Delivered
        );
    }
    assert_eq!(hung.requests(), 8, "no more than its own places");

    world.clock.advance(15 * SECOND);
    let attempts = step(async || {
        let mut attempts = Vec::new();
        for &delivery in &waiting {
            attempts.extend(world.store.attempts(delivery).await.unwrap());
        }
        (attempts.len() >= 8).then_some(attempts)
    })
    .await;
    assert_eq!(attempts.len(), 8);
    for attempt in attempts {
        assert_eq!(attempt.outcome, AttemptOutcome::Timeout);
        assert_eq!(attempt.took, 15 * SECOND);
    }
    // It has shown that it is strained: no longer eight at a time.
    assert!(hung.requests() < 16, "{}", hung.requests());
    hung.hung_up().await;
    world.crash().await;
}

#[tokio::test]
async fn thirty_hung_receivers_leave_room_for_a_healthy_one() {
    let mut hung = Receiver::start(|_| Reply::Hang(Vec::new())).await;
    let healthy = Receiver::start(|_| ok()).await;
    let mut world = World::start().await;
    let mut bad = Vec::new();
    for _ in 0..30 {
        bad.extend([world.webhook(&hung.url()).await.id; 10]);
    }
    let good = world.webhook(&healthy.url()).await;
    world.deliver(&bad).await;
    for _ in 0..30 * 8 {
        hung.next().await;
    }
    for delivery in world.deliver(&[good.id; 20]).await {
        assert_eq!(
            world.finished(delivery).await.state,
            DeliveryState::Delivered
        );
    }
    assert_eq!(hung.requests(), 30 * 8);
    world.crash().await;
}

#[tokio::test]
async fn a_head_that_drips_ends_at_the_deadline() {
    let mut receiver =
        Receiver::start(|_| Reply::Hang(b"HTTP/1.1 200 OK\r\nx-slow: ".to_vec())).await;
    let world = World::start().await;
    let webhook = world.webhook(&receiver.url()).await;
    let delivery = world.deliver(&[webhook.id]).await[0];
    receiver.next().await;
    world.clock.advance(15 * SECOND);
    assert_eq!(world.tried(delivery, 1).await.state, DeliveryState::Pending);
    let log = world.store.attempts(delivery).await.unwrap();
    assert_eq!(log[0].outcome, AttemptOutcome::Timeout);
    receiver.hung_up().await;
    world.stop().await;
}

#[tokio::test]
async fn a_body_that_does_not_end_in_time_is_a_failed_attempt() {
    let drip = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nsome".to_vec();
    let mut receiver = Receiver::start(move |_| Reply::Hang(drip.clone())).await;
    let world = World::start().await;
    let webhook = world.webhook(&receiver.url()).await;
    let delivery = world.deliver(&[webhook.id]).await[0];
    receiver.next().await;
    world.clock.advance(15 * SECOND);
    assert_eq!(world.tried(delivery, 1).await.state, DeliveryState::Pending);
    let log = world.store.attempts(delivery).await.unwrap();
    assert_eq!(log[0].outcome, AttemptOutcome::Timeout);
    assert_eq!(log[0].took, 15 * SECOND);
    receiver.hung_up().await;
    world.stop().await;
}

#[tokio::test]
async fn of_an_endless_body_16_kib_are_kept_and_the_connection_is_dropped() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n".to_vec();
    let mut receiver =
        Receiver::start(move |_| Reply::Endless(head.clone(), vec![b'x'; 4_096])).await;
    let world = World::start().await;
    let webhook = world.webhook(&receiver.url()).await;
    let delivery = world.deliver(&[webhook.id]).await[0];
    assert_eq!(
        world.finished(delivery).await.state,
        DeliveryState::Delivered
    );
    let log = world.store.attempts(delivery).await.unwrap();
    assert_eq!(log[0].answer.len(), 16 * 1_024);
    receiver.hung_up().await;
    world.stop().await;
}

#[tokio::test]
async fn redirects_are_not_followed_and_their_status_is_kept() {
    let target = Receiver::start(|_| ok()).await;
    let moved = format!(
        "HTTP/1.1 307 Moved\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n",
        target.url()
    );
    let metadata =
        b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n";
    let mut receiver = Receiver::start(move |number| {
        Reply::Answer(if number == 1 {
            moved.clone().into_bytes()
        } else {
            metadata.to_vec()
        })
    })
    .await;
    let world = World::start().await;
    let webhook = world.webhook(&receiver.url()).await;
    for status in [307, 302] {
        let delivery = world.deliver(&[webhook.id]).await[0];
        receiver.next().await;
        let tried = world.tried(delivery, 1).await;
        assert_eq!(
            (tried.state, tried.last_status),
            (DeliveryState::Pending, Some(status))
        );
        let log = world.store.attempts(delivery).await.unwrap();
        assert_eq!(log[0].outcome, AttemptOutcome::Redirect);
    }
    assert_eq!(target.requests(), 0);
    world.stop().await;
}

#[tokio::test]
async fn gone_disables_the_webhook_and_what_it_holds_comes_when_it_is_enabled() {
    let mut receiver = Receiver::start(|number| match number {
        1 => Reply::Answer(b"HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n".to_vec()),
        _ => ok(),
    })
    .await;
    let world = World::start().await;
    let webhook = world.webhook(&receiver.url()).await;
    let gone = world.deliver(&[webhook.id]).await[0];
    receiver.next().await;
    let held = world.tried(gone, 1).await;
    assert_eq!(
        (held.state, held.last_status),
        (DeliveryState::Held, Some(410))
    );
    let row = world.store.webhook(webhook.id).await.unwrap().unwrap();
    let WebhookState::Disabled { reason, .. } = row.state else {
        panic!("{row:?}")
    };
    assert_eq!(reason, DisabledReason::Gone);

    step(async || {
        let state = world.directory.webhook(webhook.id).unwrap().state.clone();
        (state != WebhookState::Active).then_some(())
    })
    .await;
    let after = world.deliver(&[webhook.id; 3]).await;
    for &delivery in &after {
        assert_eq!(world.delivery(delivery).await.state, DeliveryState::Held);
    }
    world.enable(webhook.id).await;
    for &delivery in after.iter().chain([&gone]) {
        assert_eq!(
            world.finished(delivery).await.state,
            DeliveryState::Delivered
        );
    }
    assert_eq!(receiver.requests(), 5);
    let text = world.metrics.encode();
    assert!(text.contains("tidings_deliver_webhooks_disabled_total 1\n"));
    world.stop().await;
}

#[tokio::test]
async fn retry_after_is_honoured() {
    let busy = b"HTTP/1.1 429 Slow\r\nretry-after: 90\r\ncontent-length: 0\r\n\r\n";
    let mut receiver = Receiver::start(|number| match number {
        1 => Reply::Answer(busy.to_vec()),
        _ => ok(),
    })
    .await;
    let world = World::start().await;
    let webhook = world.webhook(&receiver.url()).await;
    let delivery = world.deliver(&[webhook.id]).await[0];
    receiver.next().await;
    let tried = world.tried(delivery, 1).await;
    let wait = world.clock.now().until(tried.due_at.unwrap());
    assert_eq!(wait, 90 * SECOND);
    world.clock.advance(wait);
    assert_eq!(world.finished(delivery).await.attempts, 2);
    world.stop().await;
}

#[tokio::test]
async fn what_is_no_http_is_a_failed_attempt_and_nothing_worse() {
    let mut huge = b"HTTP/1.1 200 OK\r\nx-huge: ".to_vec();
    huge.resize(1 << 20, b'a');
    let bad: [Vec<u8>; 3] = [
        b"HTTP/1.1 two hundred OK\r\n\r\n".to_vec(),
        b"\0\x01\x02garbage\r\n\r\n".to_vec(),
        huge,
    ];
    let replies = bad.clone();
    let mut receiver =
        Receiver::start(move |number| Reply::Hang(replies[number - 1].clone())).await;
    let world = World::start().await;
    let webhook = world.webhook(&receiver.url()).await;
    for _ in bad {
        let delivery = world.deliver(&[webhook.id]).await[0];
        receiver.next().await;
        world.tried(delivery, 1).await;
        let log = world.store.attempts(delivery).await.unwrap();
        assert_eq!(log[0].outcome, AttemptOutcome::Protocol);
    }
    world.stop().await;
}

#[tokio::test]
async fn a_success_that_breaks_off_is_a_success_and_counts_once() {
    let part = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart".to_vec();
    let mut receiver = Receiver::start(move |_| Reply::Reset(part.clone())).await;
    let world = World::start().await;
    let webhook = world.webhook(&receiver.url()).await;
    let delivery = world.deliver(&[webhook.id]).await[0];
    receiver.next().await;
    let found = world.finished(delivery).await;
    assert_eq!((found.state, found.attempts), (DeliveryState::Delivered, 1));
    world.clock.advance(24 * 3_600 * SECOND);
    world.stop().await;
    assert_eq!(receiver.requests(), 1);
}
