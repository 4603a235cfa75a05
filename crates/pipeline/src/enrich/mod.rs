//! Enriching: each accepted notification becomes an event with the changed object inside.
//!
//! The queue is in the store; memory holds the data of a limited number of its items, and of all others that were read
//! only their place. Items of one resource go one after the other, others side by side; a tenant that does not answer
//! holds up nobody else. Where several nodes share the store, each works on the items of the shards it holds, and starts
//! over when these change.
//!
//! | module | holds |
//! | --- | --- |
//! | `reading` | how far the queue has been read |
//! | `backlog` | what of the queue is in memory: order per resource, when it is due |
//! | `lanes` | whose turn it is to ask Graph: limits per mailbox and tenant, fairness |
//! | `breaker` | when a tenant's Graph is left alone that does not answer |
//! | `pace` | how much a tenant's Graph is asked that nears its limits |
//! | `call` | asking Graph: for one item, or for several in a batch |
//! | `merge` | notifications of one item that one event answers |
//! | `look` | what Graph's answer means |
//! | `known` | what was found against what the app knows |
//! | `event` | the event's trigger and bytes |
//! | `lifecycle` | what Graph says of a subscription itself |
//! | `item` | one item from its turn on |
//! | `ended` | how a turn ends: recorded, or put off |

use std::{collections::HashSet, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};
use tidings_domain::{Clock, Entropy, Ids, Timestamp, clock::within, config::EnrichConfig};
use tidings_graph::client::{GraphClient, MAX_PARTS};
use tidings_storage::{
    Held, Store, StoreError,
    record::{QueuedNotification, Seq},
};
use tokio_util::sync::CancellationToken;

use crate::{
    completeness::Tally, credentials::Credentials, deliver::Hint, directory::Directory,
    fence::Fence, metrics::EnrichMetrics, wake::Wake,
};

mod backlog;
mod breaker;
mod call;
mod ended;
mod event;
mod finds;
mod item;
mod known;
mod lanes;
mod lifecycle;
mod look;
mod merge;
mod pace;
mod reading;

#[cfg(test)]
pub(crate) mod tests;

pub use finds::RecentFinds;

use backlog::{Backlog, Turn, Work};
use call::Share;
use ended::Ended;
use item::{Job, Piece, Route};
use lanes::{CallNumber, Lanes, Limits, Slot};
use merge::Merging;
use reading::{Asked, Reading};

/// How many notifications are read at once.
const PAGE: u32 = 512;
/// Of how many notifications all data may be in memory: about 1 KiB each, more for large ones.
const MOST_LOADED: usize = 2_048;
/// Of how many notifications the place may be in memory, some 100 bytes each. The rest waits in the store.
const MOST_KNOWN: usize = 500_000;
/// How many notifications that need no fetch may be on their way into the store: they share its commits.
const MOST_QUICK: usize = 1_024;
/// A loop that was not woken looks by itself this often: a wake-up is a hint, not a promise.
const LOOK_ANYWAY: Duration = Duration::from_secs(15);
/// The pause after the store could not be read or written.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// How long a stop waits for what is under way. It is all in the store, so that no more is needed.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Makes events of notifications. Clones are the same stage.
#[derive(Clone, Debug)]
pub struct Enrich {
    parts: Arc<EnrichParts>,
}

/// What [`Enrich`] works with.
#[derive(Debug)]
pub struct EnrichParts {
    /// Where the queue is.
    pub store: Arc<dyn Store>,
    /// Whose data it is and who asks for it.
    pub directory: Arc<Directory>,
    /// Asks Graph.
    pub graph: GraphClient,
    /// Its time.
    pub clock: Arc<dyn Clock>,
    /// Its randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Makes ids.
    pub ids: Arc<Ids>,
    /// What it counts.
    pub metrics: EnrichMetrics,
    /// Its limits.
    pub config: EnrichConfig,
    /// Wakes it.
    pub wake: Wake,
    /// Is told which webhooks have new deliveries.
    pub deliver: Hint,
    /// Is told that a subscription is to be reconciled.
    pub reconcile: Wake,
    /// Is told that a subscription is to be looked at.
    pub subscribe: Wake,
    /// Tells its items from those of other nodes.
    pub fence: Fence,
    /// Is given when other shards are held than before.
    pub shards: Wake,
    /// Records what calls show of credentials.
    pub credentials: Credentials,
    /// Counts what became known in time.
    pub tally: Tally,
    /// Where comparisons have found something lately.
    pub finds: RecentFinds,
}

impl Enrich {
    /// A stage made of these parts.
    pub fn new(parts: EnrichParts) -> Self {
        Self {
            parts: Arc::new(parts),
        }
    }

    /// Works through the queue until `stop`. Begins with what the last run left.
    pub async fn run(&self, stop: &CancellationToken) {
        let mut run = Run::new(Arc::clone(&self.parts));
        run.work(stop).await;
        // What is under way ends or is done again: nothing here is the truth.
        let _ = within(&*self.parts.clock, LAST_WORDS, run.drain()).await;
        self.parts.metrics.in_memory.set(0);
        self.parts.metrics.in_flight.set(0);
    }
}

/// What ends while the loop runs.
enum Done {
    /// The next part of the queue.
    Page(Asked, Result<Vec<QueuedNotification>, StoreError>),
    /// The pause after the queue could not be read.
    Paused,
    /// The data of places whose turn it is, and which shards were ours when it was asked for.
    Loaded(Held, Vec<Turn>, Result<Vec<QueuedNotification>, StoreError>),
    /// What was waiting for its verdict and is accepted now, and which shards were ours when it was.
    Settled(Held, Vec<QueuedNotification>),
    /// One item, for now or for good, and its place in a call.
    Item(Turn, Option<(CallNumber, Slot)>, Ended),
}

type Running = std::pin::Pin<Box<dyn Future<Output = Done> + Send>>;

/// One run of the loop.
struct Run {
    parts: Arc<EnrichParts>,
    backlog: Backlog,
    lanes: Lanes,
    running: FuturesUnordered<Running>,
    reading: Reading,
    /// What was held when reading began, before anything was read: of these shards the oldest items are known, and of
    /// no others. A younger one whose shard came meanwhile must not go before them.
    held: Held,
    /// Places whose turn it is and whose data is not here.
    to_load: Vec<Turn>,
    loading: bool,
    /// Items under way that need no fetch.
    quick: usize,
    /// Items that are being worked on or read again.
    under_way: HashSet<Seq>,
    /// An item was dropped because its lease did not hold. Should that not be news to the store, nobody else says so.
    lost_some: bool,
}

impl Run {
    fn new(parts: Arc<EnrichParts>) -> Self {
        let limits = Limits {
            calls: parts.config.concurrency.max(1),
            per_mailbox: parts.config.per_mailbox.max(1),
            per_call: parts.config.batch.clamp(1, MAX_PARTS),
        };
        Self {
            backlog: Backlog::new(MOST_LOADED, Merging::new(&parts.config)),
            lanes: Lanes::new(limits, Arc::clone(&parts.entropy)),
            running: FuturesUnordered::new(),
            reading: Reading::new(parts.clock.monotonic()),
            to_load: Vec::new(),
            loading: false,
            quick: 0,
            under_way: HashSet::new(),
            lost_some: false,
            held: parts.fence.now(),
            parts,
        }
    }

    async fn work(&mut self, stop: &CancellationToken) {
        let parts = Arc::clone(&self.parts);
        loop {
            self.begin();
            let sleep = self.sleep();
            tokio::select! {
                () = stop.cancelled() => return,
                Some(done) = self.running.next(), if !self.running.is_empty() => self.end(done),
                () = parts.wake.wait(), if !self.reading.expects_more() => self.reading.expect_more(),
                () = parts.shards.wait() => self.look_at_shards(),
                () = sleep => {}
            }
            // Under load many end together: they need not go through the wait above one by one.
            while let Some(Some(done)) = self.running.next().now_or_never() {
                self.end(done);
            }
        }
    }

    /// Lets what is under way end.
    async fn drain(&mut self) {
        while self.running.next().await.is_some() {}
    }

    /// Begins all that can begin now.
    fn begin(&mut self) {
        for turn in self.backlog.due(self.parts.clock.now()) {
            self.dispatch(turn);
        }
        let now = self.parts.clock.monotonic();
        while let Some(call) = self.lanes.next(now) {
            let shares = Share::of(call.slots.len());
            for (slot, share) in call.slots.into_iter().zip(shares) {
                self.start(slot.turn, Some((call.number, slot)), share);
            }
        }
        if self.reading.rested(now) >= LOOK_ANYWAY {
            self.reading.expect_more();
            if self.lost_some {
                self.start_over();
            }
        }
        if !self.loading && !self.to_load.is_empty() {
            self.load();
        }
        if self.wants_page() {
            self.read_page();
        }
        let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let metrics = &self.parts.metrics;
        metrics.in_memory.set(gauge(self.backlog.len()));
        metrics.in_flight.set(gauge(self.lanes.in_flight()));
    }

    /// Reading goes on while there is room for data, and beyond that while fetches could be made that nobody asks for:
    /// what fills the memory may all be of one busy mailbox.
    fn wants_page(&self) -> bool {
        self.reading.wants_page()
            && self.quick < MOST_QUICK
            && self.backlog.len() < MOST_KNOWN
            && (self.backlog.loaded() < MOST_LOADED / 2 || self.lanes.has_room())
    }

    fn read_page(&mut self) {
        let asked = self.reading.ask(self.parts.clock.monotonic());
        let store = Arc::clone(&self.parts.store);
        self.running.push(Box::pin(async move {
            Done::Page(asked, store.queued_notifications(asked.after, PAGE).await)
        }));
    }

    /// The store shows the items of a shard from when it is held, and the signal comes later: so this is asked, too,
    /// before anything that was read is believed.
    fn look_at_shards(&mut self) {
        if self.parts.fence.changed_since(self.held) {
            self.start_over();
        }
    }

    /// Other shards are held: forgets all but what is under way, and reads the queue from the start. What is under way
    /// ends; should its shard be gone, the store refuses what comes of it.
    fn start_over(&mut self) {
        self.held = self.parts.fence.now();
        self.backlog.forget_all_but(&self.under_way);
        self.lanes.forget_waiting();
        self.parts.finds.forget(self.parts.clock.now());
        self.to_load.clear();
        self.reading.start_over();
        self.lost_some = false;
    }

    fn load(&mut self) {
        self.loading = true;
        let turns = self
            .to_load
            .split_off(self.to_load.len().saturating_sub(256));
        self.under_way.extend(turns.iter().map(|turn| turn.seq));
        let (store, held) = (Arc::clone(&self.parts.store), self.held);
        self.running.push(Box::pin(async move {
            let places = turns.iter().map(|turn| turn.seq).collect();
            let read = store.queued_notifications_at(places).await;
            Done::Loaded(held, turns, read)
        }));
    }

    fn end(&mut self, done: Done) {
        self.look_at_shards();
        match done {
            Done::Page(asked, Ok(page)) => {
                let known = self.backlog.len();
                for queued in self.reading.take(asked, page) {
                    self.take_in(queued);
                }
                // What was committed late may have filled the page by itself.
                if self.backlog.len() > known {
                    self.reading.expect_more();
                }
            }
            Done::Page(_, Err(error)) => {
                tracing::warn!(%error, "the queue of notifications cannot be read: it is tried again");
                let clock = Arc::clone(&self.parts.clock);
                self.running.push(Box::pin(async move {
                    clock.sleep(STORE_PAUSE).await;
                    Done::Paused
                }));
            }
            Done::Paused => self.reading.failed(),
            Done::Settled(held, found) => {
                // Otherwise it is read in its place of the order.
                if self.held == held {
                    for queued in found {
                        self.take_in(queued);
                    }
                }
            }
            Done::Loaded(held, turns, read) => self.loaded(held, turns, read),
            Done::Item(turn, place, ended) => self.item_ended(turn, place, ended),
        }
    }

    fn take_in(&mut self, queued: QueuedNotification) {
        let now = self.parts.clock.now();
        if let Some(turn) = self.backlog.push(Work::new(queued), now) {
            self.dispatch(turn);
        }
    }

    /// It is this item's turn: to be done at once, to queue for Graph, or to be read again.
    fn dispatch(&mut self, turn: Turn) {
        let Some(work) = self.backlog.get(turn.seq) else {
            self.to_load.push(turn);
            return;
        };
        match Route::of(&work.queued.notification) {
            Route::Fetch {
                integration,
                connection,
                mailbox,
            } => {
                let slot = Slot {
                    turn,
                    integration,
                    connection,
                    mailbox,
                };
                if self.lanes.push(slot, self.parts.clock.monotonic()) {
                    // It will not be asked for soon: its data need not wait with it.
                    self.backlog.unload(turn.seq);
                }
            }
            Route::Quick => self.start(turn, None, Share::alone()),
        }
    }

    fn start(&mut self, turn: Turn, place: Option<(CallNumber, Slot)>, share: Share) {
        if place.is_none() {
            self.quick += 1;
        }
        self.under_way.insert(turn.seq);
        let like = self.backlog.like(turn);
        let mut take = |seq| Piece {
            seq,
            work: self.backlog.take(seq),
        };
        let job = Job {
            head: take(turn.seq),
            like: like.into_iter().map(take).collect(),
        };
        if place.is_some() {
            self.backlog.rest(turn, self.parts.clock.now());
        }
        let (parts, held) = (Arc::clone(&self.parts), self.held);
        self.running.push(Box::pin(async move {
            let run = AssertUnwindSafe(item::run(&parts, job, held, share));
            let run = run.catch_unwind();
            let ended = run.await.unwrap_or_else(|_| {
                tracing::error!(
                    seq = turn.seq.0,
                    "a notification could not be enriched because of an error in the program: it is tried again"
                );
                Ended::panicked(parts.clock.now())
            });
            Done::Item(turn, place, ended)
        }));
    }

    fn loaded(
        &mut self,
        held: Held,
        turns: Vec<Turn>,
        read: Result<Vec<QueuedNotification>, StoreError>,
    ) {
        self.loading = false;
        for turn in &turns {
            self.under_way.remove(&turn.seq);
        }
        let now = self.parts.clock.now();
        let found = match read {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(%error, "queued notifications cannot be read: it is tried again");
                for turn in turns {
                    self.backlog.again(turn, now + STORE_PAUSE, None);
                }
                return;
            }
        };
        for queued in found {
            self.backlog.put(Work::new(queued));
        }
        for turn in turns {
            if self.backlog.get(turn.seq).is_some() {
                self.dispatch(turn);
            } else if self.parts.fence.now() == held {
                // No longer queued.
                self.finished(turn, now);
            } else {
                // Perhaps only not ours for a moment: the next of its resource must not go before it.
                self.backlog.again(turn, now + STORE_PAUSE, None);
            }
        }
    }

    fn item_ended(&mut self, turn: Turn, place: Option<(CallNumber, Slot)>, ended: Ended) {
        match place {
            None => self.quick -= 1,
            Some((call, slot)) => {
                let now = self.parts.clock.monotonic();
                for waiting in self.lanes.finished(&slot, call, ended.graph, now) {
                    self.backlog.unload(waiting);
                }
            }
        }
        let now = self.parts.clock.now();
        self.under_way.remove(&turn.seq);
        for seq in ended.merged {
            self.reading.ended(seq);
            self.backlog.told_with(turn, seq);
        }
        match ended.next {
            ended::Next::Lost => {
                self.lost_some = true;
                // Should it be ours again by then, it is read under the new lease, in its place of the order.
                self.backlog.again(turn, now + STORE_PAUSE, None);
            }
            ended::Next::Again { due_at, work } => self.backlog.again(turn, due_at, work),
            ended::Next::Finished => self.finished(turn, now),
            ended::Next::Settled => {
                self.finished(turn, now);
                // It has got its resource meanwhile, and with it another place in the order.
                let store = Arc::clone(&self.parts.store);
                let clock = Arc::clone(&self.parts.clock);
                let held = self.held;
                self.running.push(Box::pin(async move {
                    Done::Settled(held, read_settled(store, clock, turn.seq).await)
                }));
            }
        }
    }

    fn finished(&mut self, turn: Turn, now: Timestamp) {
        self.reading.ended(turn.seq);
        if let Some(next) = self.backlog.finish(turn, now) {
            self.dispatch(next);
        }
    }

    /// Until something is due by itself.
    fn sleep(&self) -> tidings_domain::clock::Sleep {
        let clock = &self.parts.clock;
        let mut wait = LOOK_ANYWAY;
        if let Some(due) = self.backlog.next_due() {
            wait = wait.min(clock.now().until(due));
        }
        if let Some(at) = self.lanes.next_wake() {
            wait = wait.min(at.saturating_sub(clock.monotonic()));
        }
        clock.sleep(wait)
    }
}

/// Reads a held item again that has just been accepted. It must not get lost, so it is tried until it works.
async fn read_settled(
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    seq: Seq,
) -> Vec<QueuedNotification> {
    loop {
        match store.queued_notifications_at(vec![seq]).await {
            Ok(found) => return found,
            Err(error) => {
                tracing::warn!(%error, "a queued notification cannot be read: it is tried again");
                clock.sleep(STORE_PAUSE).await;
            }
        }
    }
}
