//! Many nodes on one PostgreSQL, 15 or newer.
//!
//! | module | holds |
//! | --- | --- |
//! | `open` | from a URL to a running store |
//! | `database`, `migrate`, `unlock` | connections and their settings; the form of the tables; the sealing key |
//! | `pool` | the connections of this node |
//! | `writer` | group commit: what many callers hand in is written by one statement |
//! | `history` | noticing that the database goes on from an earlier state |
//! | `node`, `alive` | which shards this node holds: leases, shares, handing over; which nodes are there |
//! | `signals`, `hints` | what other nodes did; what they are told |
//! | `store` | the verbs, each in one line |
//! | `environments` … `keys` | what is configured, a file each |
//! | `changes` | how the other nodes learn of changes to that |
//! | `ingest`, `enrich`, `reconcile`, `deliver` | what the stages read and write |
//! | `told`, `notes` | what the end of a notification says beside its events |
//! | `absence`, `silence` | when nobody was at work; of which subscriptions Graph tells nothing |
//! | `completeness` | which changes Graph told of, and which it did not |
//! | `expansions` | how far policies have come, and the subscriptions that they make and remove |
//! | `reconcile_page` | what one answer of an enumeration led to |
//! | `known_items` | what is known of the items that subscriptions watch |
//! | `queue` | how far the queue of enrich has been read, with several writers |
//! | `notifications`, `events`, `deliveries`, `lists` | what people look at |
//! | `target` | the store while another is copied into it |
//! | `partitions`, `upkeep` | days of events made ahead, old things removed |
//! | `health`, `check` | what the store says of itself |
//! | `row`, `trouble` | between our words and PostgreSQL's |

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use tidings_domain::Clock;
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    health::Health, hints::Hints, pool::Pool, queue::Reading, signals::Signals, writer::Lanes,
};
use crate::{Holdings, rejected::Budget, seal::Seal};

mod absence;
mod alive;
mod changes;
mod check;
mod completeness;
mod connections;
mod database;
mod deliver;
mod deliveries;
mod enrich;
mod environments;
mod events;
mod expansions;
mod health;
mod hints;
mod history;
mod ingest;
mod integrations;
mod keys;
mod known_items;
mod lists;
pub mod migrate;
mod node;
mod notes;
mod notifications;
mod open;
mod partitions;
mod policies;
mod pool;
mod queue;
mod reconcile;
mod reconcile_page;
mod rejected;
mod row;
mod signals;
mod silence;
mod store;
mod subscriptions;
mod target;
mod told;
mod trouble;
mod unlock;
mod upkeep;
mod webhooks;
mod writer;

#[cfg(test)]
mod tests;

pub use migrate::MigrateError;
pub use open::{OpenError, PostgresOptions};
pub(crate) use target::Target;

/// The store in a PostgreSQL database, as one of its nodes sees it.
pub struct PostgresStore {
    shared: Arc<Shared>,
    lanes: Lanes,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// What the verbs and the tasks of a node share.
struct Shared {
    /// Which database, without user and password.
    database: String,
    pool: Pool,
    seal: Arc<Seal>,
    /// The time in rows.
    clock: Arc<dyn Clock>,
    /// The time of deadlines and leases.
    timer: Arc<dyn Clock>,
    holdings: Holdings,
    hints: Hints,
    /// This node, in this run.
    node: String,
    signals: Signals,
    /// Wakes the node's loop: somebody said that there is something to look at.
    prod: Notify,
    reading: Mutex<Reading>,
    health: Health,
    rejected: Budget,
    keep_rejected: u32,
    /// How long a notification waits to be written.
    max_wait: Duration,
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresStore({})", self.shared.database)
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        // The tasks end by themselves; whoever wants to wait for that closes the store first.
        self.lanes.close();
        self.stop.cancel();
    }
}
