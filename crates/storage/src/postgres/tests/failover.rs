//! A database that goes on from an earlier state: what was read from it before no longer counts.

use std::{collections::BTreeSet, sync::Arc};

use tidings_domain::{ids::NotificationId, notification::Verdict};

use super::{Database, eventually};
use crate::{
    Changed, Signal, Store, StoreError,
    contract::{World, make::Tenant},
    record::{NewNotification, Outcome, QueuedNotification, Seq},
};

/// More than the places that a sequence passes over after a crash (32), so that some are given a second time.
const MANY: usize = 60;

fn arriving(world: &World, tenant: &Tenant) -> Vec<NewNotification> {
    let one = || world.arriving(tenant, Verdict::Accepted, None);
    std::iter::repeat_with(one).take(MANY).collect()
}

/// Records many until that succeeds, and gives their ids.
async fn recorded(world: &World, tenant: &Tenant) -> BTreeSet<NotificationId> {
    let mut ids = BTreeSet::new();
    eventually(async || {
        let new = arriving(world, tenant);
        ids = new.iter().map(|one| one.notification.id).collect();
        world.store.record_notifications(new).await.is_ok()
    })
    .await;
    ids
}

async fn read(store: &dyn Store, after: Seq) -> Vec<QueuedNotification> {
    store
        .queued_notifications(after, 1_000)
        .await
        .unwrap_or_default()
}

/// Waits for both signals of a database that went back.
async fn heard_that_it_went_back(store: &dyn Store) {
    let mut wanted = BTreeSet::from([Signal::ChangedSomehow, Signal::Shards]);
    while !wanted.is_empty() {
        wanted.remove(&store.next_signal().await);
    }
}

/// Takes the signals of the beginning, and those of a database that comes back.
async fn settled(database: &Database, store: &dyn Store) {
    let before = database.sql("SELECT max(seen_at) FROM nodes");
    eventually(async || {
        store.health().await.trouble.is_none()
            && database.sql("SELECT max(seen_at) FROM nodes") > before
    })
    .await;
}

#[tokio::test]
async fn nothing_is_passed_over_after_a_failover_to_a_standby_that_lagged() {
    let database = Database::with_lease(std::time::Duration::from_secs(3));
    let world = database.world().await;
    let tenant = world.tenant("dev").await;
    let before = recorded(&world, &tenant).await;
    database.server().keep_standby();
    settled(&database, &*world.store).await;

    // These are lost. They have been read, and one of them is worked on.
    let lost = recorded(&world, &tenant).await;
    let mut cursor = Seq::default();
    let mut under_way = Vec::new();
    eventually(async || {
        under_way.extend(read(&*world.store, cursor).await);
        cursor = under_way
            .iter()
            .map(|one| one.seq)
            .max()
            .unwrap_or_default();
        under_way.len() == 2 * MANY
    })
    .await;
    for number in 0..3 {
        let name = format!("lost-{number}");
        world
            .store
            .create_environment(world.environment(&name))
            .await
            .unwrap();
    }
    database.server().fail_over();

    let after = recorded(&world, &tenant).await;
    let places = database
        .sql("SELECT count(*) FROM queue WHERE seq <= (SELECT last_value FROM notifications_seq)");
    assert_eq!(places, (2 * MANY).to_string());
    heard_that_it_went_back(&*world.store).await;
    // Whoever goes on from where he was misses nothing, and whoever begins again is given everything.
    let mut found = BTreeSet::new();
    eventually(async || {
        found.extend(
            read(&*world.store, cursor)
                .await
                .iter()
                .map(|one| one.notification.id),
        );
        after.is_subset(&found)
    })
    .await;
    let all: BTreeSet<_> = read(&*world.store, Seq::default())
        .await
        .iter()
        .map(|one| one.notification.id)
        .collect();
    assert_eq!(all, before.union(&after).copied().collect());

    // What was worked on has lost its place to another, which must not go with it.
    let reused: Vec<_> = under_way
        .iter()
        .filter(|one| lost.contains(&one.notification.id))
        .filter(|one| {
            let place = one.seq.0;
            database.sql(&format!("SELECT count(*) FROM queue WHERE seq = {place}")) == "1"
        })
        .collect();
    assert!(!reused.is_empty(), "some places were given a second time");
    for one in reused {
        let finished = world
            .store
            .finish_notification(one.seq, one.lease, Outcome::default())
            .await;
        assert!(
            matches!(finished, Err(StoreError::Fenced { .. })),
            "{finished:?}"
        );
    }
    assert_eq!(
        database.sql("SELECT count(*) FROM queue"),
        (2 * MANY).to_string()
    );

    // Changes are heard of, though their numbers were seen before.
    let other: Arc<dyn Store> = database.node().await;
    let environment = world.environment("after");
    let change = Signal::Changed(Changed::Environment(environment.id));
    other.create_environment(environment).await.unwrap();
    while world.store.next_signal().await != change {}
}

/// As when a copy of the data folder is put back: in the same timeline.
#[tokio::test]
async fn counters_that_stand_lower_than_what_was_read_are_noticed() {
    let database = Database::start();
    let world = database.world().await;
    let tenant = world.tenant("dev").await;
    recorded(&world, &tenant).await;
    let held = read(&*world.store, Seq::default()).await.remove(0);
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
         WHERE pid <> pg_backend_pid() AND application_name LIKE 'tidings %'";
    for back in [
        "DELETE FROM queue; DELETE FROM notifications; SELECT setval('notifications_seq', 1)",
        "UPDATE change_counter SET value = 1",
    ] {
        database.sql(&format!("{back}; {cut}"));
        heard_that_it_went_back(&*world.store).await;
        eventually(async || world.store.holdings().shards().len() == 64).await;
    }
    let finished = world
        .store
        .finish_notification(held.seq, held.lease, Outcome::default())
        .await;
    assert!(
        matches!(finished, Err(StoreError::Fenced { .. })),
        "{finished:?}"
    );
}
