//! Noticing that the database goes on from an earlier state than the one that was read.
//!
//! A standby that takes over may lack the last commits, and so does a database that was put back from a backup. What this
//! node remembers then means something else: a place up to which it has read is given to other rows, a notification that
//! it works on may be gone while another one has its place, a change that it waits for has a number that it has seen.
//!
//! So each connection is asked, before anything else is done on it, whether its server is in the same timeline as before
//! (PostgreSQL begins a new one whenever a standby is promoted and whenever an archive was replayed to a point in time) and
//! whether its counters stand no lower than what was read (for copies of a data folder, which begin none). If not, what
//! was read before is closed off: nothing that came of it can be recorded, and everything is read anew.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use sqlx::PgConnection;
use tokio::sync::Mutex;

use super::trouble::Undone;
use crate::{Holdings, StoreError};

pub(super) struct History {
    /// This node, in this run.
    node: String,
    holdings: Holdings,
    /// The timeline of the connections made so far; `None` before the first.
    timeline: Mutex<Option<String>>,
    /// How often it went on from an earlier state.
    turns: AtomicU64,
    /// The highest place of a notification that was read.
    place: AtomicI64,
    /// The number of the last change that was read.
    change: AtomicI64,
    /// The highest epoch of a lease that this node has had.
    epoch: AtomicI64,
}

impl History {
    pub(super) fn new(node: String, holdings: Holdings) -> Self {
        Self {
            node,
            holdings,
            timeline: Mutex::default(),
            turns: AtomicU64::new(0),
            place: AtomicI64::new(0),
            change: AtomicI64::new(0),
            epoch: AtomicI64::new(0),
        }
    }

    /// How often the database went on from an earlier state: whoever remembers what he read compares.
    pub(super) fn turns(&self) -> u64 {
        self.turns.load(Ordering::Acquire)
    }

    pub(super) fn read_place(&self, place: i64) {
        self.place.fetch_max(place, Ordering::AcqRel);
    }

    pub(super) fn read_change(&self, number: i64) {
        self.change.fetch_max(number, Ordering::AcqRel);
    }

    pub(super) fn had_epoch(&self, epoch: i64) {
        self.epoch.fetch_max(epoch, Ordering::AcqRel);
    }

    /// A lease that this node takes gets a higher epoch: one that the database has forgotten must not come again.
    pub(super) fn epoch(&self) -> i64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Asks a new connection, and does what has to be done before it may be used. Whether the database has gone on from an
    /// earlier state: then no connection that was made before may be used any more.
    pub(super) async fn check(&self, sql: &mut PgConnection) -> Result<bool, Undone> {
        // Before the database is asked: what is read meanwhile may be of another connection, and of later.
        let turns = self.turns();
        let (place, change) = (
            self.place.load(Ordering::Acquire),
            self.change.load(Ordering::Acquire),
        );
        let (recovering, found_place, found_change): (bool, i64, i64) = sqlx::query_as(
            "SELECT pg_is_in_recovery(), (SELECT last_value FROM notifications_seq), (SELECT value FROM change_counter)",
        )
        .fetch_one(&mut *sql)
        .await?;
        if recovering {
            return Err(Undone::Refused(StoreError::Unavailable {
                detail: "the database server is a standby and takes no writes".to_owned(),
            }));
        }
        let found = timeline(sql).await?;
        let mut known = self.timeline.lock().await;
        let other = known.as_ref().is_some_and(|known| *known != found);
        // Of many connections that are made at one time the first does what is to be done.
        let lower = turns == self.turns() && (found_place < place || found_change < change);
        let turned = other || lower;
        if turned {
            tracing::warn!(
                "the database goes on from an earlier state, as after a failover to a standby: everything is read anew"
            );
            self.close_off(sql).await?;
            self.place.store(0, Ordering::Release);
            self.change.store(0, Ordering::Release);
            self.turns.fetch_add(1, Ordering::AcqRel);
        }
        *known = Some(found);
        Ok(turned)
    }

    /// Sees to it that nothing can be recorded of what was read before.
    async fn close_off(&self, sql: &mut PgConnection) -> Result<(), Undone> {
        // Nothing is begun until the leases have been read again.
        self.holdings.set([], std::time::Duration::ZERO);
        sqlx::query("UPDATE shards SET epoch = greatest(epoch, $2) + 1 WHERE node = $1")
            .bind(&self.node)
            .bind(self.epoch())
            .execute(sql)
            .await?;
        Ok(())
    }
}

/// The first eight digits of the name of the log's current file.
async fn timeline(sql: &mut PgConnection) -> Result<String, Undone> {
    let found = sqlx::query_as("SELECT left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)")
        .fetch_one(sql);
    match found.await {
        Ok((name,)) => Ok(name),
        // A server with a log of its own kind does not say; its counters are looked at all the same.
        Err(error @ sqlx::Error::Database(_)) => {
            tracing::debug!(%error, "the database does not say in which timeline it is");
            Ok(String::new())
        }
        Err(error) => Err(error.into()),
    }
}
