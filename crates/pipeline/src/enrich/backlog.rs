//! What of the queue is in memory.
//!
//! Items of one resource form a chain, in the order of the queue: only its head can have its turn. Of most items there
//! is only the place and the time; of a limited number there is the data too.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, HashSet, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
};

use tidings_domain::{Timestamp, notification::Verdict};
use tidings_storage::record::{QueuedNotification, Seq};

/// A queued notification with what this run knows of it.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) queued: QueuedNotification,
    /// How often Graph did not have it though it had just been created.
    pub(super) not_found: usize,
    /// Whether another version than the notification's has been seen once.
    pub(super) other_version_seen: bool,
}

impl Work {
    pub(super) fn new(queued: QueuedNotification) -> Box<Self> {
        Box::new(Self {
            queued,
            not_found: 0,
            other_version_seen: false,
        })
    }

    /// What its order depends on. Two resources that share a number are only in order where they need not be.
    fn chain(&self) -> u64 {
        let notification = &self.queued.notification;
        let mut hasher = DefaultHasher::new();
        if notification.verdict == Verdict::Held {
            // It has no resource yet that could be believed.
            self.queued.seq.0.hash(&mut hasher);
        } else {
            notification.connection.hash(&mut hasher);
            // Of the path only its end: a user may stand in it by id or by name.
            let path = &notification.resource;
            path.rsplit_once('/')
                .map_or(&**path, |(_, item)| item)
                .hash(&mut hasher);
        }
        hasher.finish()
    }
}

/// An item whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) seq: Seq,
    chain: u64,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    seq: Seq,
    due_at: Timestamp,
}

#[derive(Debug)]
struct Chain {
    head: Place,
    rest: VecDeque<Place>,
}

#[derive(Debug)]
pub(super) struct Backlog {
    chains: HashMap<u64, Chain>,
    /// The heads that are not due yet.
    due: BinaryHeap<Reverse<(Timestamp, u64)>>,
    loaded: HashMap<Seq, Box<Work>>,
    most_loaded: usize,
    /// All items: the store may show one more often than once.
    known: HashSet<Seq>,
}

impl Backlog {
    pub(super) fn new(most_loaded: usize) -> Self {
        Self {
            chains: HashMap::new(),
            due: BinaryHeap::new(),
            loaded: HashMap::new(),
            most_loaded,
            known: HashSet::new(),
        }
    }

    /// How many items are known.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// Of how many there is the data.
    pub(super) fn loaded(&self) -> usize {
        self.loaded.len()
    }

    /// Takes in an item of the queue, unless it is known. Its turn may be at once.
    pub(super) fn push(&mut self, work: Box<Work>, now: Timestamp) -> Option<Turn> {
        let (seq, chain) = (work.queued.seq, work.chain());
        let place = Place {
            seq,
            due_at: work.queued.due_at,
        };
        if !self.known.insert(seq) {
            return None;
        }
        // What is due later is read again then: data in memory is for what can be done now.
        if place.due_at <= now && self.loaded.len() < self.most_loaded {
            self.loaded.insert(seq, work);
        }
        if let Some(chain) = self.chains.get_mut(&chain) {
            // Nearly always the last one: what several record at the same time may come out of order.
            let later = chain.rest.iter().rev().take_while(|other| other.seq > seq);
            let at = chain.rest.len() - later.count();
            chain.rest.insert(at, place);
            return None;
        }
        let head = Chain {
            head: place,
            rest: VecDeque::new(),
        };
        self.chains.insert(chain, head);
        self.turn_or_wait(chain, place, now)
    }

    /// The data of an item, if it is here.
    pub(super) fn get(&self, seq: Seq) -> Option<&Work> {
        self.loaded.get(&seq).map(|work| &**work)
    }

    /// Adds the data of an item whose turn it is.
    pub(super) fn put(&mut self, work: Box<Work>) {
        self.loaded.insert(work.queued.seq, work);
    }

    /// Takes the data of an item out, to work on it.
    pub(super) fn take(&mut self, seq: Seq) -> Option<Box<Work>> {
        self.loaded.remove(&seq)
    }

    /// Drops the data of an item: it is read again when it is needed.
    pub(super) fn unload(&mut self, seq: Seq) {
        self.loaded.remove(&seq);
    }

    /// The item stays at the head of its chain, to have its turn again later.
    pub(super) fn again(&mut self, turn: Turn, due_at: Timestamp, work: Option<Box<Work>>) {
        if let Some(chain) = self.chains.get_mut(&turn.chain) {
            chain.head.due_at = due_at;
            self.due.push(Reverse((due_at, turn.chain)));
            if let Some(work) = work
                && self.loaded.len() < self.most_loaded
            {
                self.loaded.insert(turn.seq, work);
            }
        }
    }

    /// The item is done with. The next of its chain may have its turn.
    pub(super) fn finish(&mut self, turn: Turn, now: Timestamp) -> Option<Turn> {
        self.loaded.remove(&turn.seq);
        self.known.remove(&turn.seq);
        let chain = self.chains.get_mut(&turn.chain)?;
        let Some(next) = chain.rest.pop_front() else {
            self.chains.remove(&turn.chain);
            return None;
        };
        chain.head = next;
        self.turn_or_wait(turn.chain, next, now)
    }

    /// Forgets all items but those that have their turn and are `under_way`: they stay at the head of their chains.
    pub(super) fn forget_all_but(&mut self, under_way: &HashSet<Seq>) {
        self.chains.retain(|_, chain| {
            chain.rest = VecDeque::new();
            under_way.contains(&chain.head.seq)
        });
        self.known.clone_from(under_way);
        self.loaded.clear();
        // Only heads that wait are in there.
        self.due.clear();
    }

    /// The items that have become due.
    pub(super) fn due(&mut self, now: Timestamp) -> Vec<Turn> {
        let mut turns = Vec::new();
        while let Some(Reverse((due_at, chain))) = self.due.peek().copied()
            && due_at <= now
        {
            self.due.pop();
            if let Some(Chain { head, .. }) = self.chains.get(&chain) {
                turns.push(Turn {
                    seq: head.seq,
                    chain,
                });
            }
        }
        turns
    }

    /// When the next item becomes due.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.due.peek().map(|Reverse((due_at, _))| *due_at)
    }

    fn turn_or_wait(&mut self, chain: u64, place: Place, now: Timestamp) -> Option<Turn> {
        if place.due_at <= now {
            return Some(Turn {
                seq: place.seq,
                chain,
            });
        }
        self.due.push(Reverse((place.due_at, chain)));
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrich::tests::queued;

    const NOW: Timestamp = Timestamp::from_millis(1_000);

    #[test]
    fn items_of_one_resource_have_their_turns_one_after_the_other() {
        let mut backlog = Backlog::new(10);
        let first = backlog
            .push(Work::new(queued(1, "users/u/events/a", 0)), NOW)
            .unwrap();
        assert_eq!(
            backlog.push(Work::new(queued(2, "users/u/events/a", 0)), NOW),
            None
        );
        assert!(
            backlog
                .push(Work::new(queued(3, "users/u/events/b", 0)), NOW)
                .is_some()
        );
        backlog.again(first, NOW + std::time::Duration::from_secs(1), None);
        assert_eq!(backlog.due(NOW), []);
        assert_eq!(backlog.next_due(), Some(Timestamp::from_millis(2_000)));
        assert_eq!(backlog.due(Timestamp::from_millis(2_000)), [first]);
        let second = backlog.finish(first, NOW).unwrap();
        assert_eq!(second.seq, Seq(2));
        assert_eq!(backlog.finish(second, NOW), None);
        assert_eq!(backlog.len(), 1);
    }

    #[test]
    fn what_is_known_is_not_taken_in_twice_and_what_came_late_finds_its_place() {
        let mut backlog = Backlog::new(10);
        let a = "users/u/events/a";
        let first = backlog.push(Work::new(queued(1, a, 0)), NOW).unwrap();
        for seq in [2, 5, 1, 4, 5, 3, 4] {
            assert_eq!(backlog.push(Work::new(queued(seq, a, 0)), NOW), None);
        }
        assert_eq!(backlog.len(), 5);
        let mut order = vec![first];
        while let Some(next) = backlog.finish(*order.last().unwrap(), NOW) {
            order.push(next);
        }
        let seqs: Vec<i64> = order.iter().map(|turn| turn.seq.0).collect();
        assert_eq!(seqs, [1, 2, 3, 4, 5]);
        assert_eq!(backlog.len(), 0);
        // It left the queue; should it come again, it is another matter.
        assert!(backlog.push(Work::new(queued(1, a, 0)), NOW).is_some());
    }

    #[test]
    fn what_is_under_way_stays_at_the_head_when_all_else_is_forgotten() {
        let mut backlog = Backlog::new(10);
        let (a, b, c) = ("users/u/events/a", "users/u/events/b", "users/u/events/c");
        let first = backlog.push(Work::new(queued(1, a, 0)), NOW).unwrap();
        backlog.push(Work::new(queued(2, a, 0)), NOW);
        backlog.push(Work::new(queued(3, b, 0)), NOW).unwrap();
        backlog.push(Work::new(queued(4, c, 5_000)), NOW);
        backlog.take(Seq(1));
        backlog.forget_all_but(&HashSet::from([Seq(1)]));
        assert_eq!((backlog.len(), backlog.loaded()), (1, 0));
        assert_eq!(backlog.next_due(), None);
        // Read again, the items of its resource wait for it as before.
        assert_eq!(backlog.push(Work::new(queued(1, a, 0)), NOW), None);
        assert_eq!(backlog.push(Work::new(queued(2, a, 0)), NOW), None);
        assert!(backlog.push(Work::new(queued(3, b, 0)), NOW).is_some());
        assert_eq!(backlog.finish(first, NOW).unwrap().seq, Seq(2));
    }

    #[test]
    fn data_is_kept_of_a_limited_number_and_of_what_is_due_only() {
        let mut backlog = Backlog::new(2);
        for seq in 1..=5 {
            let resource = format!("users/u/events/{seq}");
            assert!(
                backlog
                    .push(Work::new(queued(seq, &resource, 0)), NOW)
                    .is_some()
            );
        }
        assert_eq!((backlog.len(), backlog.loaded()), (5, 2));
        let mut backlog = Backlog::new(2);
        assert_eq!(
            backlog.push(Work::new(queued(1, "users/u/events/a", 5_000)), NOW),
            None
        );
        assert_eq!((backlog.len(), backlog.loaded()), (1, 0));
        assert_eq!(backlog.due(Timestamp::from_millis(5_000)).len(), 1);
    }
}
