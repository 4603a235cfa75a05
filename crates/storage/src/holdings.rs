//! Which shards this node may act for.
//!
//! Whoever works on something looks here first, by the monotonic clock: a node that was stopped for longer than its
//! lease sees on waking that it may do nothing, before it has done anything.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use tidings_domain::{
    Clock,
    shard::{Shard, ShardSet},
};

/// Under which lease a piece of work was read. It goes back to the store with what came of the work, which is refused
/// ([`Fenced`](crate::StoreError::Fenced)) if the shard has had another owner since.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Lease {
    shard: Shard,
    epoch: i64,
}

impl Lease {
    /// The lease of `shard` since its owner changed for the `epoch`th time. For stores.
    pub const fn new(shard: Shard, epoch: i64) -> Self {
        Self { shard, epoch }
    }

    /// The lease of a store that one process has for itself. It asks nothing, so it names the first shard for all.
    pub const fn of_the_only_node() -> Self {
        Self::new(Shard::FIRST, 0)
    }

    /// The shard that the work belongs to.
    pub const fn shard(self) -> Shard {
        self.shard
    }

    /// Rises with every change of owner.
    pub(crate) const fn epoch(self) -> i64 {
        self.epoch
    }
}

/// What was held at one moment. Where two of these are equal, all of it was held from the one to the other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Held {
    shards: ShardSet,
    changes: u64,
}

/// The shards that this node may act for right now. Clones share their state.
#[derive(Clone)]
pub struct Holdings(Inner);

#[derive(Clone)]
enum Inner {
    All,
    Leased(Arc<Leased>),
}

struct Leased {
    clock: Arc<dyn Clock>,
    state: RwLock<State>,
}

#[derive(Clone, Copy)]
struct State {
    shards: ShardSet,
    epochs: [i64; Shard::COUNT as usize],
    /// Until when, by the monotonic clock.
    until: Duration,
    /// How often something else was held than before.
    changes: u64,
}

impl Holdings {
    /// Every shard, for ever: nobody else uses the store.
    pub fn all() -> Self {
        Self(Inner::All)
    }

    /// None yet; `clock` says when what [`Holdings::set`] gives has run out. For stores.
    pub fn leased(clock: Arc<dyn Clock>) -> Self {
        Self(Inner::Leased(Arc::new(Leased {
            clock,
            state: RwLock::new(State {
                shards: ShardSet::EMPTY,
                epochs: [0; Shard::COUNT as usize],
                until: Duration::ZERO,
                changes: 0,
            }),
        })))
    }

    /// Replaces what is held; whether that is something else than a moment ago. What had run out was nothing. For
    /// stores: only they know.
    pub fn set(&self, leases: impl IntoIterator<Item = Lease>, until: Duration) -> bool {
        let Inner::Leased(leased) = &self.0 else {
            return false;
        };
        let mut next = State {
            shards: ShardSet::EMPTY,
            epochs: [0; Shard::COUNT as usize],
            until,
            changes: 0,
        };
        for lease in leases {
            next.shards.insert(lease.shard);
            next.epochs[usize::from(lease.shard.get())] = lease.epoch;
        }
        let mut state = leased.state.write().unwrap_or_else(PoisonError::into_inner);
        let ran_out = leased.clock.monotonic() >= state.until && !next.shards.is_empty();
        let changed = ran_out || state.shards != next.shards || state.epochs != next.epochs;
        next.changes = state.changes + u64::from(changed);
        *state = next;
        changed
    }

    /// The shards that may be acted for right now.
    pub fn shards(&self) -> ShardSet {
        match &self.0 {
            Inner::All => ShardSet::ALL,
            Inner::Leased(leased) => leased.now().shards,
        }
    }

    /// What is held right now.
    pub fn now(&self) -> Held {
        let (shards, changes) = match &self.0 {
            Inner::All => (ShardSet::ALL, 0),
            Inner::Leased(leased) => {
                let now = leased.now();
                (now.shards, now.changes)
            }
        };
        Held { shards, changes }
    }

    /// Whether something else has been held since `then`. What has run out is no change before it is held again.
    ///
    /// A store that shows what it would not have shown `then` has changed the holdings before: whoever asks this when
    /// the answer is there needs no signal to know.
    pub fn changed_since(&self, then: Held) -> bool {
        match &self.0 {
            Inner::All => false,
            Inner::Leased(leased) => {
                let state = leased.state.read().unwrap_or_else(PoisonError::into_inner);
                state.changes != then.changes
            }
        }
    }

    /// Whether this shard may be acted for right now. Ask before each thing that others can see: a call to Graph, an
    /// attempt.
    pub fn may_act(&self, shard: Shard) -> bool {
        self.shards().contains(shard)
    }

    /// Whether what was read under this lease may still be worked on: the shard is held, and was not anybody else's
    /// meanwhile.
    pub fn covers(&self, lease: Lease) -> bool {
        self.lease(lease.shard) == Some(lease)
    }

    /// The lease under which this shard is held.
    pub(crate) fn lease(&self, shard: Shard) -> Option<Lease> {
        match &self.0 {
            Inner::All => Some(Lease::new(shard, 0)),
            Inner::Leased(leased) => leased.now().lease(shard),
        }
    }

    /// All leases, as of one moment.
    pub(crate) fn leases(&self) -> Vec<Lease> {
        match &self.0 {
            Inner::All => Shard::all().map(|shard| Lease::new(shard, 0)).collect(),
            Inner::Leased(leased) => {
                let now = leased.now();
                Shard::all().filter_map(|shard| now.lease(shard)).collect()
            }
        }
    }
}

impl Leased {
    fn now(&self) -> State {
        let mut state = *self.state.read().unwrap_or_else(PoisonError::into_inner);
        if self.clock.monotonic() >= state.until {
            state.shards = ShardSet::EMPTY;
        }
        state
    }
}

impl State {
    fn lease(&self, shard: Shard) -> Option<Lease> {
        self.shards
            .contains(shard)
            .then(|| Lease::new(shard, self.epochs[usize::from(shard.get())]))
    }
}

impl fmt::Debug for Holdings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Holdings({:?})", self.shards())
    }
}

#[cfg(test)]
mod tests {
    use tidings_domain::{Timestamp, clock::ManualClock};

    use super::*;

    fn shard(number: u8) -> Shard {
        Shard::try_from(number).unwrap()
    }

    #[test]
    fn a_lease_that_has_run_out_allows_nothing() {
        let clock = ManualClock::new(Timestamp::from_millis(0));
        let holdings = Holdings::leased(Arc::new(clock.clone()));
        assert!(!holdings.may_act(shard(3)));
        let lease = Lease::new(shard(3), 7);
        assert!(holdings.set([lease], Duration::from_secs(25)));
        assert!(!holdings.set([lease], Duration::from_secs(26)));
        assert!(holdings.may_act(shard(3)) && holdings.covers(lease));
        assert!(!holdings.may_act(shard(4)));
        clock.advance(Duration::from_secs(26));
        assert!(!holdings.may_act(shard(3)) && !holdings.covers(lease));
        assert!(holdings.shards().is_empty());
        // Whoever looked meanwhile has forgotten the work: this is news, though the lease is the same.
        assert!(holdings.set([lease], Duration::from_mins(1)));
    }

    #[test]
    fn what_was_read_before_another_node_had_the_shard_is_not_covered() {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(Timestamp::from_millis(0)));
        let holdings = Holdings::leased(clock);
        let before = Lease::new(shard(3), 7);
        holdings.set([before], Duration::from_secs(25));
        assert!(holdings.set([Lease::new(shard(3), 9)], Duration::from_secs(25)));
        assert!(holdings.may_act(shard(3)));
        assert!(!holdings.covers(before));
    }

    #[test]
    fn what_was_not_held_for_a_moment_is_seen_afterwards() {
        let clock = ManualClock::new(Timestamp::from_millis(0));
        let holdings = Holdings::leased(Arc::new(clock.clone()));
        let lease = Lease::new(shard(3), 7);
        let second = Duration::from_secs(1);
        holdings.set([lease], second);
        let held = holdings.now();
        holdings.set([lease], second);
        assert!(!holdings.changed_since(held) && holdings.now() == held);
        // Taken out of work and given back under the same lease.
        holdings.set([], second);
        holdings.set([lease], second);
        assert!(holdings.changed_since(held) && holdings.now() != held);
        let held = holdings.now();
        clock.advance(second);
        assert!(!holdings.changed_since(held) && holdings.now() != held);
        holdings.set([lease], second * 2);
        assert!(holdings.changed_since(held) && holdings.now() != held);
    }

    #[test]
    fn a_node_without_others_holds_everything() {
        let holdings = Holdings::all();
        assert!(Shard::all().all(|shard| holdings.may_act(shard)));
        assert!(holdings.covers(Lease::of_the_only_node()));
        assert!(!holdings.changed_since(holdings.now()) && holdings.now() == holdings.now());
        assert_eq!(holdings.leases().len(), 64);
    }
}
