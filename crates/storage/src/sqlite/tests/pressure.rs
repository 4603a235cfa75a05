//! What happens when the writer is slow, the disk is full, or it fails.

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use rusqlite::{Error, ffi};
use tokio::{sync::oneshot, task::JoinHandle};
use tokio_util::task::TaskTracker;

use super::{
    super::{
        SqliteStore,
        writer::{Kind, Undone},
    },
    Bench, queued,
};
use crate::{Store as _, StoreError};

/// Keeps the writer busy until the sender is dropped. Returns once the writer is in it.
async fn stall(store: &Arc<SqliteStore>, tasks: &TaskTracker) -> mpsc::Sender<()> {
    let (release, released) = mpsc::channel::<()>();
    let (begin, begun) = oneshot::channel();
    let mut begin = Some(begin);
    let store = Arc::clone(store);
    tasks.spawn(async move {
        let stalled = store.writer.write(Kind::Completion, 1, move |_| {
            if let Some(begin) = begin.take() {
                begin.send(()).unwrap();
            }
            // Ends with an error when the sender is dropped.
            let _ = released.recv();
            Ok(())
        });
        stalled.await.unwrap();
    });
    begun.await.unwrap();
    release
}

/// Lets every other task of this test's one thread run until it waits.
async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

fn recording(
    bench: &Arc<Bench>,
    store: &Arc<SqliteStore>,
    tasks: &TaskTracker,
) -> JoinHandle<Result<(), StoreError>> {
    let (bench, store) = (Arc::clone(bench), Arc::clone(store));
    tasks.spawn(async move { bench.record(&store).await })
}

/// Has the writer's next transaction fail with this code of SQLite.
async fn fail(store: &SqliteStore, code: i32) -> StoreError {
    let failing = store.writer.write(Kind::Completion, 1, move |_| {
        Err::<(), _>(Undone::Failed(Error::SqliteFailure(
            ffi::Error::new(code),
            None,
        )))
    });
    failing.await.unwrap_err()
}

async fn started(change: impl FnOnce(&mut Bench)) -> (Arc<Bench>, Arc<SqliteStore>, TaskTracker) {
    let mut bench = Bench::new();
    change(&mut bench);
    let store = Arc::new(bench.open().await);
    (Arc::new(bench), store, TaskTracker::new())
}

#[tokio::test]
async fn a_full_queue_is_refused_at_once_and_completions_still_fit() {
    let (bench, store, tasks) = started(|bench| bench.options.store.queue = 2).await;
    let release = stall(&store, &tasks).await;
    let waiting = [
        recording(&bench, &store, &tasks),
        recording(&bench, &store, &tasks),
    ];
    settle().await;
    let refused = bench.record(&store).await;
    assert!(
        matches!(refused, Err(StoreError::Overloaded)),
        "{refused:?}"
    );
    let completion = {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            store
                .postpone_notification(
                    crate::record::Seq(1),
                    crate::Lease::of_the_only_node(),
                    super::Timestamp::default(),
                )
                .await
        })
    };
    settle().await;
    drop(release);
    completion.await.unwrap().unwrap();
    for one in waiting {
        one.await.unwrap().unwrap();
    }
    assert_eq!(queued(&store).await, 2);
}

#[tokio::test]
async fn what_waited_too_long_is_withdrawn_and_never_written() {
    let (bench, store, tasks) = started(|_| {}).await;
    let release = stall(&store, &tasks).await;
    let waiting = recording(&bench, &store, &tasks);
    settle().await;
    bench.clock.advance(Duration::from_secs(1));
    let refused = waiting.await.unwrap();
    assert!(
        matches!(refused, Err(StoreError::Overloaded)),
        "{refused:?}"
    );
    drop(release);
    bench.record(&store).await.unwrap();
    assert_eq!(queued(&store).await, 1);
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_is_withdrawn() {
    let (bench, store, tasks) = started(|_| {}).await;
    let release = stall(&store, &tasks).await;
    let waiting = recording(&bench, &store, &tasks);
    settle().await;
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
    drop(release);
    bench.record(&store).await.unwrap();
    assert_eq!(queued(&store).await, 1);
}

#[tokio::test]
async fn a_commit_that_has_begun_is_waited_for_but_not_for_ever() {
    let (bench, store, tasks) = started(|_| {}).await;
    let (release, released) = mpsc::channel::<()>();
    let (begin, begun) = oneshot::channel();
    let mut begin = Some(begin);
    let slow = {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            let run = store.writer.write(Kind::New, 1, move |_| {
                if let Some(begin) = begin.take() {
                    begin.send(()).unwrap();
                }
                let _ = released.recv();
                Ok(())
            });
            run.await
        })
    };
    begun.await.unwrap();
    bench.clock.advance(Duration::from_millis(1_100));
    settle().await;
    assert!(!slow.is_finished(), "its commit has begun");
    bench.clock.advance(Duration::from_millis(1_500));
    let answer = slow.await.unwrap();
    assert!(
        matches!(answer, Err(StoreError::Unavailable { .. })),
        "{answer:?}"
    );
    drop(release);
    bench.record(&store).await.unwrap();
}

#[tokio::test]
async fn below_the_disk_floor_nothing_new_is_taken_and_completions_are() {
    let (bench, store, _) = started(|bench| bench.options.store.disk_floor_bytes = u64::MAX).await;
    let refused = bench.record(&store).await;
    assert!(matches!(refused, Err(StoreError::Full)), "{refused:?}");
    let trouble = store.health().await.trouble.unwrap();
    assert!(trouble.contains("disk_floor_bytes"), "{trouble}");
    store
        .postpone_notification(
            crate::record::Seq(1),
            crate::Lease::of_the_only_node(),
            bench.clock_now(),
        )
        .await
        .unwrap();
    assert_eq!(queued(&store).await, 0);
}

async fn limit_pages(store: &SqliteStore, pages: i64) {
    let limited = store.writer.write(Kind::Completion, 1, move |tx| {
        let count: i64 = tx
            .sql
            .pragma_query_value(None, "page_count", |row| row.get(0))?;
        let limit = count + pages;
        tx.sql
            .query_row(&format!("PRAGMA max_page_count = {limit}"), [], |row| {
                row.get::<_, i64>(0)
            })?;
        Ok(())
    });
    limited.await.unwrap();
}

#[tokio::test]
async fn a_full_disk_is_told_and_over_when_there_is_space_again() {
    let (bench, store, _) = started(|_| {}).await;
    limit_pages(&store, 2).await;
    let mut kept = 0;
    let refused = loop {
        match bench.record(&store).await {
            Ok(()) => kept += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, StoreError::Full), "{refused:?}");
    assert!(
        store
            .health()
            .await
            .trouble
            .is_some_and(|text| text.contains("space"))
    );
    let seq = store
        .queued_notifications(crate::record::Seq::default(), 1)
        .await
        .unwrap()[0]
        .seq;
    assert!(
        store
            .finish_notification(
                seq,
                crate::Lease::of_the_only_node(),
                crate::record::Outcome::default()
            )
            .await
            .unwrap(),
        "what makes room is done"
    );

    limit_pages(&store, 1_000).await;
    bench.clock.advance(Duration::from_millis(500));
    bench.record(&store).await.unwrap();
    assert_eq!(queued(&store).await, kept);
    assert_eq!(store.health().await.trouble, None);
}

#[tokio::test]
async fn after_an_io_error_nothing_is_acknowledged_until_the_database_is_open_again() {
    let (bench, store, _) = started(|_| {}).await;
    bench.record(&store).await.unwrap();
    for code in [
        ffi::SQLITE_IOERR_FSYNC,
        ffi::SQLITE_IOERR_WRITE,
        ffi::SQLITE_READONLY,
    ] {
        let error = fail(&store, code).await;
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
        let refused = bench.record(&store).await;
        assert!(
            matches!(refused, Err(StoreError::Unavailable { .. })),
            "{refused:?}"
        );
        let health = store.health().await;
        assert!(
            health
                .trouble
                .is_some_and(|text| text.contains("database fails"))
        );
        bench.clock.advance(Duration::from_millis(100));
        bench.record(&store).await.unwrap();
        assert_eq!(store.health().await.trouble, None);
    }
    assert_eq!(queued(&store).await, 4);
    assert_eq!(store.health().await.queued_notifications, 4);
}

#[tokio::test]
async fn a_failed_store_opens_again_without_being_asked() {
    let (bench, store, _) = started(|_| {}).await;
    fail(&store, ffi::SQLITE_IOERR_FSYNC).await;
    bench.clock.advance(Duration::from_millis(100));
    // The alarm rings the writer; reading health is all that happens here.
    while store.health().await.trouble.is_some() {
        tokio::task::yield_now().await;
    }
    bench.record(&store).await.unwrap();
}

#[tokio::test]
async fn a_database_that_cannot_be_opened_again_is_tried_until_it_can() {
    let (bench, store, _) = started(|_| {}).await;
    let path = bench.path().join("tidings.db");
    let away = bench.path().join("away.db");
    std::fs::rename(&path, &away).unwrap();
    fail(&store, ffi::SQLITE_IOERR).await;
    for _ in 0..3 {
        bench.clock.advance(Duration::from_secs(5));
        let refused = bench.record(&store).await;
        assert!(
            matches!(refused, Err(StoreError::Unavailable { .. })),
            "{refused:?}"
        );
    }
    assert!(!path.exists(), "no empty database in its place");
    std::fs::rename(&away, &path).unwrap();
    bench.clock.advance(Duration::from_secs(5));
    bench.record(&store).await.unwrap();
    assert_eq!(queued(&store).await, 1);
}

#[tokio::test]
async fn a_mistake_in_one_operation_does_not_end_the_writer() {
    let (bench, store, _) = started(|_| {}).await;
    let panicking = store
        .writer
        .write(Kind::Completion, 1, |_| -> Result<(), Undone> {
            panic!("a mistake")
        });
    let answer = panicking.await;
    assert!(
        matches!(answer, Err(StoreError::Unavailable { .. })),
        "{answer:?}"
    );
    bench.clock.advance(Duration::from_millis(100));
    bench.record(&store).await.unwrap();
}
