//! What this node may still work on.
//!
//! Work is read under a lease and asked for here before each thing that others can see. The store asks again when what
//! came of it is recorded; what it refuses is refused here from then on, so that nothing is done twice in vain.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tidings_domain::shard::{Shard, ShardSet};
use tidings_storage::{Held, Holdings, Lease};

use crate::metrics::{NodesMetrics, Stage};

/// Tells work of this node from that of others. Clones are the same.
#[derive(Clone, Debug)]
pub struct Fence(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    holdings: Holdings,
    metrics: NodesMetrics,
    /// Leases that the store has refused though they seemed to hold.
    refused: Mutex<HashSet<Lease>>,
    /// Whether there are any: there hardly ever are, and everything asks.
    any_refused: AtomicBool,
}

impl Fence {
    /// The fence of a node that holds these.
    pub fn new(holdings: Holdings, metrics: NodesMetrics) -> Self {
        Self(Arc::new(Inner {
            holdings,
            metrics,
            refused: Mutex::default(),
            any_refused: AtomicBool::new(false),
        }))
    }

    /// The shards that this node may act for right now.
    pub fn held(&self) -> ShardSet {
        self.0.holdings.shards()
    }

    /// What is held right now, to be compared with later.
    pub fn now(&self) -> Held {
        self.0.holdings.now()
    }

    /// Whether something else has been held since `then`.
    pub fn changed_since(&self, then: Held) -> bool {
        self.0.holdings.changed_since(then)
    }

    /// Whether this node may act for `shard` right now.
    pub fn holds(&self, shard: Shard) -> bool {
        self.0.holdings.may_act(shard)
    }

    /// Whether what was read under `lease` may be worked on right now.
    pub fn allows(&self, lease: Lease) -> bool {
        self.0.holdings.covers(lease)
            && !(self.0.any_refused.load(Ordering::Relaxed) && self.refused().contains(&lease))
    }

    /// The store has refused what came of work under `lease`: another node has its shard.
    pub fn refuse(&self, lease: Lease, stage: Stage) {
        tracing::info!(
            shard = lease.shard().get(),
            stage = stage.as_str(),
            "another node has taken work over: what came of it here is dropped"
        );
        self.0.metrics.fenced(stage);
        let mut refused = self.refused();
        // Those that do not hold any more need no second reason.
        refused.retain(|&other| self.0.holdings.covers(other));
        refused.insert(lease);
        self.0.any_refused.store(true, Ordering::Relaxed);
    }

    fn refused(&self) -> MutexGuard<'_, HashSet<Lease>> {
        self.0
            .refused
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tidings_domain::{Timestamp, clock::ManualClock};

    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn what_the_store_has_refused_is_not_tried_again_before_there_is_another_lease() {
        let clock = ManualClock::new(Timestamp::from_millis(0));
        let holdings = Holdings::leased(Arc::new(clock));
        let metrics = Metrics::new();
        let fence = Fence::new(holdings.clone(), metrics.nodes.clone());
        let lease = |number, epoch| Lease::new(Shard::try_from(number).unwrap(), epoch);
        let minute = Duration::from_mins(1);
        holdings.set([lease(1, 7), lease(2, 7)], minute);
        assert!(fence.allows(lease(1, 7)) && fence.allows(lease(2, 7)));
        fence.refuse(lease(1, 7), Stage::Deliver);
        assert!(!fence.allows(lease(1, 7)) && fence.allows(lease(2, 7)));
        holdings.set([lease(1, 9), lease(2, 7)], minute);
        assert!(!fence.allows(lease(1, 7)) && fence.allows(lease(1, 9)));
        assert!(
            metrics
                .encode()
                .contains("tidings_nodes_fenced_total{stage=\"deliver\"} 1")
        );
    }
}
