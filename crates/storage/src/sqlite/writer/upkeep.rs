//! What the writer does beside its callers' work: checkpoints, and removing what is no longer needed, in slices so
//! small that nobody waits for them.

use std::time::Duration;

use rusqlite::{Connection, Error};
use tidings_domain::Timestamp;

use super::batch::transaction;
use crate::{
    seal::Seal,
    sqlite::{
        database,
        dedup::{self, Recent},
        webhooks,
        writer::operation::Tally,
    },
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

/// How long after one slice of moved dedup keys the next may come: fast enough for any stream of notifications, and most
/// commits are still those of callers.
const MOVE_PAUSE: Duration = Duration::from_millis(25);

/// How often the table of dedup keys is walked through for old ones.
const WALK_EVERY: Duration = Duration::from_hours(6);

/// How long dedup keys are kept: twice what is promised.
const DEDUP_KEPT: Duration = Duration::from_hours(48);

pub(super) struct Upkeep {
    /// Bytes in the WAL when it was last copied.
    checkpointed: u64,
    worked_at: Duration,
    tidy_at: Option<Duration>,
    slice_at: Duration,
    move_at: Duration,
    /// Where the walk through the dedup keys stands; `None` between two walks.
    walk: Option<Vec<u8>>,
    leftovers: bool,
}

impl Upkeep {
    pub(super) fn new(now: Duration) -> Self {
        Self {
            checkpointed: 0,
            worked_at: now,
            tidy_at: Some(now + IDLE),
            slice_at: now + IDLE,
            move_at: now,
            walk: Some(Vec::new()),
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
        let moving = recent.is_moving().then_some(self.move_at);
        let soonest = self.tidy_at.into_iter().chain(moving).min();
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

    /// Moves a slice of recent dedup keys to where they are sorted, if it is time for one.
    pub(super) fn move_keys(
        &mut self,
        sql: &Connection,
        seal: &Seal,
        recent: &Recent,
        now: Duration,
        wall: Timestamp,
    ) -> Result<(), Error> {
        if now < self.move_at || !recent.is_moving() {
            return Ok(());
        }
        if let Some(step) = recent.next_step(sql)? {
            let (removed, _) = transaction(sql, seal, recent, wall, |tx| step.run(tx))?;
            recent.stepped(&step, removed);
        }
        self.move_at = now + MOVE_PAUSE;
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
            let (more, tally) = webhooks_slice(sql, seal, recent, wall)?;
            self.leftovers = more;
            self.slice_at = now + SLICE_PAUSE;
            return Ok(tally);
        }
        let from = self.walk.take().unwrap_or_default();
        let found = dedup::old_keys(sql, &from, wall - DEDUP_KEPT)?;
        if !found.old.is_empty() {
            transaction(sql, seal, recent, wall, |tx| dedup::forget(tx, &found.old))?;
        }
        self.slice_at = now
            + if found.next.is_some() {
                SLICE_PAUSE
            } else {
                WALK_EVERY
            };
        self.walk = found.next;
        Ok(Tally::default())
    }
}

fn webhooks_slice(
    sql: &Connection,
    seal: &Seal,
    recent: &Recent,
    wall: Timestamp,
) -> Result<(bool, Tally), Error> {
    if !webhooks::has_leftovers(sql)? {
        return Ok((false, Tally::default()));
    }
    transaction(sql, seal, recent, wall, webhooks::remove_leftovers)
}

/// Copies what is in the WAL into the database; whether all of it could be.
pub(in crate::sqlite) fn checkpoint(sql: &Connection, mode: &str) -> Result<bool, Error> {
    sql.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
        row.get::<_, i64>(0).map(|busy| busy == 0)
    })
}
