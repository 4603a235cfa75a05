//! Which store a gateway under test keeps everything in, and tests that run on each.

use crate::{database::Database, gateway::Settings};

/// How many gateways share one PostgreSQL.
const NODES: usize = 3;

/// Where a gateway under test keeps everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// One gateway on SQLite in its data folder.
    Sqlite,
    /// Three gateways on one PostgreSQL, behind one address.
    Postgres,
}

impl Store {
    /// Settings for gateways on a fresh store of this kind.
    pub fn settings(self) -> Settings {
        match self {
            Self::Sqlite => Settings::new(),
            Self::Postgres => Settings::new().on_database(&Database::start()).times(NODES),
        }
    }
}

/// Makes two tests of an `async fn name(store: Store)`: `name::sqlite` and `name::postgres`.
#[macro_export]
macro_rules! on_both_stores {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            use testkit::store::Store;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                super::$name(Store::Sqlite).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                super::$name(Store::Postgres).await;
            }
        }
    )+};
}
