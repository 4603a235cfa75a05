//! What is SQLite's own: files, keys, damage, recovery.

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use tidings_domain::{
    Ids, Timestamp,
    clock::ManualClock,
    config::{self, Config},
    entropy::SeededEntropy,
    ids::EnvironmentId,
    notification::{Notification, Origin, Verdict},
    shard::Shard,
};

use async_trait::async_trait;

use super::{SqliteOptions, SqliteStore};
use crate::{
    Store, StoreError,
    contract::{Backend, Parts, contract_tests},
    record::{NewNotification, Seq},
};

mod damage;
mod files;
mod places;
mod pressure;

/// A folder that goes with the test.
struct Folder(tempfile::TempDir);

#[async_trait]
impl Backend for Folder {
    async fn open(&self, parts: Parts) -> Arc<dyn Store> {
        let Parts {
            mut store,
            ingest,
            clock,
            entropy,
        } = parts;
        store.data_dir = self.0.path().to_owned();
        let options = SqliteOptions {
            store,
            ingest,
            clock,
            entropy,
        };
        Arc::new(SqliteStore::open(options).await.unwrap())
    }
}

contract_tests!(contract, Folder(tempfile::tempdir().unwrap()));

/// A store with what its tests need.
struct Bench {
    folder: tempfile::TempDir,
    options: SqliteOptions,
    clock: ManualClock,
    ids: Ids,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::new(Timestamp::from_millis(1_700_000_000_000));
        let options = options(folder.path(), &clock);
        let ids = Ids::new(Arc::clone(&options.clock), Arc::clone(&options.entropy));
        Self {
            folder,
            options,
            clock,
            ids,
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    async fn open(&self) -> SqliteStore {
        SqliteStore::open(self.options.clone()).await.unwrap()
    }

    fn accepted(&self) -> NewNotification {
        NewNotification {
            notification: Notification {
                id: self.ids.next(),
                environment: EnvironmentId(uuid::Uuid::nil()),
                integration: self.ids.next(),
                origin: Origin::Notification,
                received_at: self.clock_now(),
                verdict: Verdict::Accepted,
                connection: None,
                subscription: None,
                graph_subscription_id: None,
                tenant_id: None,
                change_type: None,
                lifecycle_event: None,
                resource: "users/u/events/e".to_owned(),
                etag: None,
                item: Bytes::from(vec![b'x'; 900]),
            },
            dedup_key: None,
            client_state_hash: None,
            due_at: self.clock_now(),
            shard: Shard::FIRST,
        }
    }

    fn clock_now(&self) -> Timestamp {
        self.options.clock.now()
    }

    async fn record(&self, store: &SqliteStore) -> Result<(), StoreError> {
        let recorded = store.record_notifications(vec![self.accepted()]).await;
        recorded.map(|verdicts| assert_eq!(verdicts, [Verdict::Accepted]))
    }
}

/// How many notifications wait, counted in the tables.
async fn queued(store: &SqliteStore) -> usize {
    let queue = store.queued_notifications(Seq::default(), 10_000).await;
    queue.unwrap().len()
}

fn options(folder: &Path, clock: &ManualClock) -> SqliteOptions {
    let Config {
        mut store, ingest, ..
    } = config::load(None, [], Vec::new()).unwrap();
    store.data_dir = folder.to_owned();
    store.disk_floor_bytes = 0;
    SqliteOptions {
        store,
        ingest,
        clock: Arc::new(clock.clone()),
        entropy: Arc::new(SeededEntropy::new(1)),
    }
}
