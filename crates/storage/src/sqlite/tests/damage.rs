//! Crashes, torn tails and flipped bytes.

use std::{fs, path::Path};

use tidings_domain::{notification::Verdict, shard::Shard};

use super::{
    super::{SqliteStore, database},
    Bench, Folder, options, queued,
};
use crate::{Store as _, StoreError, contract::World, record::Seq};

const FILES: [&str; 3] = ["tidings.db", "tidings.db-wal", "tidings.key"];

/// What a disk would hold had the power gone now: nothing is closed, nothing is tidied up.
fn copy(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    for file in FILES {
        fs::copy(from.join(file), to.path().join(file)).unwrap();
    }
    to
}

async fn reopen(bench: &Bench, folder: &Path) -> SqliteStore {
    SqliteStore::open(options(folder, &bench.clock))
        .await
        .unwrap()
}

#[tokio::test]
async fn what_was_answered_survives_a_crash_at_any_moment() {
    let bench = Bench::new();
    let store = bench.open().await;
    for answered in 0..20 {
        assert_eq!(queued(&store).await, answered);
        let crashed = copy(bench.path());
        let recovered = reopen(&bench, crashed.path()).await;
        assert_eq!(queued(&recovered).await, answered);
        assert_eq!(recovered.check().await.unwrap(), Vec::<String>::new());
        bench.record(&store).await.unwrap();
    }
}

#[tokio::test]
async fn a_torn_tail_of_the_log_recovers_to_a_prefix() {
    let bench = Bench::new();
    let store = bench.open().await;
    for _ in 0..6 {
        bench.record(&store).await.unwrap();
    }
    let whole = fs::metadata(bench.path().join("tidings.db-wal"))
        .unwrap()
        .len();
    let all = store
        .queued_notifications(Seq::default(), 100)
        .await
        .unwrap();
    let all: Vec<_> = all.iter().map(|one| one.notification.id).collect();
    let mut seen = std::collections::BTreeSet::new();
    // The first pages hold the tables themselves; a file cut before they are whole is a new file.
    for end in (whole / 2..=whole).rev().step_by(1_777) {
        let torn = copy(bench.path());
        let log = fs::File::options()
            .write(true)
            .open(torn.path().join("tidings.db-wal"))
            .unwrap();
        log.set_len(end).unwrap();
        let recovered = reopen(&bench, torn.path()).await;
        let found = recovered
            .queued_notifications(Seq::default(), 100)
            .await
            .unwrap();
        let found: Vec<_> = found.iter().map(|one| one.notification.id).collect();
        assert_eq!(found, all[..found.len()], "cut at {end} of {whole}");
        assert_eq!(recovered.check().await.unwrap(), Vec::<String>::new());
        seen.insert(found.len());
    }
    assert!(
        seen.len() > 1,
        "some cuts lose what was written last: {seen:?}"
    );
}

#[tokio::test]
async fn a_flipped_byte_in_the_log_is_never_served() {
    let bench = Bench::new();
    let store = bench.open().await;
    for _ in 0..3 {
        bench.record(&store).await.unwrap();
    }
    let all = queued(&store).await;
    let log = fs::read(bench.path().join("tidings.db-wal")).unwrap();
    for place in (log.len() / 2..log.len()).step_by(4_999) {
        let flipped = copy(bench.path());
        let mut bytes = log.clone();
        bytes[place] ^= 0x40;
        fs::write(flipped.path().join("tidings.db-wal"), bytes).unwrap();
        let recovered = reopen(&bench, flipped.path()).await;
        assert!(queued(&recovered).await <= all);
        for one in recovered
            .queued_notifications(Seq::default(), 100)
            .await
            .unwrap()
        {
            assert_eq!(one.notification.item, vec![b'x'; 900]);
            assert_eq!(one.notification.verdict, Verdict::Accepted);
        }
        assert_eq!(recovered.check().await.unwrap(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_flipped_byte_in_the_database_is_found() {
    let bench = Bench::new();
    let store = bench.open().await;
    for _ in 0..200 {
        bench.record(&store).await.unwrap();
    }
    store.close().await;
    let path = bench.path().join("tidings.db");
    let whole = fs::read(&path).unwrap();
    // The heads of pages: what tells SQLite what a page is and where its cells are.
    let mut found = 0;
    let page = usize::try_from(database::PAGE).unwrap();
    let pages: Vec<usize> = (4..whole.len() / page).step_by(7).collect();
    for &number in &pages {
        let mut bytes = whole.clone();
        bytes[number * page] ^= 0x0f;
        fs::write(&path, bytes).unwrap();
        match SqliteStore::open(bench.options.clone()).await {
            Err(_) => found += 1,
            Ok(store) => {
                let findings = store.check().await;
                found += usize::from(findings.is_ok_and(|findings| !findings.is_empty()));
                store.close().await;
            }
        }
    }
    assert_eq!(found, pages.len());
}

#[tokio::test]
async fn a_flipped_byte_in_an_item_is_found_and_costs_nobody_else() {
    let bench = Bench::new();
    let store = bench.open().await;
    bench.record(&store).await.unwrap();
    let mut hit = bench.accepted();
    hit.notification.item = vec![b'z'; 900].into();
    let id = hit.notification.id;
    store.record_notifications(vec![hit]).await.unwrap();
    bench.record(&store).await.unwrap();
    store.close().await;
    let path = bench.path().join("tidings.db");
    let mut bytes = fs::read(&path).unwrap();
    let run = [b'z'; 900];
    // In each copy that SQLite has left behind when it moved cells about.
    for place in 450..bytes.len() - 450 {
        if bytes[place - 450..place + 450] == run {
            bytes[place] = b'y';
        }
    }
    fs::write(&path, bytes).unwrap();

    let store = bench.open().await;
    let after = store
        .queued_notifications(Seq::default(), 100)
        .await
        .unwrap();
    assert_eq!(after.len(), 2);
    assert!(after.iter().all(|one| one.notification.id != id));
    let read = store.notification(id).await;
    assert!(matches!(read, Err(StoreError::Corrupt { .. })), "{read:?}");
    let findings = store.check().await.unwrap();
    let named = |finding: &String| finding.contains(&id.to_string());
    assert!(findings.iter().any(named), "{findings:?}");
}

#[tokio::test]
async fn a_subscription_that_cannot_be_read_keeps_no_other_from_being_renewed() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let path = folder.0.path().join("tidings.db");
    let mut world = World::new(folder).await;
    let tenant = world.tenant("dev").await;
    let connection = world.store.connection(tenant.connection).await;
    let connection = connection.unwrap().unwrap();
    let mut ids = Vec::new();
    for resource in ["users/a/events", "users/b/events", "users/c/events"] {
        let subscription = world.subscription(&connection, resource);
        ids.push(subscription.id);
        let created = world.store.create_subscription(subscription, Shard::FIRST);
        created.await.unwrap();
    }
    world.store.close().await;
    let sql = rusqlite::Connection::open(path).unwrap();
    for (resource, damage) in [
        ("users/a/events", "client_state = x'00'"),
        ("users/b/events", "state = 'none'"),
    ] {
        let damaged = sql.execute(
            &format!("UPDATE subscriptions SET {damage} WHERE resource = ?"),
            [resource],
        );
        assert_eq!(damaged.unwrap(), 1);
    }
    drop(sql);
    world.restart().await;
    for limit in [1, 2, 9] {
        let due = world.store.due_subscriptions(world.now(), limit).await;
        let due: Vec<_> = due.unwrap().iter().map(|one| one.subscription.id).collect();
        assert_eq!(due, ids[2..], "{limit}");
    }
}
