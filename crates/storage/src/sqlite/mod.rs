//! The embedded default: SQLite in one file, for one process.
//!
//! | module | holds |
//! | --- | --- |
//! | `open` | from an empty or used folder to a running store |
//! | `database`, `migrate` | connections and their settings; the form of the tables |
//! | `writer` | the one thread that writes: group commit, checkpoints, troubles |
//! | `reader` | the few threads that read |
//! | `store` | the verbs, each in one line |
//! | `environments` … `keys` | what is configured, a file each |
//! | `ingest`, `enrich`, `reconcile`, `deliver` | what the stages read and write |
//! | `arrivals`, `outcomes`, `told`, `tries`, `rows` | what flows, many rows to a statement |
//! | `absence`, `silence` | when nobody was at work; of which subscriptions Graph tells nothing |
//! | `completeness` | which changes Graph told of, and which it did not |
//! | `reconcile_page` | what one answer of an enumeration led to |
//! | `known_items` | what is known of the items that subscriptions watch |
//! | `notifications`, `events`, `deliveries`, `lists` | what people look at |
//! | `source` | the store while it is copied into another |
//! | `health`, `check` | what the store says of itself |
//! | `row`, `trouble` | between our words and SQLite's |

use std::{fmt, sync::Arc, time::Duration};

use tidings_domain::Clock;
use tokio::sync::watch;

use self::{
    reader::Readers,
    writer::{Gauges, Writer},
};
use crate::{rejected::Budget, seal::Seal};

mod absence;
mod arrivals;
mod check;
mod completeness;
mod connections;
mod database;
mod dedup;
mod deliver;
mod deliveries;
mod enrich;
mod environments;
mod events;
mod expansions;
mod health;
mod id;
mod ingest;
mod integrations;
mod keys;
mod known_items;
mod lists;
pub mod migrate;
mod notifications;
mod open;
mod outcomes;
mod policies;
mod reader;
mod reconcile;
mod reconcile_page;
mod row;
mod rows;
mod silence;
mod source;
mod store;
mod subscriptions;
mod told;
mod tries;
mod trouble;
mod webhooks;
mod writer;

#[cfg(test)]
mod tests;

pub(crate) use dedup::KeysFrom;
pub use migrate::MigrateError;
pub use open::{OpenError, SqliteOptions};
pub(crate) use source::Source;

/// The store in one SQLite file.
pub struct SqliteStore {
    path: std::path::PathBuf,
    seal: Arc<Seal>,
    clock: Arc<dyn Clock>,
    writer: Writer,
    readers: Readers,
    gauges: Arc<Gauges>,
    rejected: Budget,
    keep_rejected: u32,
    /// How long health waits for a reader.
    health_wait: Duration,
    /// Becomes true when every thread has ended and the folder is free.
    closed: watch::Receiver<bool>,
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SqliteStore({})", self.path.display())
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        // The threads end by themselves; whoever wants to wait for that closes the store first.
        self.readers.close();
        self.writer.close();
    }
}
