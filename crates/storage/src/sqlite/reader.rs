//! The few threads that read.
//!
//! Each has a connection that cannot write. A statement has a deadline: an old snapshot would hold the WAL back.

use std::{
    collections::VecDeque,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use rusqlite::{Connection, Error, ErrorCode};
use tidings_domain::Clock;
use tokio::sync::oneshot;

use super::{
    database,
    trouble::{self, Trouble},
};
use crate::StoreError;

/// How long one verb may read.
const DEADLINE: Duration = Duration::from_secs(5);

/// How many steps of SQLite's machine pass between two looks at the clock: about a millisecond.
const STEPS: i32 = 20_000;

/// How many verbs may wait for a reader; more are refused at once.
const QUEUE: usize = 1_024;

type Read = Box<dyn FnOnce(&mut Reader) + Send>;

/// The callers' side of the readers.
#[derive(Clone)]
pub(super) struct Readers {
    queue: Arc<Queue>,
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Readers")
    }
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    ready: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Read>,
    closed: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<Read> {
        let mut state = self.lock();
        loop {
            if let Some(read) = state.waiting.pop_front() {
                return Some(read);
            }
            if state.closed {
                return None;
            }
            state = self
                .ready
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Readers {
    /// Starts `count` readers, at least one. Each opens its connection when it is first needed.
    pub(super) fn start(
        path: &std::path::Path,
        count: usize,
        clock: &Arc<dyn Clock>,
    ) -> std::io::Result<(Self, Vec<JoinHandle<()>>)> {
        let readers = Self {
            queue: Arc::default(),
        };
        let threads = (0..count.max(1))
            .map(|_| {
                let queue = Arc::clone(&readers.queue);
                let mut reader = Reader {
                    path: path.to_owned(),
                    clock: Arc::clone(clock),
                    deadline: Arc::default(),
                    sql: None,
                };
                std::thread::Builder::new()
                    .name("tidings-reader".to_owned())
                    .spawn(move || {
                        while let Some(read) = queue.take() {
                            // A mistake in one query must not end the reader.
                            if catch_unwind(AssertUnwindSafe(|| read(&mut reader))).is_err() {
                                reader.sql = None;
                            }
                        }
                    })
            })
            .collect::<std::io::Result<_>>()?;
        Ok((readers, threads))
    }

    /// Has `run` done by a reader.
    pub(super) async fn read<T, F>(&self, run: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let read: Read = Box::new(move |reader| {
            if !answer.is_closed() {
                // Nobody listens if the caller was dropped meanwhile.
                let _ = answer.send(reader.read(run));
            }
        });
        {
            let mut state = self.queue.lock();
            if state.closed {
                return Err(unavailable("the store is closed"));
            }
            if state.waiting.len() >= QUEUE {
                return Err(StoreError::Overloaded);
            }
            state.waiting.push_back(read);
        }
        self.queue.ready.notify_one();
        answered
            .await
            .unwrap_or_else(|_| Err(unavailable("the reader has failed")))
    }

    /// Ends the readers when they have answered what is there.
    pub(super) fn close(&self) {
        self.queue.lock().closed = true;
        self.queue.ready.notify_all();
    }
}

struct Reader {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    /// When the statement under way is to end, in milliseconds of monotonic time.
    deadline: Arc<AtomicU64>,
    sql: Option<Connection>,
}

impl Reader {
    fn read<T>(
        &mut self,
        run: impl FnOnce(&Connection) -> Result<T, Error>,
    ) -> Result<T, StoreError> {
        let deadline = millis(self.clock.monotonic() + DEADLINE);
        self.deadline.store(deadline, Ordering::Relaxed);
        let result = self.connection().and_then(run);
        result.map_err(|error| {
            if Trouble::of(&error) == Trouble::Grave {
                self.sql = None;
            }
            if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) {
                return unavailable("the query took longer than 5 s");
            }
            trouble::answer(&error)
        })
    }

    fn connection(&mut self) -> Result<&Connection, Error> {
        if self.sql.is_none() {
            let sql = database::open_reader(&self.path)?;
            let (clock, deadline) = (Arc::clone(&self.clock), Arc::clone(&self.deadline));
            sql.progress_handler(
                STEPS,
                Some(move || millis(clock.monotonic()) > deadline.load(Ordering::Relaxed)),
            )?;
            self.sql = Some(sql);
        }
        Ok(self
            .sql
            .as_ref()
            .expect("invariant: the connection was opened above"))
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn unavailable(detail: &str) -> StoreError {
    StoreError::Unavailable {
        detail: detail.to_owned(),
    }
}
