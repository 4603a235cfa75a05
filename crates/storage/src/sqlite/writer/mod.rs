//! The one thread that writes.
//!
//! Callers hand it operations over a bounded queue. It takes what is there, does all of it in one transaction, commits,
//! and only then answers: however many callers wait, they share one fsync. There is no timer: a lone operation is
//! committed at once, and while one commit is under way the next batch gathers by itself.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use rusqlite::Connection;
use tidings_domain::{Clock, clock::within};
use tokio::sync::oneshot;

use self::{
    alarm::Alarm,
    operation::{Claim, Job, Operation, Tally},
    queue::{Next, Queue},
    space::Space,
    upkeep::Upkeep,
};
use super::{
    database,
    dedup::Recent,
    trouble::{self, Trouble},
};
use crate::{StoreError, seal::Seal};

mod alarm;
mod batch;
mod operation;
mod queue;
mod space;
mod upkeep;

pub(super) use batch::transaction;
pub(super) use operation::{Kind, Tx, Undone};
pub(super) use upkeep::checkpoint;

/// How long something new waits at most once the writer has it: with the wait before that, an answer to Graph stays
/// within 3 s.
const COMMIT_WAIT: Duration = Duration::from_millis(2_500);

/// How long a completion waits at most: nobody outside waits for it, and giving it up would cost a repetition.
const COMPLETION_WAIT: Duration = Duration::from_secs(30);

/// The waits between two tries to re-open a database that failed.
const REOPEN_FIRST: Duration = Duration::from_millis(100);
const REOPEN_LAST: Duration = Duration::from_secs(5);

/// How often a writer in want of space looks whether there is some.
const SPACE_EVERY: Duration = Duration::from_millis(500);

/// What the writer says of itself; read by health without asking it.
#[derive(Debug, Default)]
pub(super) struct Gauges {
    /// Notifications in the queue of enrich.
    pub(super) queued: AtomicI64,
    /// Pending deliveries.
    pub(super) pending: AtomicI64,
    trouble: Mutex<Option<String>>,
}

impl Gauges {
    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set_trouble(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    fn count(&self, tally: &Tally) {
        self.queued.fetch_add(tally.queued, Ordering::Relaxed);
        self.pending.fetch_add(tally.pending, Ordering::Relaxed);
    }
}

/// What the writer is made of.
pub(super) struct Parts {
    pub(super) path: PathBuf,
    pub(super) folder: PathBuf,
    pub(super) disk_floor: u64,
    pub(super) seal: Arc<Seal>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) gauges: Arc<Gauges>,
}

/// The callers' side of the writer.
#[derive(Clone)]
pub(super) struct Writer {
    queue: Arc<Queue>,
    clock: Arc<dyn Clock>,
    max_wait: Duration,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Writer")
    }
}

impl Writer {
    pub(super) fn new(limit: usize, max_wait: Duration, clock: Arc<dyn Clock>) -> Self {
        Self {
            queue: Arc::new(Queue::new(limit)),
            clock,
            max_wait,
        }
    }

    /// Has `run` done in a transaction, and answers when it is on disk. `run` may be called again after a rollback.
    pub(super) async fn write<T, F>(
        &self,
        kind: Kind,
        weight: usize,
        run: F,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, Undone> + Send + 'static,
    {
        let claim = Arc::new(Claim::default());
        let (answer, mut answered) = oneshot::channel();
        // Whatever makes the caller go away, an operation that nobody waits for any more is not begun.
        let mut caller = Caller(Some(Arc::clone(&claim)));
        self.queue.push(Box::new(Job {
            kind,
            weight,
            run,
            result: None,
            claim,
            answer,
        }))?;
        let (patience, grace) = match kind {
            Kind::New | Kind::Rejected => {
                (self.max_wait, COMMIT_WAIT.saturating_sub(self.max_wait))
            }
            Kind::Completion => (COMPLETION_WAIT, COMPLETION_WAIT),
        };
        let mut result = within(&*self.clock, patience, &mut answered).await;
        if result.is_err() {
            if caller.withdraw() {
                return Err(StoreError::Overloaded);
            }
            result = within(&*self.clock, grace, &mut answered).await;
        }
        caller.0 = None;
        match result {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(unavailable("the writer has failed")),
            Err(_) => Err(unavailable("the disk takes too long")),
        }
    }

    /// Ends the writer when it has answered what is there.
    pub(super) fn close(&self) {
        self.queue.close();
    }

    /// Runs the writer on this thread until it is closed.
    pub(super) fn run(
        &self,
        parts: Parts,
        sql: Connection,
        runtime: &tokio::runtime::Handle,
        tasks: &tokio_util::task::TaskTracker,
    ) -> Option<Connection> {
        let now = self.clock.monotonic();
        let alarm = Alarm::new(
            Arc::clone(&self.queue),
            Arc::clone(&self.clock),
            runtime,
            tasks,
        );
        let (database, recent) = match Recent::load(&sql) {
            Ok(recent) => (Database::Open(sql), recent),
            Err(error) => {
                let down = Database::Down {
                    detail: error.to_string(),
                    retry_at: now,
                    wait: REOPEN_FIRST,
                };
                (down, Recent::default())
            }
        };
        let mut work = Work {
            queue: Arc::clone(&self.queue),
            space: Space::new(parts.folder.clone(), parts.disk_floor),
            upkeep: Upkeep::new(now),
            recent,
            database,
            parts,
            alarm,
        };
        work.run();
        match work.database {
            Database::Open(sql) => Some(sql),
            Database::Down { .. } => None,
        }
    }
}

/// Withdraws the operation of a caller that goes away.
struct Caller(Option<Arc<Claim>>);

impl Caller {
    fn withdraw(&mut self) -> bool {
        self.0.take().is_some_and(|claim| claim.withdraw())
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.withdraw();
    }
}

enum Database {
    Open(Connection),
    /// Nothing is acknowledged until it is open again.
    Down {
        detail: String,
        retry_at: Duration,
        wait: Duration,
    },
}

/// The thread's side of the writer.
struct Work {
    queue: Arc<Queue>,
    parts: Parts,
    alarm: Alarm,
    space: Space,
    upkeep: Upkeep,
    recent: Recent,
    database: Database,
}

impl Work {
    fn run(&mut self) {
        let mut batch: Vec<Box<dyn Operation>> = Vec::new();
        loop {
            self.alarm.set(self.next());
            let next = self.queue.take(&mut batch);
            let now = self.parts.clock.monotonic();
            self.alarm.rang(now);
            if next == Next::Close {
                return;
            }
            // A mistake in one operation must not end the writer for good. Its callers, dropped with the batch, get
            // their error; the connection, which may be in the middle of a transaction, is given up.
            let done = catch_unwind(AssertUnwindSafe(|| {
                self.reopen(now);
                if next == Next::Batch {
                    self.batch(&mut batch, now);
                }
                self.look_after(now);
            }));
            if done.is_err() {
                batch.clear();
                self.fail("an operation panicked".to_owned(), now);
            }
        }
    }

    /// When there will be something to do, if nothing else comes.
    fn next(&self) -> Duration {
        match &self.database {
            Database::Down { retry_at, .. } => *retry_at,
            Database::Open(_) if self.parts.gauges.trouble().is_some() => {
                self.parts.clock.monotonic() + SPACE_EVERY
            }
            Database::Open(_) => self.upkeep.next(&self.recent),
        }
    }

    fn batch(&mut self, batch: &mut Vec<Box<dyn Operation>>, now: Duration) {
        let sql = match &self.database {
            Database::Open(sql) => sql,
            Database::Down { detail, .. } => {
                return refuse(batch.drain(..), &unavailable(detail));
            }
        };
        if !self.space.has_room(now) {
            refuse_new(batch, &StoreError::Full);
            self.parts.gauges.set_trouble(Some(self.space.describe()));
        }
        while !batch.is_empty() {
            match batch::run(sql, &self.parts.seal, &self.recent, batch) {
                Ok(done) => {
                    self.parts.gauges.count(&done.tally);
                    self.upkeep.worked(now, &done.tally);
                    self.space.taken();
                    let mut alone = done.alone.into_iter();
                    for operation in batch.drain(..) {
                        operation.answer(alone.next().unwrap_or(Ok(())));
                    }
                }
                Err(error) => match Trouble::of(&error) {
                    Trouble::Full => {
                        self.space.refused(now);
                        self.parts.gauges.set_trouble(Some(self.space.describe()));
                        let all = batch.len();
                        refuse_new(batch, &StoreError::Full);
                        // What only ends or changes things needs less room, and may make some: it is tried by itself.
                        if batch.len() == all {
                            refuse(batch.drain(..), &StoreError::Full);
                        }
                    }
                    Trouble::Busy | Trouble::Row => {
                        refuse(batch.drain(..), &trouble::answer(&error));
                    }
                    Trouble::Grave => {
                        let answer = trouble::answer(&error);
                        self.fail(error.to_string(), now);
                        return refuse(batch.drain(..), &answer);
                    }
                },
            }
        }
    }

    /// Checkpoints and removals, and whether a trouble is over.
    fn look_after(&mut self, now: Duration) {
        let Database::Open(sql) = &self.database else {
            return;
        };
        let upkeep = &mut self.upkeep;
        let (parts, clock) = (&self.parts, &self.parts.clock);
        let mut done = upkeep.checkpoint(sql);
        if done.is_ok() && !self.queue.is_busy() {
            done = upkeep.tidy(sql, now);
        }
        let had_trouble = parts.gauges.trouble().is_some();
        if done.is_ok() && !had_trouble {
            done = upkeep.sort_keys(sql, &parts.seal, &self.recent, now, clock.now());
        }
        if done.is_ok() && !had_trouble {
            done = upkeep
                .slice(sql, &parts.seal, &self.recent, now, clock.now())
                .map(|tally| parts.gauges.count(&tally));
        }
        if done.is_ok() && had_trouble && self.space.has_room(now) {
            // The file system may have room and the write fail all the same (a quota): only a write that went through
            // ends the trouble.
            if self.space.is_refused() {
                done = probe(sql, clock.now().as_millis());
            }
            if done.is_ok() {
                self.space.taken();
                parts.gauges.set_trouble(None);
                tracing::info!("the store has space again");
            }
        }
        let Err(error) = done else {
            return;
        };
        match Trouble::of(&error) {
            Trouble::Full => {
                self.space.refused(now);
                self.parts.gauges.set_trouble(Some(self.space.describe()));
            }
            Trouble::Busy => {}
            Trouble::Row => tracing::error!(%error, "the upkeep of the store fails"),
            Trouble::Grave => self.fail(error.to_string(), now),
        }
    }

    /// Gives the connection up.
    fn fail(&mut self, detail: String, now: Duration) {
        tracing::error!(
            error = detail,
            "the store fails; it takes nothing until it is open again"
        );
        self.parts
            .gauges
            .set_trouble(Some(format!("the database fails: {detail}")));
        // Dropping the connection closes it, without a checkpoint.
        self.database = Database::Down {
            detail,
            retry_at: now + REOPEN_FIRST,
            wait: REOPEN_FIRST,
        };
    }

    /// Tries to open a database that failed, when it is time to.
    fn reopen(&mut self, now: Duration) {
        let Database::Down {
            detail,
            retry_at,
            wait,
        } = &mut self.database
        else {
            return;
        };
        if now < *retry_at {
            return;
        }
        let opened = database::open_writer(&self.parts.path).and_then(|sql| {
            // This also writes over what a failed commit may have left behind the valid end of the WAL.
            probe(&sql, self.parts.clock.now().as_millis())?;
            Ok((Recent::load(&sql)?, sql))
        });
        match opened {
            Ok((recent, sql)) => {
                tracing::info!("the store is open again");
                self.recent = recent;
                self.database = Database::Open(sql);
                self.upkeep = Upkeep::new(now);
                self.space.taken();
                self.parts.gauges.set_trouble(None);
            }
            Err(error) => {
                *wait = (*wait * 2).min(REOPEN_LAST);
                *retry_at = now + *wait;
                *detail = error.to_string();
                self.parts
                    .gauges
                    .set_trouble(Some(format!("the database cannot be opened: {detail}")));
            }
        }
    }
}

/// A write whose only purpose is to see whether writing works.
fn probe(sql: &Connection, now: i64) -> Result<(), rusqlite::Error> {
    sql.execute(
        "INSERT INTO meta (name, value) VALUES ('probed_at', ?1) ON CONFLICT (name) DO UPDATE SET value = ?1",
        [now],
    )
    .map(|_| ())
}

fn refuse(operations: impl Iterator<Item = Box<dyn Operation>>, error: &StoreError) {
    operations.for_each(|operation| operation.answer(Err(error.clone())));
}

fn refuse_new(batch: &mut Vec<Box<dyn Operation>>, error: &StoreError) {
    let new = |operation: &mut Box<dyn Operation>| operation.kind() != Kind::Completion;
    refuse(batch.extract_if(.., new), error);
}

fn unavailable(detail: &str) -> StoreError {
    StoreError::Unavailable {
        detail: detail.to_owned(),
    }
}
