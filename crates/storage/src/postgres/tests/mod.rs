//! What is PostgreSQL's own: many nodes, fencing, a database that goes away.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tidings_domain::{
    Clock as _, Timestamp,
    clock::{ManualClock, SystemClock},
    config::{self, DatabaseUrl},
    entropy::SystemEntropy,
};
use tidings_test_postgres::Server;

use super::{PostgresOptions, PostgresStore, migrate};
use crate::{
    Store,
    contract::{Backend, Parts, World, contract_tests},
    seal::SealingKey,
};

mod away;
mod copying;
mod crowd;
mod damage;
mod failover;
mod fencing;
mod nodes;
mod opening;

/// A server that goes with the test, with a database and a key for it.
#[derive(Clone)]
struct Database(Arc<Inner>);

struct Inner {
    server: Mutex<Server>,
    folder: tempfile::TempDir,
    url: String,
    lease: Duration,
}

impl Database {
    fn start() -> Self {
        Self::with_lease(Duration::from_secs(30))
    }

    fn with_lease(lease: Duration) -> Self {
        let server = Server::start();
        let folder = tempfile::tempdir().unwrap();
        let url = server.create_database("tidings");
        SealingKey::create_file(&folder.path().join("sealing.key"), &SystemEntropy).unwrap();
        Self(Arc::new(Inner {
            server: Mutex::new(server),
            folder,
            url,
            lease,
        }))
    }

    fn server(&self) -> MutexGuard<'_, Server> {
        self.0.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sql(&self, text: &str) -> String {
        self.server().query("tidings", text)
    }

    fn key(&self) -> PathBuf {
        self.0.folder.path().join("sealing.key")
    }

    fn options(&self, parts: Parts) -> PostgresOptions {
        let mut postgres = config::load(None, [], Vec::new()).unwrap().postgres;
        postgres.sealing_key_file = Some(self.key());
        postgres.lease.0 = self.0.lease;
        PostgresOptions {
            url: DatabaseUrl::parse(&self.0.url).unwrap(),
            postgres,
            store: parts.store,
            ingest: parts.ingest,
            clock: parts.clock,
            timer: Arc::new(SystemClock::new()),
            entropy: Arc::new(SystemEntropy),
        }
    }

    /// What a node of this database is made of when nothing else matters.
    fn plain(&self) -> PostgresOptions {
        let config = config::load(None, [], Vec::new()).unwrap();
        self.options(Parts {
            store: config.store,
            ingest: config.ingest,
            clock: Arc::new(ManualClock::new(Timestamp::from_millis(1_700_000_000_000))),
            entropy: Arc::new(SystemEntropy),
        })
    }

    /// Another node, on a database that was migrated.
    async fn node(&self) -> Arc<PostgresStore> {
        Arc::new(PostgresStore::open(self.plain()).await.unwrap())
    }

    /// A first node, and what makes rows for it.
    async fn world(&self) -> World {
        World::new(self.clone()).await
    }
}

#[async_trait]
impl Backend for Database {
    async fn open(&self, parts: Parts) -> Arc<dyn Store> {
        let options = self.options(parts);
        migrate::apply(&options).await.unwrap();
        Arc::new(PostgresStore::open(options).await.unwrap())
    }

    fn cases(&self) -> u32 {
        // Each step is some twenty round trips.
        20
    }
}

/// Waits until something holds; the test runner ends a test for which it never does.
async fn eventually<F: AsyncFnMut() -> bool>(mut holds: F) {
    let clock = SystemClock::new();
    while !holds().await {
        clock.sleep(Duration::from_millis(20)).await;
    }
}

contract_tests!(contract, Database::start());
