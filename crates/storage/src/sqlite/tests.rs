//! What is SQLite's own: files, keys, damage, recovery.

use std::{path::Path, sync::Arc};

use tidings_domain::{
    Ids, Timestamp,
    clock::ManualClock,
    config::{self, Config},
    entropy::SeededEntropy,
    environment::Environment,
};

use super::{SqliteOptions, SqliteStore};
use crate::Store as _;

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
