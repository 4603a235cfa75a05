//! What the writer does beside its callers' work: checkpoints, and removing what is no longer needed, in slices so
//! small that nobody waits for them.

use std::time::Duration;

use rusqlite::{Connection, Error};
use tidings_domain::Timestamp;

use super::batch::transaction;
use crate::{
    seal::Seal,
    sqlite::{database, dedup::Recent, known_items, webhooks, writer::operation::Tally},
};

/// The WAL is copied into the database when it has grown past this: large enough that pages written again and again
/// are copied once, small enough that the copying stays short.
const CHECKPOINT_BYTES: u64 = 32 << 20;

/// Where a reader holds part of the WAL back, the next try waits until it has grown by this.
const CHECKPOINT_AGAIN_BYTES: u64 = 4 << 20;

/// After this much time without work all of the WAL is copied, once.
const IDLE: Duration = Duration::from_secs(1);

/// How long after one slice of removals the next may come.
const SLICE_PAUSE: Duration = Duration::from_millis(100);

/// How long after one step of sorting dedup keys the next may come: fast enough for any stream of notifications, and most
/// commits are still those of callers.
const SORT_PAUSE: Duration = Duration::from_millis(25);

/// How often the runs of dedup keys are walked through: old ones go, and the filter forgets them.
const WALK_EVERY: Duration = Duration::from_hours(6);

/// How long dedup keys are kept: twice what is promised.
const DEDUP_KEPT: Duration = Duration::from_hours(48);

pub(super) struct Upkeep {
    /// Bytes in the WAL when it was last copied.
    checkpointed: u64,
    worked_at: Duration,
    tidy_at: Option<Duration>,
    slice_at: Duration,
    sort_at: Duration,
    /// A walk through the dedup keys is under way.
    walking: bool,
    leftovers: bool,
}

impl Upkeep {
    pub(super) fn new(now: Duration) -> Self {
        Self {
            checkpointed: 0,
            worked_at: now,
            tidy_at: Some(now + IDLE),
            slice_at: now + IDLE,
            sort_at: now,
            walking: false,
            leftovers: true,
        }
    }

    /// A batch was committed.
    pub(super) fn worked(&mut self, now: Duration, tally: &Tally) {
        self.worked_at = now;
        self.leftovers |= tally.leftovers;
        if self.leftovers {
            self.slice_at = self.slice_at.min(now + SLICE_PAUSE);
        }
        self.tidy_at = Some(now + IDLE);
    }

    /// When there will be something to do, if nothing else comes.
    pub(super) fn next(&self, recent: &Recent) -> Duration {
        let sorting = recent.has_work().then_some(self.sort_at);
        let soonest = self.tidy_at.into_iter().chain(sorting).min();
        soonest.map_or(self.slice_at, |at| at.min(self.slice_at))
    }

    /// Copies the WAL where it has grown; between two batches, also under load.
    pub(super) fn checkpoint(&mut self, sql: &Connection) -> Result<(), Error> {
        let bytes = database::wal_bytes();
        if bytes < self.checkpointed {
            self.checkpointed = 0;
        }
        if bytes < CHECKPOINT_BYTES || bytes < self.checkpointed + CHECKPOINT_AGAIN_BYTES {
            return Ok(());
        }
        checkpoint(sql, "PASSIVE")?;
        self.checkpointed = bytes;
        Ok(())
    }

    /// Copies all of the WAL if nothing has been done for a while. The file keeps its size: writing over what is there
    /// is faster to make durable than making it longer.
    pub(super) fn tidy(&mut self, sql: &Connection, now: Duration) -> Result<(), Error> {
        if self.tidy_at.is_none_or(|at| now < at) {
            return Ok(());
        }
        if database::wal_bytes() == 0 || checkpoint(sql, "RESTART")? {
            database::wal_was_copied();
            self.checkpointed = 0;
            self.tidy_at = None;
        } else {
            self.tidy_at = Some(now + 10 * IDLE);
        }
        Ok(())
    }

    /// Does a step of what keeps the dedup keys sorted, if it is time for one.
    pub(super) fn sort_keys(
        &mut self,
        sql: &Connection,
        seal: &Seal,
        recent: &Recent,
        now: Duration,
        wall: Timestamp,
    ) -> Result<(), Error> {
        if now < self.sort_at || !recent.has_work() {
            return Ok(());
        }
        recent.work(sql, seal, wall)?;
        self.sort_at = now + SORT_PAUSE;
        Ok(())
    }

    /// Removes a slice of what is no longer needed, if it is time for one.
    pub(super) fn slice(
        &mut self,
        sql: &Connection,
        seal: &Seal,
        recent: &Recent,
        now: Duration,
        wall: Timestamp,
    ) -> Result<Tally, Error> {
        if now < self.slice_at {
            return Ok(Tally::default());
        }
        if self.leftovers {
            let (more, tally) = leftovers_slice(sql, seal, recent)?;
            self.leftovers = more;
            self.slice_at = now + SLICE_PAUSE;
            return Ok(tally);
        }
        if !std::mem::replace(&mut self.walking, true) {
            recent.begin_walk(sql, seal, wall - DEDUP_KEPT)?;
        }
        self.walking = !recent.walk(sql)?;
        self.slice_at = now + if self.walking { SORT_PAUSE } else { WALK_EVERY };
        Ok(Tally::default())
    }
}

fn leftovers_slice(sql: &Connection, seal: &Seal, recent: &Recent) -> Result<(bool, Tally), Error> {
    if webhooks::has_leftovers(sql)? {
        let ((), tally) = transaction(sql, seal, recent, webhooks::remove_leftovers)?;
        return Ok((true, tally));
    }
    if known_items::has_leftovers(sql)? {
        return transaction(sql, seal, recent, known_items::remove_leftovers);
    }
    Ok((false, Tally::default()))
}

/// Copies what is in the WAL into the database; whether all of it could be.
pub(in crate::sqlite) fn checkpoint(sql: &Connection, mode: &str) -> Result<bool, Error> {
    sql.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
        row.get::<_, i64>(0).map(|busy| busy == 0)
    })
}
