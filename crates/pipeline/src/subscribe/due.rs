//! The loop: which of the rows that are due have their turn.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use futures_util::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};
use tidings_domain::{
    Timestamp,
    clock::within,
    ids::SubscriptionId,
    subscription::{Subscription, SubscriptionState},
};
use tidings_graph::client::MAX_PARTS;
use tidings_storage::{Lease, StoreError, record::DueSubscription};
use tokio_util::sync::CancellationToken;

use super::{
    Subscribe,
    act::forgotten,
    company::Company,
    pace::{Turn, Want},
    unchanged,
};
use crate::directory::Change;

/// The pause after the store could not be read, and the shortest between two looks at it.
pub(super) const PAUSE: Duration = Duration::from_secs(1);
/// A loop that was not woken looks by itself this often: the time of day may have jumped.
const LOOK_ANYWAY: Duration = Duration::from_mins(1);
/// How long a stop waits for calls under way. What they do is found out at the next start.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How many due rows are read at once: enough to see which of them are urgent and which can go together, and few enough
/// to be read in a moment.
const PAGE: usize = 512;
/// How many rows may be on their way to another time. That costs the store a write and Graph nothing.
const MOST_PUT_OFF: usize = 64;
/// How many rows one write makes due after the public URL has changed.
const HASTENED: u32 = 1_000;

type Looking = std::pin::Pin<Box<dyn Future<Output = SubscriptionId> + Send>>;

/// What the loop has in memory: a hint, as all of it is in the store.
#[derive(Default)]
struct Turns {
    /// Due rows, the most urgent last.
    ready: Vec<DueSubscription>,
    running: FuturesUnordered<Looking>,
    /// Whom Graph is asked for, and with which call first.
    asking: HashMap<SubscriptionId, u64>,
    /// The calls, and how many of the rows of each have not ended.
    calls: HashMap<u64, usize>,
    last_call: u64,
    /// Who is given another time.
    put_off: HashSet<SubscriptionId>,
}

impl Turns {
    fn is_busy(&self, id: SubscriptionId) -> bool {
        self.asking.contains_key(&id) || self.put_off.contains(&id)
    }

    fn ended(&mut self, id: SubscriptionId) {
        self.put_off.remove(&id);
        let Some(call) = self.asking.remove(&id) else {
            return;
        };
        if let Some(left) = self.calls.get_mut(&call) {
            *left -= 1;
            if *left == 0 {
                self.calls.remove(&call);
            }
        }
    }

    /// Takes the rows that can go together with `first` out of those that are ready, the most urgent first: as many as
    /// have to share a call for all of them to go when there is room for `free` calls, but no more than `most` with it.
    fn like(&mut self, first: &DueSubscription, free: usize, most: usize) -> Vec<DueSubscription> {
        let Some(deed) = deed(&first.subscription) else {
            return Vec::new();
        };
        let is_like = |due: &DueSubscription| {
            let row = &due.subscription;
            row.connection == first.subscription.connection
                && self::deed(row) == Some(deed)
                && row.id != first.subscription.id
        };
        let places: Vec<usize> = (0..self.ready.len())
            .rev()
            .filter(|&place| is_like(&self.ready[place]))
            .collect();
        let share = (places.len() + 1).div_ceil(free.max(1)).min(most.max(1));
        let taken = places.into_iter().take(share - 1);
        taken.map(|place| self.ready.remove(place)).collect()
    }
}

impl Subscribe {
    /// Looks after all subscriptions until `stop`.
    pub async fn run(&self, stop: &CancellationToken) {
        let hastened = stop.run_until_cancelled(self.hasten_sent_elsewhere());
        if hastened.await.is_none() {
            return;
        }
        let mut turns = Turns::default();
        loop {
            let wait = match self.begin(&mut turns).await {
                Ok(wait) => wait,
                Err(error) => {
                    tracing::warn!(%error, "due subscriptions cannot be read: it is tried again");
                    PAUSE
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                Some(id) = turns.running.next(), if !turns.running.is_empty() => turns.ended(id),
                // Something else may be more urgent now than what was read.
                () = self.parts.wake.wait() => turns.ready.clear(),
                () = self.parts.clock.sleep(wait) => turns.ready.clear(),
            }
            while let Some(Some(id)) = turns.running.next().now_or_never() {
                turns.ended(id);
            }
        }
        let rest = async { while turns.running.next().await.is_some() {} };
        let _ = within(&*self.parts.clock, LAST_WORDS, rest).await;
    }

    /// Makes those due whose notifications Graph sends to a URL that was ours before.
    async fn hasten_sent_elsewhere(&self) {
        loop {
            match self.hasten_once().await {
                Ok(0) => return,
                Ok(count) => {
                    tracing::warn!(
                        count,
                        "the public URL has changed: subscriptions are moved there"
                    );
                    return;
                }
                Err(error) => {
                    tracing::warn!(%error, "it cannot be found out whether the public URL has changed: it is tried again");
                    self.parts.clock.sleep(PAUSE).await;
                }
            }
        }
    }

    async fn hasten_once(&self) -> Result<u64, StoreError> {
        let parts = &self.parts;
        let mut all = 0;
        for integration in parts.store.integrations().await? {
            let url = self.notification_url(&integration);
            loop {
                let now = parts.clock.now();
                let hasten = parts.store.hasten_subscriptions_sent_elsewhere(
                    integration.id,
                    url.as_str(),
                    now,
                    HASTENED,
                );
                let hastened = hasten.await?;
                all += hastened;
                if hastened < u64::from(HASTENED) {
                    break;
                }
            }
        }
        Ok(all)
    }

    /// Gives as many due rows their turn as may be under way, and says how long to wait for the next.
    async fn begin(&self, turns: &mut Turns) -> Result<Duration, StoreError> {
        let parts = &self.parts;
        let now = parts.clock.now();
        loop {
            while self.has_room(turns)
                && let Some(due) = turns.ready.pop()
            {
                self.give_turn(turns, due, now);
            }
            if !turns.ready.is_empty() {
                // Whatever ends makes room.
                return Ok(LOOK_ANYWAY);
            }
            if !self.read(turns, now).await? {
                break;
            }
        }
        let next = parts.store.next_due_subscription().await?;
        let wait = next.map_or(LOOK_ANYWAY, |due_at| now.until(due_at));
        Ok(wait.clamp(PAUSE, LOOK_ANYWAY))
    }

    /// Reads what is due; `false` if there is nothing that is not under way already.
    async fn read(&self, turns: &mut Turns, now: Timestamp) -> Result<bool, StoreError> {
        // Those under way are still due in the store.
        let limit = turns.asking.len() + turns.put_off.len() + PAGE;
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let mut due = self.parts.store.due_subscriptions(now, limit).await?;
        due.retain(|due| !turns.is_busy(due.subscription.id));
        due.sort_by_key(|due| std::cmp::Reverse(order(&due.subscription, now)));
        turns.ready = due;
        Ok(!turns.ready.is_empty())
    }

    /// Whether a row can have its turn, or be given a time when it will have it: which of the two is not known yet.
    fn has_room(&self, turns: &Turns) -> bool {
        turns.calls.len() < self.parts.config.concurrency.max(1)
            && turns.put_off.len() < MOST_PUT_OFF
    }

    /// Gives a due row its turn, and with it those that can go together with it; or a time when they will have it.
    fn give_turn(&self, turns: &mut Turns, due: DueSubscription, now: Timestamp) {
        if turns.is_busy(due.subscription.id) || !self.has_turn(turns, &due, now) {
            return;
        }
        let config = &self.parts.config;
        let free = config.concurrency.max(1) - turns.calls.len();
        let mut rows = turns.like(&due, free, config.batch.min(MAX_PARTS));
        rows.retain(|row| !turns.is_busy(row.subscription.id) && self.has_turn(turns, row, now));
        rows.push(due);
        turns.last_call += 1;
        turns.calls.insert(turns.last_call, rows.len());
        let company = Company::of(rows.len(), &self.aside);
        for (row, company) in rows.into_iter().zip(company) {
            let id = row.subscription.id;
            turns.asking.insert(id, turns.last_call);
            turns.running.push(self.look_after(id, row.lease, company));
        }
    }

    /// Whether a due row has its turn now. If not, it is given a time when it will have it.
    fn has_turn(&self, turns: &mut Turns, due: &DueSubscription, now: Timestamp) -> bool {
        let row = &due.subscription;
        let (want, monotonic) = (want(row, now), self.parts.clock.monotonic());
        let turn = self.memory.pace().turn(row.connection, want, monotonic);
        let Turn::At(at) = turn else {
            return true;
        };
        let at = now + at.saturating_sub(monotonic);
        turns.put_off.insert(row.id);
        turns.running.push(self.put_off(row.id, due.lease, at));
        false
    }

    fn look_after(&self, id: SubscriptionId, lease: Lease, company: Company) -> Looking {
        let this = self.clone();
        Box::pin(async move {
            let acted = std::panic::AssertUnwindSafe(this.act_if_due(id, lease, company));
            let problem = match acted.catch_unwind().await {
                Ok(Ok(())) => return id,
                Ok(Err(StoreError::Fenced { .. })) => {
                    // Should the store still show it as ours, it is not asked for again at once.
                    this.parts.clock.sleep(PAUSE).await;
                    return id;
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => "an error in the program".to_owned(),
            };
            tracing::error!(subscription.id = %id, problem, "a subscription could not be looked after");
            // The row is as due as before: without a pause it would be tried again at once.
            this.parts.clock.sleep(PAUSE * 10).await;
            id
        })
    }

    /// Does for a row what it wants now, if it is due; `Fenced` if it is another node's.
    pub(super) async fn act_if_due(
        &self,
        id: SubscriptionId,
        lease: Lease,
        company: Company,
    ) -> Result<(), StoreError> {
        let due = |row: &Subscription| row.due_at <= self.parts.clock.now();
        self.act_when(id, Some(lease), company, due).await
    }

    fn put_off(&self, id: SubscriptionId, lease: Lease, until: Timestamp) -> Looking {
        let this = self.clone();
        Box::pin(async move {
            if let Err(error) = this.record_put_off(id, lease, until).await {
                tracing::debug!(subscription.id = %id, %error, "a subscription could not be put off");
                this.parts.clock.sleep(PAUSE).await;
            }
            id
        })
    }

    async fn record_put_off(
        &self,
        id: SubscriptionId,
        lease: Lease,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let lock = self.lock(id);
        let _guard = lock.lock().await;
        let now = self.parts.clock.now();
        let row = self.parts.store.subscription(id).await?;
        let Some(row) = row.filter(|row| row.due_at <= now) else {
            return Ok(());
        };
        let gone = row.lifecycle.is_some_and(|noted| noted.removed);
        let mut update = if gone {
            // What was noted counts as seen to from here on, so that the row has to say by itself what it wants.
            forgotten(&row, now)
        } else {
            unchanged(&row)
        };
        update.due_at = until;
        if gone {
            let record = self.record(update, Some(lease));
            return self
                .parts
                .directory
                .change(Change::Subscription(id), record)
                .await;
        }
        self.record(update, Some(lease)).await
    }
}

/// Who goes first: what Graph does not serve, then what ends first.
fn order(row: &Subscription, now: Timestamp) -> (Want, Timestamp) {
    let ends = row.expires_at.filter(|_| is_served(row));
    (want(row, now), ends.unwrap_or_default())
}

/// What goes to Graph together with others of its sort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Remove,
    Renew,
}

/// What a row seems to want; found out anew when it has its turn.
fn deed(row: &Subscription) -> Option<Deed> {
    match row.state {
        SubscriptionState::Deleting if row.graph_id.is_some() => Some(Deed::Remove),
        _ if is_served(row) => Some(Deed::Renew),
        _ => None,
    }
}

/// A row is urgent once less than a third of its life is left.
pub(super) fn want(row: &Subscription, now: Timestamp) -> Want {
    let can_wait = match row.state {
        SubscriptionState::Conflict
        | SubscriptionState::Deleting
        | SubscriptionState::Disabled
        | SubscriptionState::Failed => true,
        SubscriptionState::Active | SubscriptionState::Pending => {
            match (row.renewed_at, row.expires_at) {
                (Some(since), Some(end)) => {
                    is_served(row) && now.until(end) >= since.until(end) / 3
                }
                _ => false,
            }
        }
    };
    if can_wait { Want::InTime } else { Want::Urgent }
}

fn is_served(row: &Subscription) -> bool {
    row.state == SubscriptionState::Active
        && row.graph_id.is_some()
        && !row.lifecycle.is_some_and(|noted| noted.removed)
}
