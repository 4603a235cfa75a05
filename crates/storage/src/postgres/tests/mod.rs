//! What is PostgreSQL's own: many nodes, fencing, a database that goes away.

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use tidings_domain::{
    clock::SystemClock,
    config::{self, DatabaseUrl},
    entropy::SystemEntropy,
};
use tidings_test_postgres::Server;

use super::{PostgresOptions, PostgresStore, migrate};
use crate::{
    Store,
    contract::{Backend, Parts, contract_tests},
    seal::SealingKey,
};

/// A server that goes with the test, with an empty database and a key for it.
struct Database {
    server: Server,
    folder: tempfile::TempDir,
    url: String,
}

impl Database {
    fn start() -> Self {
        let server = Server::start();
        let folder = tempfile::tempdir().unwrap();
        let url = server.create_database("tidings");
        SealingKey::create_file(&folder.path().join("sealing.key"), &SystemEntropy).unwrap();
        Self {
            server,
            folder,
            url,
        }
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("sealing.key")
    }

    fn options(&self, parts: Parts) -> PostgresOptions {
        let mut postgres = config::load(None, [], Vec::new()).unwrap().postgres;
        postgres.sealing_key_file = Some(self.key());
        PostgresOptions {
            url: DatabaseUrl::parse(&self.url).unwrap(),
            postgres,
            store: parts.store,
            ingest: parts.ingest,
            clock: parts.clock,
            timer: Arc::new(SystemClock::new()),
            entropy: Arc::new(SystemEntropy),
        }
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

contract_tests!(contract, Database::start());
