//! Several nodes on one database: shares, handing over, signals, a queue that several write.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tidings_domain::{
    Clock as _,
    clock::SystemClock,
    ids::NotificationId,
    notification::Verdict,
    shard::{Shard, ShardSet},
};
use tokio::{runtime::Runtime, task::JoinSet};

use super::{Database, PostgresStore, eventually};
use crate::{
    Changed, Signal, Store,
    contract::{World, make::Tenant, reconcile::wish},
    record::{NewNotification, Seq, SubscriptionFilter},
};

fn shards(store: &dyn Store) -> ShardSet {
    store.holdings().shards()
}

/// Waits until two nodes have shared out everything.
async fn shared_out(one: &dyn Store, other: &dyn Store) {
    eventually(async || {
        let (one, other) = (shards(one), shards(other));
        assert!(one.and(other).is_empty(), "a shard has one owner");
        (one.len(), other.len()) == (32, 32)
    })
    .await;
}

#[tokio::test]
async fn a_node_alone_holds_everything_and_a_second_gets_half() {
    let database = Database::start();
    let world = database.world().await;
    assert_eq!(shards(&*world.store), ShardSet::ALL);
    let other = database.node().await;
    shared_out(&*world.store, &*other).await;
}

#[tokio::test]
async fn a_node_that_leaves_hands_over_at_once() {
    // Should it wait for the leases, the test would not end in time.
    let database = Database::with_lease(Duration::from_hours(1));
    let world = database.world().await;
    let other = database.node().await;
    shared_out(&*world.store, &*other).await;
    other.close().await;
    assert_eq!(shards(&*other), ShardSet::EMPTY);
    eventually(async || shards(&*world.store) == ShardSet::ALL).await;
}

#[tokio::test]
async fn the_shards_of_a_dead_node_are_taken_when_its_leases_have_run_out() {
    let database = Database::with_lease(Duration::from_secs(3));
    let world = database.world().await;
    let runtime = Runtime::new().unwrap();
    let its = database.clone();
    let other: Arc<PostgresStore> = runtime
        .spawn(async move { its.node().await })
        .await
        .unwrap();
    shared_out(&*world.store, &*other).await;
    // Nothing of it runs any more, and it has told nobody.
    runtime.shutdown_background();
    eventually(async || shards(&*world.store) == ShardSet::ALL).await;
    assert_eq!(
        shards(&*other),
        ShardSet::EMPTY,
        "it knows so by its own clock"
    );
}

/// Waits until a node has looked at what others did some times more.
async fn has_looked(database: &Database) {
    let seen = || database.sql("SELECT max(seen_at) FROM nodes WHERE name <> 'dead'");
    for _ in 0..2 {
        let before = seen();
        eventually(async || seen() > before).await;
    }
}

#[tokio::test]
async fn nodes_that_died_are_left_no_shards() {
    let database = Database::with_lease(Duration::from_secs(3));
    let world = database.world().await;
    // As one leaves them that dies at each start.
    database.sql(
        "INSERT INTO nodes SELECT 'dead-' || n, 'dead', database_ms(), database_ms() + 60000 FROM generate_series(1, 20) n",
    );
    has_looked(&database).await;
    assert_eq!(shards(&*world.store), ShardSet::ALL);
}

#[tokio::test]
async fn a_node_that_died_and_was_started_again_is_given_nothing_while_others_work() {
    let database = Database::with_lease(Duration::from_hours(1));
    let world = database.world().await;
    let runtime = Runtime::new().unwrap();
    let its = database.clone();
    let other = runtime.spawn(async move { its.node().await });
    let other: Arc<PostgresStore> = other.await.unwrap();
    shared_out(&*world.store, &*other).await;
    runtime.shutdown_background();
    let again = database.node().await;
    // As if the leases of the dead one had run out.
    let held = shards(&*world.store).iter().next().unwrap().get();
    database.sql(&format!(
        "UPDATE shards SET node = NULL WHERE node <> (SELECT node FROM shards WHERE shard = {held})"
    ));
    eventually(async || shards(&*world.store) == ShardSet::ALL).await;
    assert_eq!(shards(&*again), ShardSet::EMPTY);
    // Should there be nobody else, it works all the same.
    world.store.close().await;
    eventually(async || shards(&*again) == ShardSet::ALL).await;
    // Once its former run has been forgotten it counts like the others.
    database
        .sql("UPDATE nodes SET seen_at = 0 WHERE seen_at < (SELECT max(started_at) FROM nodes)");
    let third = database.node().await;
    shared_out(&*again, &*third).await;
}

/// Waits for a signal, whatever others come before it.
async fn heard(store: &dyn Store, wanted: Signal) {
    while store.next_signal().await != wanted {}
}

#[tokio::test]
async fn a_change_on_one_node_is_told_to_the_others() {
    let database = Database::start();
    let world = database.world().await;
    let other = database.node().await;
    let tenant = world.tenant("dev").await;
    let mut wanted: BTreeSet<Signal> = [
        Changed::Environment(tenant.environment),
        Changed::Integration(tenant.integration),
        Changed::Connection(tenant.connection),
        Changed::Webhook(tenant.webhook),
    ]
    .map(Signal::Changed)
    .into();
    while !wanted.is_empty() {
        wanted.remove(&other.next_signal().await);
    }
    other.delete_webhook(tenant.webhook).await.unwrap();
    let removed = Signal::Changed(Changed::Webhook(tenant.webhook));
    heard(&*world.store, removed).await;
}

#[tokio::test]
async fn changes_that_are_told_nowhere_any_more_are_missed_openly() {
    let database = Database::start();
    let world = database.world().await;
    let other = database.node().await;
    // A change, and the end of everything that tells which.
    database.sql("UPDATE change_counter SET value = value + 3");
    heard(&*other, Signal::ChangedSomehow).await;
    heard(&*world.store, Signal::ChangedSomehow).await;
}

fn arriving(world: &World, tenant: &Tenant, shard: Shard) -> NewNotification {
    NewNotification {
        shard,
        ..world.arriving(tenant, Verdict::Accepted, None)
    }
}

async fn read(store: &dyn Store, after: Seq) -> Vec<(Seq, NotificationId)> {
    let found = store.queued_notifications(after, 1_000).await.unwrap();
    found
        .into_iter()
        .map(|queued| (queued.seq, queued.notification.id))
        .collect()
}

#[tokio::test]
async fn what_one_node_takes_is_given_to_the_owner_of_its_shard() {
    let database = Database::start();
    let world = database.world().await;
    let tenant = world.tenant("dev").await;
    let other = database.node().await;
    shared_out(&*world.store, &*other).await;
    let mine = shards(&*world.store).iter().next().unwrap();
    let its = shards(&*other).iter().next().unwrap();
    while other.next_signal().await != Signal::Shards {}

    let new = arriving(&world, &tenant, its);
    let id = new.notification.id;
    world.record(new).await;
    heard(&*other, Signal::Queued).await;
    let found = read(&*other, Seq::default()).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].1, id);
    assert_eq!(read(&*world.store, Seq::default()).await, []);
    let at = world.store.queued_notifications_at(vec![found[0].0]).await;
    assert_eq!(at.unwrap(), []);

    world.record(arriving(&world, &tenant, mine)).await;
    assert_eq!(read(&*world.store, Seq::default()).await.len(), 1);
}

#[tokio::test]
async fn a_delivery_that_one_node_makes_is_due_on_the_owner_of_its_webhook() {
    let database = Database::start();
    let world = database.world().await;
    let tenant = world.tenant("dev").await;
    let id = world.delivered_to(&tenant, &[tenant.webhook]).await[0];
    let other = database.node().await;
    shared_out(&*world.store, &*other).await;
    let shard = Shard::of_webhook(tenant.webhook);
    let (owner, stranger): (&dyn Store, &dyn Store) = if shards(&*other).contains(shard) {
        (&*other, &*world.store)
    } else {
        (&*world.store, &*other)
    };
    let due = owner.due_deliveries(tenant.webhook, world.now(), 10).await;
    assert_eq!(due.unwrap()[0].id, id);
    let due = stranger
        .due_deliveries(tenant.webhook, world.now(), 10)
        .await;
    assert_eq!(due.unwrap(), []);
    assert_eq!(stranger.webhooks_with_pending().await.unwrap(), []);
    assert_eq!(
        owner.webhooks_with_pending().await.unwrap(),
        [(tenant.webhook, world.now())]
    );
    stranger.redeliver(id, world.now()).await.unwrap();
    heard(owner, Signal::Due(Some(tenant.webhook))).await;
}

#[tokio::test]
async fn a_wish_on_one_node_is_told_to_the_owner_of_the_subscription() {
    let database = Database::start();
    let world = database.world().await;
    let tenant = world.tenant("dev").await;
    let id = world.reconciled(&tenant, "users/u/events", 60).await.id;
    let other = database.node().await;
    shared_out(&*world.store, &*other).await;
    let (owner, stranger): (&dyn Store, &dyn Store) = if shards(&*other).contains(Shard::FIRST) {
        (&*other, &*world.store)
    } else {
        (&*world.store, &*other)
    };
    // Once for what was told before it listened.
    heard(owner, Signal::Reconcile).await;
    let wish = wish(&world, 0);
    let asked = stranger.ask_reconcile(SubscriptionFilter::One(id), wish);
    assert_eq!(asked.await.unwrap(), 1);
    heard(owner, Signal::Reconcile).await;
    let due = owner.due_reconciles(world.now(), 9).await.unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].reconcile.subscription, id);
    assert_eq!(owner.next_due_reconcile().await.unwrap(), Some(world.now()));
    let due = stranger.due_reconciles(world.now(), 9).await.unwrap();
    assert_eq!(due, []);
    assert_eq!(stranger.next_due_reconcile().await.unwrap(), None);
}

/// Two nodes write at the same time; each reads what is its own, from the place where it ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_row_is_skipped_while_several_write() {
    const POSTS: usize = 600;
    let database = Database::start();
    let world = Arc::new(database.world().await);
    let tenant = Arc::new(world.tenant("dev").await);
    let other = database.node().await;
    shared_out(&*world.store, &*other).await;

    let mut writers = JoinSet::new();
    let mut expected = BTreeSet::new();
    for number in 0..POSTS {
        let shard = Shard::try_from(u8::try_from(number % 64).unwrap()).unwrap();
        let new = arriving(&world, &tenant, shard);
        expected.insert(new.notification.id);
        let store: Arc<dyn Store> = if number % 3 == 0 {
            other.clone()
        } else {
            Arc::clone(&world.store)
        };
        writers.spawn(async move { store.record_notifications(vec![new]).await.unwrap() });
    }
    let mut found = BTreeSet::new();
    let mut cursors = [Seq::default(); 2];
    eventually(async || {
        let stores: [&dyn Store; 2] = [&*world.store, &*other];
        for (store, cursor) in stores.into_iter().zip(&mut cursors) {
            for (seq, id) in read(store, *cursor).await {
                *cursor = (*cursor).max(seq);
                found.insert(id);
            }
        }
        found.len() == POSTS
    })
    .await;
    assert_eq!(found, expected);
    writers.join_all().await;
}

/// A writer has got its place and stands still before its commit: for as long as it likes.
#[tokio::test]
async fn a_place_that_is_committed_late_is_read_all_the_same() {
    let database = Database::start();
    let world = database.world().await;
    let tenant = world.tenant("dev").await;
    let first = arriving(&world, &tenant, Shard::FIRST);
    world.record(first).await;
    let mut cursor = read(&*world.store, Seq::default()).await[0].0;
    let late: NotificationId = world.ids.next();
    let mut sql = world_sql(&database).await;
    for statement in [
        "CREATE TEMP TABLE one AS SELECT * FROM notifications",
        "BEGIN",
        "SELECT pg_current_xact_id()",
        &format!("UPDATE one SET seq = nextval('notifications_seq'), id = '{late}'"),
        "INSERT INTO notifications SELECT * FROM one",
        "INSERT INTO queue SELECT one.seq, due_at, shard, failures, NULL FROM queue, one",
    ] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
            .execute(&mut sql)
            .await
            .unwrap();
    }
    let clock = SystemClock::new();
    for _ in 0..4 {
        world.record(arriving(&world, &tenant, Shard::FIRST)).await;
        for (seq, id) in read(&*world.store, cursor).await {
            assert_ne!(id, late);
            cursor = cursor.max(seq);
        }
        // So that the reader looks where it stands.
        clock.sleep(Duration::from_millis(250)).await;
    }
    sqlx::raw_sql("COMMIT").execute(&mut sql).await.unwrap();
    let found = read(&*world.store, cursor).await;
    assert!(found.len() == 1 && found[0].1 == late, "{found:?}");
    assert!(found[0].0 < cursor);
    assert_eq!(read(&*world.store, cursor).await, [], "once is enough");
}

pub(super) async fn world_sql(database: &Database) -> sqlx::PgConnection {
    <sqlx::PgConnection as sqlx::Connection>::connect(&database.0.url)
        .await
        .unwrap()
}
