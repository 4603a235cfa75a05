//! What is SQLite's own: files, keys, damage, recovery.

use std::{path::Path, sync::Arc};

use tidings_domain::{
    Ids, Timestamp,
    clock::ManualClock,
    config::{self, Config},
    entropy::SeededEntropy,
    environment::Environment,
};

use async_trait::async_trait;

use super::{SqliteOptions, SqliteStore};
use crate::{
    Store,
    contract::{Backend, Parts, contract_tests},
};

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

fn options(folder: &Path) -> SqliteOptions {
    let Config {
        mut store, ingest, ..
    } = config::load(None, [], Vec::new()).unwrap();
    store.data_dir = folder.to_owned();
    SqliteOptions {
        store,
        ingest,
        clock: Arc::new(ManualClock::new(Timestamp::from_millis(1_700_000_000_000))),
        entropy: Arc::new(SeededEntropy::new(1)),
    }
}

#[tokio::test]
async fn what_was_written_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path());
    let ids = Ids::new(Arc::clone(&options.clock), Arc::clone(&options.entropy));
    let environment = Environment {
        id: ids.environment(),
        name: "dev".to_owned(),
        created_at: options.clock.now(),
    };
    let store = SqliteStore::open(options.clone()).await.unwrap();
    store.create_environment(environment.clone()).await.unwrap();
    store.close().await;
    let store = SqliteStore::open(options).await.unwrap();
    assert_eq!(store.environments().await.unwrap(), [environment]);
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
}
