//! The connections to the database, lent out one by one.
//!
//! A pool of our own, because of what must hold when the database is away or stands still: nobody waits beyond a
//! deadline, a connection whose answer did not come is never used again, and after a restart of the database nobody
//! meets the dead connections of before one by one.

use std::{
    fmt,
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use sqlx::{ConnectOptions as _, PgConnection, postgres::PgConnectOptions};
use tidings_domain::{Clock, clock::within};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

use super::{
    database,
    history::History,
    trouble::{Trouble, Undone},
};
use crate::StoreError;

/// How long a verb waits for a connection to be free.
const FREE: Duration = Duration::from_secs(1);

/// How long connecting may take, TLS included.
const CONNECT: Duration = Duration::from_secs(1);

/// How long an answer may take: a little longer than the server gives itself.
pub(super) const ANSWER: Duration = Duration::from_secs(5);

/// What a connection is wanted for. Each has its own, so that none waits for another's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Purpose {
    /// What people ask for or change, and upkeep.
    Asking,
    /// Pages of lists of what flowed, which may read for seconds: a part of [`Purpose::Asking`].
    Listing,
    /// What flows: notifications that come in, the queues, what came of work.
    Work,
}

/// How many connections there are for what.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Places {
    pub(super) work: usize,
    asking: usize,
    /// Of those for asking.
    listing: usize,
}

impl Places {
    /// Of as many as a node has, one keeps the leases, one listens, and one is for the store's health. Of the rest a
    /// quarter is for whoever asks, and one of these never lists.
    pub(super) fn of(connections: u32) -> Self {
        let rest = usize::try_from(connections).unwrap_or(usize::MAX);
        let rest = rest.clamp(5, Semaphore::MAX_PERMITS) - 3;
        let asking = (rest / 4).max(1);
        Self {
            work: rest - asking,
            asking,
            listing: (asking - 1).max(1),
        }
    }
}

/// The connections of this node. Clones share them.
#[derive(Clone)]
pub(super) struct Pool(Arc<Inner>);

struct Inner {
    options: PgConnectOptions,
    timer: Arc<dyn Clock>,
    history: History,
    work: Arc<Semaphore>,
    asking: Arc<Semaphore>,
    listing: Arc<Semaphore>,
    idle: Mutex<Vec<Idle>>,
    /// Rises when a connection is found broken: those made before are not lent out again.
    generation: AtomicU64,
    closed: AtomicBool,
    /// Why the last try to reach the database failed, if it did.
    trouble: Mutex<Option<String>>,
}

struct Idle {
    sql: PgConnection,
    generation: u64,
}

/// A connection that is lent. When it is dropped without having been given back it is closed, and whatever runs on it is
/// left to the server.
pub(super) struct Lent {
    sql: PgConnection,
    generation: u64,
    /// Whether it has been used before: it may have died meanwhile.
    pub(super) used: bool,
    pool: Pool,
    _place: Place,
}

/// A place for one purpose, and where it lies in another.
type Place = (OwnedSemaphorePermit, Option<OwnedSemaphorePermit>);

impl Pool {
    pub(super) fn new(
        options: PgConnectOptions,
        places: Places,
        timer: Arc<dyn Clock>,
        history: History,
    ) -> Self {
        Self(Arc::new(Inner {
            options,
            timer,
            history,
            work: Arc::new(Semaphore::new(places.work)),
            asking: Arc::new(Semaphore::new(places.asking)),
            listing: Arc::new(Semaphore::new(places.listing)),
            idle: Mutex::default(),
            generation: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            trouble: Mutex::default(),
        }))
    }

    pub(super) fn timer(&self) -> &dyn Clock {
        &*self.0.timer
    }

    pub(super) fn history(&self) -> &History {
        &self.0.history
    }

    /// Lends a connection out: one that is idle, or a new one.
    pub(super) async fn lend(&self, purpose: Purpose) -> Result<Lent, StoreError> {
        let place = within(self.timer(), FREE, self.place(purpose))
            .await
            .map_err(|_| StoreError::Overloaded)?
            .map_err(|_| closed())?;
        if self.is_closed() {
            return Err(closed());
        }
        let generation = self.0.generation.load(Ordering::Acquire);
        let idle = loop {
            match self.idle().pop() {
                Some(idle) if idle.generation < generation => drop(idle),
                found => break found,
            }
        };
        let used = idle.is_some();
        let sql = match idle {
            Some(idle) => idle.sql,
            None => self.connect().await?,
        };
        Ok(Lent {
            sql,
            generation,
            used,
            pool: self.clone(),
            _place: place,
        })
    }

    async fn place(&self, purpose: Purpose) -> Result<Place, AcquireError> {
        let free = |places: &Arc<Semaphore>| Arc::clone(places).acquire_owned();
        Ok(match purpose {
            Purpose::Work => (free(&self.0.work).await?, None),
            Purpose::Asking => (free(&self.0.asking).await?, None),
            Purpose::Listing => {
                let listing = free(&self.0.listing).await?;
                (free(&self.0.asking).await?, Some(listing))
            }
        })
    }

    pub(super) fn is_closed(&self) -> bool {
        self.0.closed.load(Ordering::Acquire)
    }

    /// A connection of its own for somebody who keeps it.
    pub(super) async fn connect(&self) -> Result<PgConnection, StoreError> {
        let connected = within(self.timer(), CONNECT, async {
            let mut sql = self.0.options.connect().await?;
            if self.0.history.check(&mut sql).await? {
                self.0.generation.fetch_add(1, Ordering::AcqRel);
                self.idle().clear();
            }
            Ok::<_, Undone>(sql)
        });
        let failure = match connected.await {
            Ok(Ok(sql)) => {
                *self.trouble_lock() = None;
                return Ok(sql);
            }
            Ok(Err(Undone::Sql(error))) => error.to_string(),
            Ok(Err(Undone::Refused(StoreError::Unavailable { detail }))) => detail,
            Ok(Err(Undone::Refused(error))) => error.to_string(),
            Err(_) => "it does not answer".to_owned(),
        };
        let detail = format!("cannot connect to the database: {failure}");
        *self.trouble_lock() = Some(detail.clone());
        Err(StoreError::Unavailable { detail })
    }

    /// Why the database could not be reached at the last try; `None` if it could.
    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble_lock().clone()
    }

    /// A connection was found broken: the others that were made before probably are, too.
    pub(super) fn suspect(&self, why: &str) {
        self.0.generation.fetch_add(1, Ordering::AcqRel);
        self.idle().clear();
        *self.trouble_lock() = Some(format!("the connection to the database broke: {why}"));
    }

    /// The database answers.
    pub(super) fn well(&self) {
        *self.trouble_lock() = None;
    }

    /// Lends nothing out any more, and closes what is idle.
    pub(super) async fn close(&self) {
        self.0.closed.store(true, Ordering::Release);
        for places in [&self.0.work, &self.0.asking, &self.0.listing] {
            places.close();
        }
        let idle = std::mem::take(&mut *self.idle());
        for Idle { sql, .. } in idle {
            // A server that does not answer must not keep us from ending.
            let _ = within(self.timer(), CONNECT, database::close(sql)).await;
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn trouble_lock(&self) -> MutexGuard<'_, Option<String>> {
        self.0
            .trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lent {
    pub(super) fn sql(&mut self) -> &mut PgConnection {
        &mut self.sql
    }

    /// Waits for what `work` does on a connection, up to the deadline, and gives that back unless it is broken then.
    pub(super) async fn run<T, F>(self, work: F) -> Result<T, Undone>
    where
        F: AsyncFnOnce(&mut PgConnection) -> Result<T, Undone>,
    {
        let mut lent = self;
        let pool = lent.pool.clone();
        let done = within(pool.timer(), ANSWER, work(&mut lent.sql)).await;
        lent.settle(done.unwrap_or_else(|_| Err(late())))
    }

    /// Gives the connection back, or closes it, by what came of its use.
    pub(super) fn settle<T>(self, done: Result<T, Undone>) -> Result<T, Undone> {
        match &done {
            Err(Undone::Sql(error)) if Trouble::of(error) == Trouble::Lost => {
                self.pool.suspect(&error.to_string());
            }
            Err(Undone::Refused(StoreError::Unavailable { detail })) => self.pool.suspect(detail),
            _ => self.back(),
        }
        done
    }

    fn back(self) {
        let Self {
            sql,
            generation,
            pool,
            ..
        } = self;
        if pool.is_closed() || generation < pool.0.generation.load(Ordering::Acquire) {
            return;
        }
        pool.idle().push(Idle { sql, generation });
    }
}

/// The database did not answer in time: what it was asked may be done or not.
pub(super) fn late() -> Undone {
    Undone::Refused(StoreError::Unavailable {
        detail: "the database did not answer in time".to_owned(),
    })
}

pub(super) fn closed() -> StoreError {
    StoreError::Unavailable {
        detail: "the store is closed".to_owned(),
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pool")
    }
}

/// Runs a future on the pool's timer for at most the time that an answer may take.
pub(super) async fn answered<T>(
    timer: &dyn Clock,
    work: impl Future<Output = Result<T, Undone>>,
) -> Result<T, Undone> {
    within(timer, ANSWER, work)
        .await
        .unwrap_or_else(|_| Err(late()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_purpose_has_its_own_connections() {
        let places = |work, asking, listing| Places {
            work,
            asking,
            listing,
        };
        assert_eq!(Places::of(6), places(2, 1, 1));
        assert_eq!(Places::of(16), places(10, 3, 2));
        assert_eq!(Places::of(100), places(73, 24, 23));
    }
}
