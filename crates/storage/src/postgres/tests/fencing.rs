//! A node that lost a shard writes nothing for it any more, whatever it holds in its hands.

use tidings_domain::{
    delivery::DeliveryState, notification::Verdict, reconcile::ReconcileScope, shard::Shard,
};

use super::Database;
use crate::{
    Lease, StoreError,
    contract::{
        make::{all, unchanged},
        reconcile::wish,
        subscriptions::note,
    },
    record::{
        AfterAttempt, EventFilter, KnownItem, Outcome, ReconcilePage, ReconcileUpdate,
        SubscriptionUpdate, Told,
    },
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

#[tokio::test]
async fn a_round_of_a_shard_that_was_lost_writes_nothing() {
    let database = Database::start();
    let world = database.world().await;
    let tenant = world.tenant("dev").await;
    let id = world.reconciled(&tenant, "users/u/events", 1).await.id;
    let due = world.store.due_reconciles(world.in_seconds(1), 9).await;
    let due = due.unwrap().remove(0);
    assert_eq!(due.lease.shard(), Shard::FIRST);
    let page = ReconcilePage {
        subscription: id,
        finds: vec![world.arriving(&tenant, Verdict::Accepted, None)],
        items: vec![KnownItem {
            id: "a".to_owned(),
            scope: String::new(),
            enumeration: 1,
            seen: None,
            told: false,
            version: None,
        }],
        forget: Vec::new(),
        scope: ReconcileScope {
            name: String::new(),
            link: None,
            enumeration: 1,
            enumerating: true,
            window: None,
        },
    };
    let update = ReconcileUpdate {
        subscription: id,
        due_at: world.in_seconds(99),
        answers: None,
        started_at: None,
        finished_at: Some(world.now()),
        finds: 1,
        failures: 0,
        last_error: None,
        gone_scopes: Vec::new(),
    };
    for happens in [take_over, give_back] {
        happens(&database, Shard::FIRST);
        let recorded = world.store.record_reconcile_page(page.clone(), due.lease);
        is_fenced(&recorded.await, Shard::FIRST);
        let updated = world.store.update_reconcile(update.clone(), due.lease);
        is_fenced(&updated.await, Shard::FIRST);
    }
    assert_eq!(world.reconcile_of(id).await, due.reconcile);
    for table in ["notifications", "queue", "known_items", "reconcile_scopes"] {
        let rows = database.sql(&format!("SELECT count(*) FROM {table}"));
        assert_eq!(rows, "0", "{table}");
    }
}

#[tokio::test]
async fn what_a_lost_notification_says_of_its_subscription_is_not_written() {
    let database = Database::start();
    let world = database.world().await;
    let tenant = world.tenant("dev").await;
    let subscription = world.reconciled(&tenant, "users/u/events", 60).await;
    let before = world.reconcile_of(subscription.id).await;
    world
        .record(world.arriving(&tenant, Verdict::Accepted, None))
        .await;
    let queued = world.queue().await.remove(0);
    take_over(&database, Shard::FIRST);
    let outcome = Outcome {
        counted: None,
        events: Vec::new(),
        told: Some(Told {
            subscription: subscription.id,
            item: "a".to_owned(),
            present: Some(None),
        }),
        lifecycle: Some(note(&world, subscription.id)),
        reconcile: Some((subscription.id, wish(&world, 1))),
    };
    let finished = world
        .store
        .finish_notification(queued.seq, queued.lease, outcome)
        .await;
    is_fenced(&finished, Shard::FIRST);
    let found = world.store.subscription(subscription.id).await.unwrap();
    assert_eq!(found.as_ref(), Some(&subscription));
    assert_eq!(world.reconcile_of(subscription.id).await, before);
    assert_eq!(database.sql("SELECT count(*) FROM known_items"), "0");
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
