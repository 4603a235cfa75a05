//! A database that goes away, stands still, and comes back.

use std::{collections::BTreeSet, time::Duration};

use tidings_domain::{Clock as _, clock::SystemClock, notification::Verdict};

use super::{Database, eventually};
use crate::{
    StoreError,
    contract::{World, make::Tenant},
    record::{NewNotification, Outcome},
};

fn arriving(world: &World, tenant: &Tenant) -> NewNotification {
    world.arriving(tenant, Verdict::Accepted, None)
}

/// Tries to record one, and gives how long that took if it could not be.
async fn refused(world: &World, tenant: &Tenant) -> (StoreError, Duration) {
    let clock = SystemClock::new();
    let new = arriving(world, tenant);
    let error = world
        .store
        .record_notifications(vec![new])
        .await
        .unwrap_err();
    (error, clock.monotonic())
}

#[tokio::test]
async fn nothing_is_lost_when_the_database_crashes_and_comes_back() {
    let database = Database::start();
    let world = database.world().await;
    let tenant = world.tenant("dev").await;
    let mut kept = BTreeSet::new();
    for _ in 0..3 {
        let new = arriving(&world, &tenant);
        kept.insert(new.notification.id);
        world.record(new).await;
        database.server().stop_immediate();
        let (error, took) = refused(&world, &tenant).await;
        println!("refused after {took:?}: {error}");
        assert!(error.is_transient(), "{error}");
        assert!(world.store.health().await.trouble.is_some());

        database.server().restart();
        let clock = SystemClock::new();
        eventually(async || {
            let new = arriving(&world, &tenant);
            let id = new.notification.id;
            let recorded = world.store.record_notifications(vec![new]).await;
            if recorded.is_ok() {
                kept.insert(id);
            }
            recorded.is_ok()
        })
        .await;
        println!("taken again after {:?}", clock.monotonic());
    }
    eventually(async || world.store.health().await.trouble.is_none()).await;
    let mut found = BTreeSet::new();
    eventually(async || {
        found.extend(world.queue().await.iter().map(|one| one.notification.id));
        kept.is_subset(&found)
    })
    .await;
}

#[tokio::test]
async fn no_verb_waits_for_a_database_that_stands_still() {
    let database = Database::start();
    let world = database.world().await;
    let tenant = world.tenant("dev").await;
    world.record(arriving(&world, &tenant)).await;
    let queued = world.queue().await.remove(0);
    database.server().pause();
    for _ in 0..2 {
        let (error, took) = refused(&world, &tenant).await;
        println!("refused after {took:?}: {error}");
        assert!(error.is_transient(), "{error}");
    }
    let finished = world
        .store
        .finish_notification(queued.seq, queued.lease, Outcome::default())
        .await;
    assert!(finished.is_err_and(|error| error.is_transient()));
    let read = world.store.environments().await;
    assert!(read.is_err_and(|error| error.is_transient()));

    database.server().resume();
    let clock = SystemClock::new();
    eventually(async || {
        let new = arriving(&world, &tenant);
        world.store.record_notifications(vec![new]).await.is_ok()
    })
    .await;
    println!("taken again after {:?}", clock.monotonic());
    eventually(async || {
        world
            .store
            .finish_notification(queued.seq, queued.lease, Outcome::default())
            .await
            .is_ok()
    })
    .await;
}

/// PostgreSQL knows no NUL in text; an item of Graph's can have one, and must not be refused for it.
#[tokio::test]
async fn a_nul_in_a_text_is_replaced_and_the_item_is_kept_as_it_came() {
    let database = Database::start();
    let world = database.world().await;
    let tenant = world.tenant("dev").await;
    let mut new = arriving(&world, &tenant);
    new.notification.resource = "users/u/events/\0".to_owned();
    new.notification.etag = Some("\0".to_owned());
    new.notification.item = b"a\0b".as_slice().into();
    let id = new.notification.id;
    assert_eq!(world.record(new).await, Verdict::Accepted);
    let found = world.store.notification(id).await.unwrap().unwrap();
    assert_eq!(found.resource, "users/u/events/\u{fffd}");
    assert_eq!(found.etag.as_deref(), Some("\u{fffd}"));
    assert_eq!(&found.item[..], b"a\0b");
}
