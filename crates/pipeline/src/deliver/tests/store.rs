//! The stage while its store fails, and while there is nothing to do.

use super::*;

#[tokio::test]
async fn a_store_that_cannot_be_read_delays_deliveries_and_ends_nothing() {
    let receiver = Receiver::start(|_| ok()).await;
    let mut world = World::new(|_| {}).await;
    let webhook = world.webhook(&receiver.url()).await;
    world.mood.fail_reads(true);
    world.run();
    let delivery = world.deliver(&[webhook.id]).await[0];
    // The look at everything and the look for this webhook both fail, and wait.
    step(async || (world.mood.failed() >= 2).then_some(())).await;
    for _ in 0..5 {
        let failed = world.mood.failed();
        world.pass_time_until(|| world.mood.failed() > failed).await;
    }
    assert_eq!(receiver.requests(), 0);
    world.mood.fail_reads(false);
    let reads = world.mood.reads();
    // One is the look at everything; with the second, the look for this webhook has succeeded.
    world
        .pass_time_until(|| world.mood.reads() >= reads + 2)
        .await;
    assert_eq!(
        world.finished(delivery).await.state,
        DeliveryState::Delivered
    );
    assert_eq!(receiver.requests(), 1);
    world.stop().await;
}

#[tokio::test]
async fn a_result_waits_for_the_store_and_its_delivery_is_not_sent_again_meanwhile() {
    let mut receiver = Receiver::start(|_| ok()).await;
    let world = World::start().await;
    let webhook = world.webhook(&receiver.url()).await;
    world.mood.fail_writes(true);
    let delivery = world.deliver(&[webhook.id]).await[0];
    receiver.next().await;
    for failures in 1..6 {
        world
            .pass_time_until(|| world.mood.failed() >= failures)
            .await;
        // However often it is looked for, it is under way.
        world.wake.wake();
    }
    assert_eq!(world.delivery(delivery).await.state, DeliveryState::Pending);
    world.mood.fail_writes(false);
    let writes = world.mood.writes();
    world.pass_time_until(|| world.mood.writes() > writes).await;
    let found = world.finished(delivery).await;
    assert_eq!((found.state, found.attempts), (DeliveryState::Delivered, 1));
    world.stop().await;
    assert_eq!(receiver.requests(), 1);
}

#[tokio::test]
async fn a_crash_repeats_no_more_than_what_was_under_way() {
    let mut receiver = Receiver::start(|_| ok()).await;
    let mut world = World::start().await;
    let webhook = world.webhook(&receiver.url()).await;
    world.mood.fail_writes(true);
    let deliveries = world.deliver(&[webhook.id; 40]).await;
    // Eight are sent at a time, and four times as many may be under way until their results are recorded.
    for _ in 0..32 {
        receiver.next().await;
    }
    step(async || (world.mood.failed() >= 32).then_some(())).await;
    world.crash().await;
    assert_eq!(
        receiver.requests(),
        32,
        "results that wait hold their places"
    );
    world.mood.fail_writes(false);
    world.run();
    for delivery in deliveries {
        assert_eq!(
            world.finished(delivery).await.state,
            DeliveryState::Delivered
        );
    }
    world.stop().await;
    assert_eq!(receiver.requests(), 72);
}

#[tokio::test]
async fn nothing_is_asked_of_the_store_while_there_is_nothing_to_do() {
    let mut receiver = Receiver::start(|_| ok()).await;
    let world = World::start().await;
    let webhook = world.webhook(&receiver.url()).await;
    let delivery = world.deliver(&[webhook.id]).await[0];
    receiver.next().await;
    world.finished(delivery).await;
    let reads = world.quiet().await;
    world.clock.advance(3_600 * SECOND);
    assert_eq!(world.quiet().await, reads);
    world.stop().await;
}

#[tokio::test]
async fn what_becomes_due_for_a_disabled_webhook_is_not_looked_for_until_it_is_enabled() {
    let mut receiver = Receiver::start(|number| match number {
        1 => Reply::Reset(Vec::new()),
        _ => ok(),
    })
    .await;
    let world = World::start().await;
    let webhook = world.webhook(&receiver.url()).await;
    let delivery = world.deliver(&[webhook.id]).await[0];
    receiver.next().await;
    let tried = world.tried(delivery, 1).await;
    world.disable(webhook.id).await;
    let reads = world.quiet().await;
    let wait = world.clock.now().until(tried.due_at.unwrap());
    world.clock.advance(wait);
    assert_eq!(world.quiet().await, reads);
    assert_eq!(world.delivery(delivery).await.state, DeliveryState::Held);
    world.enable(webhook.id).await;
    assert_eq!(
        world.finished(delivery).await.state,
        DeliveryState::Delivered
    );
    world.stop().await;
}

#[tokio::test]
async fn a_flow_of_deliveries_arrives_once_each_and_one_at_a_time_in_order() {
    let mut receiver = Receiver::start(|_| ok()).await;
    let mut world = World::new(|config| config.per_webhook = 1).await;
    let webhook = world.webhook(&receiver.url()).await;
    world.run();
    let mut sent = Vec::new();
    for _ in 0..10 {
        for delivery in world.deliver(&[webhook.id; 20]).await {
            sent.push(delivery);
        }
    }
    let mut events = Vec::new();
    for _ in 0..sent.len() {
        let request = receiver.next().await;
        events.push(request.headers["webhook-id"].to_str().unwrap().to_owned());
    }
    for &delivery in &sent {
        world.finished(delivery).await;
    }
    let mut expected = Vec::new();
    for &delivery in &sent {
        expected.push(world.delivery(delivery).await.event.to_string());
    }
    assert_eq!(events, expected);
    world.stop().await;
    assert_eq!(receiver.requests(), 200);
}
