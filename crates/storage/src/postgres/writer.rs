//! Group commit: what many callers hand in is written by one statement, which is one commit.
//!
//! A lane holds what waits of one kind, and a few flushers serve it. Each takes what is there and writes it; meanwhile the
//! next group gathers by itself, without a timer. If a group cannot be written because of one of its members, it is cut
//! into halves until that one is alone.

use std::{
    collections::VecDeque,
    future::Future,
    ops::Range,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use sqlx::PgConnection;
use tidings_domain::clock::within;
use tokio::sync::{Notify, oneshot};
use tokio_util::task::TaskTracker;

use super::{
    Shared,
    deliver::Attempted,
    enrich::Finish,
    ingest::{Record, Reject},
    pool::{Lent, Purpose, answered},
    trouble::{self, Trouble, Undone},
};
use crate::StoreError;

/// How many operations, rows and bytes one statement takes. PostgreSQL has no trouble with more, but a group that fails
/// is done again, and everybody in it waits.
const MOST_OPERATIONS: usize = 512;
const MOST_ROWS: usize = 4_096;
const MOST_BYTES: usize = 8 << 20;

/// How often a group is tried again that collided with others.
const COLLISIONS: u32 = 5;

/// How long anything new may take in all: an answer of 503 must be out within two seconds.
const NEW: Duration = Duration::from_millis(1_900);

/// How long what ends or changes things may take in all: its caller tries again, so it is given more time.
const COMPLETION: Duration = Duration::from_secs(6);

/// The pause of a flusher after the database could not be reached.
const PAUSE: Duration = Duration::from_millis(100);

/// What can be written together with others of its kind.
pub(super) trait Grouped: Send + Sync + Sized + 'static {
    /// What its caller gets.
    type Answer: Send + 'static;

    /// How many rows it writes, about.
    fn rows(&self) -> usize;

    /// How large it is, about.
    fn bytes(&self) -> usize;

    /// Writes them in one statement, all or none, and gives the answer of each. One that is refused is not written and
    /// hinders none of the others.
    fn write(
        shared: &Shared,
        sql: &mut PgConnection,
        together: &[Self],
    ) -> impl Future<Output = Result<Vec<Result<Self::Answer, StoreError>>, Undone>> + Send;
}

/// A lane for each kind.
pub(super) struct Lanes {
    flushers: TaskTracker,
    pub(super) record: Lane<Record>,
    pub(super) reject: Lane<Reject>,
    pub(super) finish: Lane<Finish>,
    pub(super) attempted: Lane<Attempted>,
}

impl Lanes {
    /// Starts the flushers, as many as `places` connections for work allow. A lane takes `queue` operations.
    pub(super) fn start(shared: &Arc<Shared>, queue: usize, places: usize) -> Self {
        let tasks = &TaskTracker::new();
        // Four commits at a time keep a disk busy; more only make the groups smaller.
        let many = if places >= 8 { 4 } else { 2 };
        tasks.close();
        Self {
            flushers: tasks.clone(),
            record: Lane::start(shared, queue, many, tasks),
            reject: Lane::start(shared, queue.min(1_024), 1, tasks),
            finish: Lane::start(shared, queue, many / 2, tasks),
            attempted: Lane::start(shared, queue, many / 2, tasks),
        }
    }

    /// Takes nothing any more; the flushers end when they have written what is there.
    pub(super) fn close(&self) {
        self.record.close();
        self.reject.close();
        self.finish.close();
        self.attempted.close();
    }

    /// Waits until the flushers have ended.
    pub(super) async fn drained(&self) {
        self.flushers.wait().await;
    }
}

/// What waits of one kind.
pub(super) struct Lane<O: Grouped>(Arc<Inner<O>>);

struct Inner<O: Grouped> {
    shared: Arc<Shared>,
    state: Mutex<State<O>>,
    ready: Notify,
    most: usize,
    next: AtomicU64,
}

struct State<O: Grouped> {
    waiting: VecDeque<Waiting<O>>,
    closed: bool,
}

struct Waiting<O: Grouped> {
    number: u64,
    operation: O,
    answer: Waits<O::Answer>,
}

impl<O: Grouped> Lane<O> {
    fn start(shared: &Arc<Shared>, most: usize, flushers: usize, tasks: &TaskTracker) -> Self {
        let inner = Arc::new(Inner {
            shared: Arc::clone(shared),
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                closed: false,
            }),
            ready: Notify::new(),
            most,
            next: AtomicU64::new(0),
        });
        for _ in 0..flushers.max(1) {
            tasks.spawn(flush(Arc::clone(&inner)));
        }
        Self(inner)
    }

    /// Has something new written: refused at once when too many wait, and withdrawn when it has waited too long.
    pub(super) async fn write_new(&self, operation: O) -> Result<O::Answer, StoreError> {
        let timer = &*self.0.shared.timer;
        let (number, answered) = self.0.push(operation, true)?;
        let began = timer.monotonic();
        let mut answered = std::pin::pin!(answered);
        if let Ok(answer) = within(timer, self.0.shared.max_wait, answered.as_mut()).await {
            return received(answer);
        }
        if self.0.withdraw(number) {
            // It may be the database that keeps it waiting, or only the crowd.
            return Err(match self.0.shared.pool.trouble() {
                Some(detail) => StoreError::Unavailable { detail },
                None => StoreError::Overloaded,
            });
        }
        let left = NEW.saturating_sub(timer.monotonic().saturating_sub(began));
        match within(timer, left, answered).await {
            Ok(answer) => received(answer),
            Err(_) => Err(late()),
        }
    }

    /// Has something written that ends or changes things.
    pub(super) async fn write(&self, operation: O) -> Result<O::Answer, StoreError> {
        let (number, answered) = self.0.push(operation, false)?;
        if let Ok(answer) = within(&*self.0.shared.timer, COMPLETION, answered).await {
            return received(answer);
        }
        self.0.withdraw(number);
        Err(late())
    }

    pub(super) fn close(&self) {
        self.0.lock().closed = true;
        self.0.ready.notify_waiters();
        // One that is about to wait has not heard the above.
        self.0.ready.notify_one();
    }
}

/// Where the answer goes.
type Waits<T> = oneshot::Sender<Result<T, StoreError>>;

/// Where it comes from.
type Answered<T> = oneshot::Receiver<Result<T, StoreError>>;

fn received<T>(
    answer: Result<Result<T, StoreError>, oneshot::error::RecvError>,
) -> Result<T, StoreError> {
    answer.unwrap_or_else(|_| {
        Err(StoreError::Unavailable {
            detail: "writing has failed".to_owned(),
        })
    })
}

fn late() -> StoreError {
    StoreError::Unavailable {
        detail: "the database did not answer in time".to_owned(),
    }
}

impl<O: Grouped> Inner<O> {
    fn lock(&self) -> MutexGuard<'_, State<O>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, operation: O, bounded: bool) -> Result<(u64, Answered<O::Answer>), StoreError> {
        let (answer, answered) = oneshot::channel();
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        {
            let mut state = self.lock();
            if state.closed {
                return Err(StoreError::Unavailable {
                    detail: "the store is closed".to_owned(),
                });
            }
            if bounded && state.waiting.len() >= self.most {
                return Err(StoreError::Overloaded);
            }
            state.waiting.push_back(Waiting {
                number,
                operation,
                answer,
            });
        }
        self.ready.notify_one();
        Ok((number, answered))
    }

    /// Takes an operation out again; `false` if a flusher has it.
    fn withdraw(&self, number: u64) -> bool {
        let mut state = self.lock();
        // Numbers rise, all but for a push or two that crossed.
        match state.waiting.iter().position(|one| one.number == number) {
            Some(place) => state.waiting.remove(place).is_some(),
            None => false,
        }
    }

    /// Waits until something waits; `false` if nothing will come any more.
    async fn wait(&self) -> bool {
        loop {
            let woken = self.ready.notified();
            {
                let state = self.lock();
                if !state.waiting.is_empty() {
                    return true;
                }
                if state.closed {
                    // The next flusher is to hear it, too.
                    self.ready.notify_one();
                    return false;
                }
            }
            woken.await;
        }
    }

    /// What one statement takes of what waits.
    fn take(&self) -> (Vec<O>, Vec<Waits<O::Answer>>) {
        let mut state = self.lock();
        let (mut operations, mut answers) = (Vec::new(), Vec::new());
        let (mut rows, mut bytes) = (0, 0);
        while operations.len() < MOST_OPERATIONS && rows < MOST_ROWS && bytes < MOST_BYTES {
            let Some(one) = state.waiting.pop_front() else {
                break;
            };
            if one.answer.is_closed() {
                // Nobody waits for it any more.
                continue;
            }
            rows += one.operation.rows();
            bytes += one.operation.bytes();
            operations.push(one.operation);
            answers.push(one.answer);
        }
        if !state.waiting.is_empty() {
            self.ready.notify_one();
        }
        (operations, answers)
    }
}

/// Writes what waits in a lane until it is closed and empty.
async fn flush<O: Grouped>(lane: Arc<Inner<O>>) {
    while lane.wait().await {
        // Only with a connection in hand is anything taken: while all are busy the group grows.
        let lent = lane.shared.pool.lend(Purpose::Work).await;
        if matches!(lent, Err(StoreError::Overloaded)) {
            continue;
        }
        let (operations, answers) = lane.take();
        let results = match lent {
            Ok(lent) => write(&lane.shared, lent, &operations).await,
            Err(error) => {
                let failed = operations.iter().map(|_| Err(error.clone())).collect();
                lane.shared.timer.sleep(PAUSE).await;
                failed
            }
        };
        for (answer, result) in answers.into_iter().zip(results) {
            // Whoever asked may have gone.
            let _ = answer.send(result);
        }
    }
}

/// Writes a group, and gives what became of each.
async fn write<O: Grouped>(
    shared: &Shared,
    mut lent: Lent,
    operations: &[O],
) -> Vec<Result<O::Answer, StoreError>> {
    let mut results: Vec<Option<Result<O::Answer, StoreError>>> = Vec::new();
    results.resize_with(operations.len(), || None);
    let whole = 0..operations.len();
    let mut parts: Vec<Range<usize>> = Vec::from([whole]);
    let mut collisions = 0;
    let mut end = Ok(());
    while let Some(part) = parts.pop().filter(|part| !part.is_empty()) {
        let group = &operations[part.clone()];
        match answered(&*shared.timer, O::write(shared, lent.sql(), group)).await {
            Ok(answers) => {
                for (place, answer) in part.zip(answers) {
                    results[place] = Some(answer);
                }
            }
            Err(Undone::Refused(error)) => {
                // Late: what was asked may be done or not, and the connection is of no more use.
                end = Err(Undone::Refused(error));
                break;
            }
            Err(Undone::Sql(error)) => match Trouble::of(&error) {
                Trouble::Row if part.len() > 1 => {
                    let middle = part.start + part.len() / 2;
                    parts.push(middle..part.end);
                    parts.push(part.start..middle);
                }
                Trouble::Collision if collisions < COLLISIONS => {
                    collisions += 1;
                    parts.push(part);
                }
                Trouble::Lost => {
                    end = Err(Undone::Sql(error));
                    break;
                }
                _ => {
                    let why = trouble::answer(&error);
                    for place in part {
                        results[place] = Some(Err(why.clone()));
                    }
                }
            },
        }
    }
    let rest = match lent.settle(end) {
        Ok(()) => late(),
        Err(error) => error.into(),
    };
    results
        .into_iter()
        .map(|result| result.unwrap_or_else(|| Err(rest.clone())))
        .collect()
}
