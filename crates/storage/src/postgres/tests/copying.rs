//! From the store of one machine to that of many.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tidings_domain::{
    Clock as _,
    clock::SystemClock,
    config,
    entropy::SystemEntropy,
    ids::SubscriptionId,
    notification::{LifecycleEvent, Verdict},
    reconcile::{Reconcile, ReconcileReason, ReconcileScope},
    shard::Shard,
    subscription::Subscription,
};
use tokio::sync::Notify;

use super::{Database, PostgresStore, migrate};
use crate::{
    ConfiguredStore as _, ReconcileStore as _, Store,
    contract::{
        Backend, Parts, World,
        make::{Tenant, all, key, unchanged},
    },
    copy::{Copied, Copy, CopyError, Progress, run},
    postgres::OpenError,
    record::{
        AfterAttempt, AskReconcile, DeliveryFilter, EventFilter, KnownItem, LifecycleNote,
        NotificationFilter, Outcome, ReconcilePage, Seq, SubscriptionUpdate, Version,
    },
    sqlite::{SqliteOptions, SqliteStore},
};

/// A data folder that goes with the test.
#[derive(Clone)]
struct Folder(Arc<tempfile::TempDir>);

#[async_trait]
impl Backend for Folder {
    async fn open(&self, parts: Parts) -> Arc<dyn Store> {
        Arc::new(SqliteStore::open(self.options(parts)).await.unwrap())
    }
}

impl Folder {
    fn options(&self, parts: Parts) -> SqliteOptions {
        let mut options = SqliteOptions {
            store: parts.store,
            ingest: parts.ingest,
            clock: parts.clock,
            entropy: parts.entropy,
        };
        options.store.data_dir = self.0.path().to_owned();
        options
    }
}

/// A store with something in each of its tables.
async fn filled(folder: &Folder) -> World {
    let world = World::new(folder.clone()).await;
    // Dedup keys are kept by the day, and the database knows which day it is.
    world.clock.jump_to(SystemClock::new().now());
    let tenant = world.tenant("dev").await;
    let connection = world.store.connection(tenant.connection).await;
    let subscription = world.subscription(&connection.unwrap().unwrap(), "users/u/events");
    world
        .store
        .create_subscription(subscription.clone(), Shard::FIRST)
        .await
        .unwrap();
    know(&world, &tenant, &subscription).await;
    let ids = world.delivered_to(&tenant, &[tenant.webhook; 3]).await;
    world
        .attempted(ids[0], tenant.webhook, AfterAttempt::Delivered)
        .await;
    for number in 1..=3 {
        let mut new = world.arriving(&tenant, Verdict::Accepted, Some(key(number)));
        new.notification.etag = Some("with a \0 in it".to_owned());
        world.record(new).await;
    }
    world
        .record(world.arriving(&tenant, Verdict::Held, None))
        .await;
    let rejected = world.notification(&tenant, Verdict::Malformed);
    world.store.record_rejected(vec![rejected]).await.unwrap();
    world
}

/// Has a subscription reconciled, and something known of its items.
async fn know(world: &World, tenant: &Tenant, subscription: &Subscription) {
    let wish = AskReconcile {
        reason: ReconcileReason::Created,
        asked_at: world.now(),
        due_at: world.in_seconds(5),
        deliver_existing: true,
    };
    let update = SubscriptionUpdate {
        reconcile: Some(wish),
        ..unchanged(subscription)
    };
    world.store.update_subscription(update, None).await.unwrap();
    let item = |number: u8| KnownItem {
        id: format!("item {number}"),
        scope: "inbox".to_owned(),
        enumeration: 3,
        seen: number.is_multiple_of(2).then_some(Version([number; 16])),
        told: number.is_multiple_of(3),
        version: number.is_multiple_of(3).then_some(Version([number; 16])),
    };
    let page = ReconcilePage {
        subscription: subscription.id,
        finds: Vec::new(),
        items: (0..9).map(item).collect(),
        forget: Vec::new(),
        scope: ReconcileScope {
            name: "inbox".to_owned(),
            link: Some("https://graph.example/delta".to_owned()),
            enumeration: 3,
            enumerating: true,
            window: Some((world.now(), world.in_seconds(60))),
        },
    };
    let lease = world.lease(Shard::FIRST);
    let recorded = world.store.record_reconcile_page(page, lease).await;
    recorded.unwrap();
    world
        .record(world.arriving(tenant, Verdict::Accepted, None))
        .await;
    let queued = world.queue().await.remove(0);
    let outcome = Outcome {
        lifecycle: Some(LifecycleNote {
            subscription: subscription.id,
            event: LifecycleEvent::ReauthorizationRequired,
            due_at: world.now(),
        }),
        ..Outcome::default()
    };
    let finished = world
        .store
        .finish_notification(queued.seq, queued.lease, outcome)
        .await;
    assert!(finished.unwrap());
    let long = std::time::Duration::from_secs(9);
    for at in [world.now() - 2 * long, world.now()] {
        world.store.note_alive(at, long).await.unwrap();
    }
}

/// All that is known of a subscription's items.
async fn known(
    store: &dyn Store,
    id: SubscriptionId,
) -> (Reconcile, Vec<ReconcileScope>, Vec<KnownItem>) {
    let scope = "inbox".to_owned();
    let items = store.items_not_shown(id, scope, 9, String::new(), 99).await;
    (
        store.reconcile(id).await.unwrap().unwrap(),
        store.reconcile_scopes(id).await.unwrap(),
        items.unwrap(),
    )
}

fn copy(
    folder: &Folder,
    database: &Database,
    progress: impl Fn(Progress<'_>) + Send + Sync + 'static,
) -> Copy {
    let config = config::load(None, [], Vec::new()).unwrap();
    Copy {
        from: folder.options(Parts {
            store: config.store,
            ingest: config.ingest,
            clock: Arc::new(SystemClock::new()),
            entropy: Arc::new(SystemEntropy),
        }),
        to: database.plain(),
        mailbox_of: Arc::new(|resource| resource.split('/').nth(1).map(str::to_owned)),
        progress: Arc::new(progress),
    }
}

fn rows(copied: &[Copied], table: &str) -> u64 {
    copied.iter().find(|one| one.table == table).unwrap().rows
}

#[tokio::test]
async fn everything_is_there_after_a_copy_and_can_be_used() {
    let folder = Folder(Arc::new(tempfile::tempdir().unwrap()));
    let world = filled(&folder).await;
    let (from, page) = (Arc::clone(&world.store), all);
    let environments = from.environments().await.unwrap();
    let integrations = from.integrations().await.unwrap();
    let webhooks = from.webhooks(None, page()).await.unwrap();
    let subscriptions = from.subscriptions(None, None, page()).await.unwrap();
    let subscription = subscriptions.items[0].id;
    assert!(subscriptions.items[0].lifecycle.is_some());
    let what_is_known = known(&*from, subscription).await;
    assert_eq!(what_is_known.2.len(), 9);
    let events = from.events(EventFilter::default(), page()).await.unwrap();
    let deliveries = from.deliveries(DeliveryFilter::default(), page()).await;
    let notifications = from
        .notifications(NotificationFilter::default(), page())
        .await;
    let notifications = notifications.unwrap().items.len();
    from.close().await;

    let database = Database::start();
    migrate::apply(&database.plain()).await.unwrap();
    let copied = run(copy(&folder, &database, |_| {})).await.unwrap();
    assert_eq!(rows(&copied, "notifications"), notifications as u64);
    assert_eq!((rows(&copied, "queue"), rows(&copied, "dedup")), (4, 3));

    let to = database.node().await;
    assert_eq!(to.environments().await.unwrap(), environments);
    assert_eq!(to.integrations().await.unwrap(), integrations);
    assert_eq!(to.webhooks(None, page()).await.unwrap(), webhooks);
    let found = to.subscriptions(None, None, page()).await.unwrap();
    assert_eq!(found, subscriptions);
    assert_eq!(rows(&copied, "known_items"), 9);
    assert_eq!(known(&*to, subscription).await, what_is_known);
    let soon = world.in_seconds(9);
    let due = to.due_reconciles(soon, 9).await.unwrap();
    let due_subscriptions = to.due_subscriptions(soon, 9).await.unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].lease, due_subscriptions[0].lease);
    let long = std::time::Duration::from_secs(9);
    let away = to.note_alive(world.in_seconds(99), long).await.unwrap();
    assert_eq!(away, Some(world.now() - 2 * long));
    let found = to.events(EventFilter::default(), page()).await.unwrap();
    assert_eq!(found, events);
    let found = to.deliveries(DeliveryFilter::default(), page()).await;
    assert_eq!(found.unwrap(), deliveries.unwrap());
    assert_eq!(to.check().await.unwrap(), Vec::<String>::new());

    // Work goes on: what was claimed stays claimed, and new places come behind the old ones.
    let queue = to.queued_notifications(Seq::default(), 100).await.unwrap();
    assert_eq!(queue.len(), 4);
    let finished = to
        .finish_notification(queue[0].seq, queue[0].lease, Outcome::default())
        .await;
    assert!(finished.unwrap());
    let tenant = Tenant {
        environment: environments[0].id,
        integration: integrations[0].id,
        connection: webhooks.items[0].connections[0],
        webhook: webhooks.items[0].id,
    };
    let again = world.arriving(&tenant, Verdict::Accepted, Some(key(1)));
    let new = world.arriving(&tenant, Verdict::Accepted, Some(key(9)));
    let verdicts = to.record_notifications(vec![again, new]).await.unwrap();
    assert_eq!(verdicts, [Verdict::Duplicate, Verdict::Accepted]);
    let behind = to.queued_notifications(queue[3].seq, 100).await.unwrap();
    assert_eq!(behind.len(), 1);
}

#[tokio::test]
async fn a_copy_that_was_cut_short_goes_on() {
    let folder = Folder(Arc::new(tempfile::tempdir().unwrap()));
    filled(&folder).await.store.close().await;
    let database = Database::start();
    migrate::apply(&database.plain()).await.unwrap();
    let reached = Arc::new(Notify::new());
    let told = Arc::clone(&reached);
    let cut_short = run(copy(&folder, &database, move |progress| {
        if progress.table == "notifications" {
            told.notify_one();
        }
    }));
    tokio::select! {
        biased;
        () = reached.notified() => {}
        done = cut_short => panic!("it is to be cut short: {done:?}"),
    }
    // There were no keys; what was on its way when the copy was dropped may have arrived.
    let begun: u32 = database
        .sql("SELECT count(*) FROM copy_progress")
        .parse()
        .unwrap();
    assert!((8..=9).contains(&begun), "{begun}");
    // A node would take what is there for all there is, and what it wrote would be in the way of the rest.
    let refused = PostgresStore::open(database.plain()).await.unwrap_err();
    assert!(
        matches!(refused, OpenError::CopyUnfinished { .. }),
        "{refused}"
    );
    assert!(refused.to_string().contains("tidings copy"), "{refused}");

    let seen = Arc::new(Mutex::new(Vec::new()));
    let note = Arc::clone(&seen);
    run(copy(&folder, &database, move |progress| {
        if !progress.comparing {
            note.lock().unwrap().push(progress.table.to_owned());
        }
    }))
    .await
    .unwrap();
    let seen = seen.lock().unwrap().clone();
    assert!(!seen.iter().any(|table| table == "webhooks"), "{seen:?}");
    assert!(seen.iter().any(|table| table == "events"), "{seen:?}");
    database.node().await.close().await;
}

/// Items of a megabyte each, and events of a year.
#[tokio::test]
async fn large_rows_go_in_smaller_slices_and_old_events_into_a_part_of_their_own() {
    let folder = Folder(Arc::new(tempfile::tempdir().unwrap()));
    let world = World::new(folder.clone()).await;
    let tenant = world.tenant("dev").await;
    for _ in 0..40 {
        let mut new = world.arriving(&tenant, Verdict::Accepted, None);
        new.notification.item = vec![b' '; 1 << 20].into();
        world.record(new).await;
    }
    for _ in 0..12 {
        world.delivered_to(&tenant, &[tenant.webhook]).await;
        world
            .clock
            .advance(std::time::Duration::from_hours(30 * 24));
    }
    world.store.close().await;
    let database = Database::start();
    migrate::apply(&database.plain()).await.unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let note = Arc::clone(&seen);
    run(copy(&folder, &database, move |progress| {
        if progress.table == "notifications" && !progress.comparing {
            note.lock().unwrap().push(progress.rows);
        }
    }))
    .await
    .unwrap();
    assert_eq!(*seen.lock().unwrap(), [16, 32, 52]);
    assert_eq!(database.sql("SELECT count(*) FROM events"), "12");
    assert_eq!(database.sql("SELECT count(*) FROM events_default"), "0");
    let old = database
        .sql("SELECT relname FROM pg_class WHERE relname LIKE 'events_before_%' AND relkind = 'r'");
    assert_eq!(database.sql(&format!("SELECT count(*) FROM {old}")), "9");
}

#[tokio::test]
async fn stores_that_are_used_are_not_copied_and_not_copied_into() {
    let folder = Folder(Arc::new(tempfile::tempdir().unwrap()));
    let world = filled(&folder).await;
    let database = Database::start();
    migrate::apply(&database.plain()).await.unwrap();
    let refused = run(copy(&folder, &database, |_| {})).await;
    assert!(matches!(refused, Err(CopyError::Source(_))), "{refused:?}");

    world.store.close().await;
    let node = database.node().await;
    let refused = run(copy(&folder, &database, |_| {})).await;
    assert!(
        matches!(refused, Err(CopyError::InUse { nodes: 1 })),
        "{refused:?}"
    );
    node.close().await;
    run(copy(&folder, &database, |_| {})).await.unwrap();
    let refused = run(copy(&folder, &database, |_| {})).await;
    assert!(
        matches!(refused, Err(CopyError::NotEmpty { .. })),
        "{refused:?}"
    );
}
