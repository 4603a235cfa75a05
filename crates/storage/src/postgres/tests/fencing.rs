//! A node that lost a shard writes nothing for it any more, whatever it holds in its hands.

use tidings_domain::{delivery::DeliveryState, notification::Verdict, shard::Shard};

use super::Database;
use crate::{
    Lease, StoreError,
    contract::make::{all, unchanged},
    record::{AfterAttempt, EventFilter, Outcome, SubscriptionUpdate},
};

/// Another node takes a shard over, as it would when the lease had run out.
fn take_over(database: &Database, shard: Shard) {
    database.sql(&format!(
        "UPDATE shards SET node = 'another', epoch = epoch + 1, expires_at = database_ms() + 3600000
         WHERE shard = {shard}"
    ));
}

/// It comes back to its former owner, who does not know yet that it was away.
fn give_back(database: &Database, shard: Shard) {
    database.sql(&format!(
        "UPDATE shards SET node = (SELECT id FROM nodes), epoch = epoch + 1 WHERE shard = {shard}"
    ));
}

fn is_fenced<T: std::fmt::Debug>(result: &Result<T, StoreError>, shard: Shard) {
    assert!(
        matches!(result, Err(StoreError::Fenced { shard: fenced }) if *fenced == shard),
        "{result:?}"
    );
}

#[tokio::test]
async fn the_end_of_a_notification_is_not_written_for_a_shard_that_was_lost() {
    let database = Database::start();
    let world = database.world().await;
    let tenant = world.tenant("dev").await;
    world
        .record(world.arriving(&tenant, Verdict::Accepted, None))
        .await;
    world
        .record(world.arriving(&tenant, Verdict::Held, None))
        .await;
    let queue = world.queue().await;
    let (accepted, held) = (&queue[0], &queue[1]);
    for happens in [take_over, give_back] {
        happens(&database, Shard::FIRST);
        let event = world.event(&tenant, accepted, &[tenant.webhook]);
        let finished = world
            .store
            .finish_notification(accepted.seq, accepted.lease, vec![event].into())
            .await;
        is_fenced(&finished, Shard::FIRST);
        let put_off = world
            .store
            .postpone_notification(accepted.seq, accepted.lease, world.in_seconds(9))
            .await;
        is_fenced(&put_off, Shard::FIRST);
        let mut settled = world.arriving(&tenant, Verdict::Accepted, None);
        settled.notification.id = held.notification.id;
        let settled = world.store.settle_held(held.seq, held.lease, settled).await;
        is_fenced(&settled, Shard::FIRST);
    }
    let events = world.store.events(EventFilter::default(), all()).await;
    assert_eq!(events.unwrap().items, []);
    assert_eq!(database.sql("SELECT count(*) FROM deliveries"), "0");
    assert_eq!(database.sql("SELECT sum(failures) FROM queue"), "0");
    assert_eq!(
        database.sql("SELECT verdict FROM notifications ORDER BY seq"),
        "accepted\nheld"
    );
}

#[tokio::test]
async fn among_many_only_those_of_lost_shards_are_not_written() {
    let database = Database::start();
    let world = database.world().await;
    let tenant = world.tenant("dev").await;
    for shard in Shard::all().take(4) {
        let mut new = world.arriving(&tenant, Verdict::Accepted, None);
        new.shard = shard;
        world.record(new).await;
    }
    let queue = world.queue().await;
    let lost = queue[2].lease.shard();
    take_over(&database, lost);
    let finished = queue.iter().map(|queued| {
        world
            .store
            .finish_notification(queued.seq, queued.lease, Outcome::default())
    });
    for (queued, finished) in queue
        .iter()
        .zip(futures_util::future::join_all(finished).await)
    {
        if queued.lease.shard() == lost {
            is_fenced(&finished, lost);
        } else {
            assert!(finished.unwrap());
        }
    }
    assert_eq!(database.sql("SELECT shard FROM queue"), lost.to_string());
}

#[tokio::test]
async fn an_attempt_is_not_written_for_a_shard_that_was_lost() {
    let database = Database::start();
    let world = database.world().await;
    let tenant = world.tenant("dev").await;
    let id = world.delivered_to(&tenant, &[tenant.webhook]).await[0];
    let attempt = world.attempt(id, tenant.webhook, AfterAttempt::Delivered);
    let shard = Shard::of_webhook(tenant.webhook);
    for happens in [take_over, give_back] {
        happens(&database, shard);
        is_fenced(&world.store.record_attempt(attempt.clone()).await, shard);
    }
    let delivery = world.store.delivery(id).await.unwrap().unwrap();
    assert_eq!(
        (delivery.state, delivery.attempts),
        (DeliveryState::Pending, 0)
    );
    assert_eq!(world.store.attempts(id).await.unwrap(), []);
}

#[tokio::test]
async fn a_loop_that_lost_its_shard_changes_no_subscription_and_a_person_does() {
    let database = Database::start();
    let world = database.world().await;
    let tenant = world.tenant("dev").await;
    let connection = world.store.connection(tenant.connection).await;
    let subscription = world.subscription(&connection.unwrap().unwrap(), "users/u/events");
    let shard = Shard::try_from(7).unwrap();
    world
        .store
        .create_subscription(subscription.clone(), shard)
        .await
        .unwrap();
    let due = world.store.due_subscriptions(world.now(), 9).await.unwrap();
    let lease: Lease = due[0].lease;
    assert_eq!(lease.shard(), shard);
    take_over(&database, shard);
    let update = SubscriptionUpdate {
        graph_id: Some("9ra9h".to_owned()),
        failures: 1,
        ..unchanged(&subscription)
    };
    let refused = world
        .store
        .update_subscription(update.clone(), Some(lease))
        .await;
    is_fenced(&refused, shard);
    let found = world.store.subscription(subscription.id).await.unwrap();
    assert_eq!(found, Some(subscription));
    world.store.update_subscription(update, None).await.unwrap();
}

/// A settled notification whose shard is another one must be seen by whoever has that, however far he has read.
#[tokio::test]
async fn what_is_settled_into_another_shard_gets_a_new_place() {
    let database = Database::start();
    let world = database.world().await;
    let tenant = world.tenant("dev").await;
    world
        .record(world.arriving(&tenant, Verdict::Held, None))
        .await;
    world
        .record(world.arriving(&tenant, Verdict::Accepted, None))
        .await;
    let queue = world.queue().await;
    let held = &queue[0];
    let mut settled = world.arriving(&tenant, Verdict::Accepted, None);
    settled.notification.id = held.notification.id;
    settled.shard = Shard::try_from(9).unwrap();
    let verdict = world.store.settle_held(held.seq, held.lease, settled).await;
    assert_eq!(verdict.unwrap(), Verdict::Accepted);
    let moved = world
        .store
        .queued_notifications(queue[1].seq, 10)
        .await
        .unwrap();
    assert_eq!(moved.len(), 1);
    assert_eq!(moved[0].notification.id, held.notification.id);
    assert_eq!(moved[0].lease.shard().get(), 9);
    assert_eq!(world.queue().await.len(), 2);
}
