//! Where comparisons have found something lately: there Graph's own notification of it may still come.
//!
//! What a comparison found has been told. A notification that was on its way for longer, because we were away or Graph was
//! slow, is of a change that the app knows then. To look that up for every notification would cost a read each; it is done
//! only where there is something to be expected.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tidings_domain::{Timestamp, ids::SubscriptionId};
use tidings_storage::StoreError;

use super::EnrichParts;

/// For how long after a find its notification may come: Graph tries for 4 hours (Microsoft's "Receive change notifications
/// through webhooks" page), and one more for what waits with us.
const LATE: Duration = Duration::from_hours(5);

/// The subscriptions of which something was found lately.
#[derive(Debug)]
pub struct RecentFinds {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Since when every find is noted here.
    since: Timestamp,
    /// Until when notifications of each may be late. It is read from the store for those that were there before.
    late_until: HashMap<SubscriptionId, Timestamp>,
}

impl RecentFinds {
    /// Knows of nothing before `now`.
    pub fn new(now: Timestamp) -> Self {
        Self {
            state: Mutex::new(State {
                since: now,
                late_until: HashMap::new(),
            }),
        }
    }

    /// Something was found at `now`.
    pub(super) fn note(&self, subscription: SubscriptionId, now: Timestamp) {
        self.lock().late_until.insert(subscription, now + LATE);
    }

    /// Whether notifications of a subscription may come after what they tell was found.
    pub(super) async fn are_recent(
        &self,
        parts: &EnrichParts,
        subscription: SubscriptionId,
    ) -> Result<bool, StoreError> {
        let now = parts.clock.now();
        let since = {
            let state = self.lock();
            if let Some(until) = state.late_until.get(&subscription) {
                return Ok(now < *until);
            }
            state.since
        };
        let until = if subscription.made_at() >= since {
            since
        } else {
            // Before we began to note it, something may have been found in the last round, wherever that went on.
            let round = parts.store.reconcile(subscription).await?;
            let last = round.and_then(|round| round.started_at.max(round.finished_at));
            last.map_or(since, |last| last.max(since) + LATE)
        };
        self.lock().late_until.entry(subscription).or_insert(until);
        Ok(now < until)
    }

    /// Others have worked on some of the subscriptions until `now`.
    pub(super) fn forget(&self, now: Timestamp) {
        let mut state = self.lock();
        state.since = now;
        state.late_until.clear();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
