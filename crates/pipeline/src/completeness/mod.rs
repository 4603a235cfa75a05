//! How complete notifications were: of each subscription it is counted, day by day, which changes Graph told of, which it told
//! of late, and which were only found by comparing.
//!
//! What was late or found is rare, and is written down with its event. Of the rest, nearly all, only the number is known here,
//! and is written down every few seconds: what is lost if the process is killed makes notifications look less complete than
//! they were, never more.
//!
//! | module | holds |
//! | --- | --- |
//! | `late` | how a change became known |

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tidings_domain::{
    Clock, Timestamp,
    completeness::{Counted, Day, How},
    ids::SubscriptionId,
};
use tidings_storage::{Store, StoreError};
use tokio_util::sync::CancellationToken;

use crate::wake::Wake;

mod late;

pub(crate) use late::how;

/// How long it waits to be written down.
const FLUSH: Duration = Duration::from_secs(10);
/// How long it is kept.
pub const KEPT: Duration = Duration::from_hours(62 * 24);
/// How many days of subscriptions are forgotten in one transaction: some milliseconds.
const SLICE: u32 = 1_000;

/// Counts what became known in time. Clones are the same.
#[derive(Clone, Debug)]
pub struct Tally {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    /// By subscription and hour since 1970.
    waiting: Arc<Mutex<HashMap<(SubscriptionId, i64), u64>>>,
    /// Is given when there is something to write down.
    wake: Wake,
}

impl Tally {
    /// Writes it down in `store`.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            clock,
            waiting: Arc::default(),
            wake: Wake::new(),
        }
    }

    /// A change became known in time.
    pub(crate) fn note(&self, subscription: SubscriptionId, at: Timestamp) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.is_empty() {
            self.wake.wake();
        }
        *waiting.entry((subscription, hour(at))).or_default() += 1;
    }

    /// Writes down what was counted so far.
    pub async fn flush(&self) -> Result<(), StoreError> {
        let waiting = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *waiting)
        };
        if waiting.is_empty() {
            return Ok(());
        }
        let mut counted: Vec<Counted> = waiting
            .iter()
            .map(|(&(subscription, hour), &count)| Counted {
                subscription,
                at: Timestamp::from_millis(hour.saturating_mul(3_600_000)),
                how: How::OnTime,
                count,
            })
            .collect();
        counted.sort_unstable_by_key(|one| (one.subscription, one.at));
        let written = self.store.count_changes(counted).await;
        if let Err(error) = &written
            && !error.is_in_doubt()
        {
            let mut all = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            for (key, count) in waiting {
                *all.entry(key).or_default() += count;
            }
            self.wake.wake();
        }
        written
    }

    /// Writes it down some time after it was counted, until `stop`, and forgets what is old.
    pub async fn run(&self, stop: &CancellationToken) {
        let mut tidied = Day::default();
        loop {
            let rest = async {
                self.wake.wait().await;
                self.clock.sleep(FLUSH).await;
            };
            let goes_on = stop.run_until_cancelled(rest).await.is_some();
            if let Err(error) = self.flush().await {
                tracing::debug!(%error, "how changes became known could not be written down");
            }
            if !goes_on {
                return;
            }
            let today = Day::of(self.clock.now());
            if tidied != today {
                match self.forget_old().await {
                    Ok(()) => tidied = today,
                    Err(error) => tracing::debug!(%error, "what is old could not be forgotten"),
                }
            }
        }
    }

    async fn forget_old(&self) -> Result<(), StoreError> {
        let before = Day::of(self.clock.now() - KEPT);
        while self.store.forget_days(before, SLICE).await? >= u64::from(SLICE) {}
        Ok(())
    }
}

fn hour(at: Timestamp) -> i64 {
    at.as_seconds().div_euclid(3_600)
}

#[cfg(test)]
mod tests {
    use tidings_storage::record::SubscriptionFilter;

    use super::*;
    use crate::testing::World;

    #[tokio::test]
    async fn what_was_counted_is_written_down_by_the_hour_and_old_days_go() {
        let world = World::new(&"https://graph.example".parse().unwrap()).await;
        let id = world.subscribed("users/u/events").await;
        let tally = Tally::new(Arc::clone(&world.store), Arc::new(world.clock.clone()));
        let now = world.clock.now();
        for at in [now, now, now + Duration::from_hours(1)] {
            tally.note(id, at);
        }
        for _ in 0..2 {
            tally.flush().await.unwrap();
        }
        let from = Day::of(now);
        let days = world.store.counted_days(vec![id], from).await.unwrap();
        let hours: u32 = days.iter().map(|day| day.hours.count_ones()).sum();
        let count: u64 = days.iter().map(|day| day.counts.on_time).sum();
        assert_eq!((count, hours), (3, 2));
        world.clock.advance(KEPT + Duration::from_hours(72));
        tally.forget_old().await.unwrap();
        let all = SubscriptionFilter::All;
        let left = world.store.completeness(all, from).await.unwrap();
        assert_eq!(left.percent(), None);
    }
}
