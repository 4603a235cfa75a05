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

use super::merge::{self, Like, Merging};

/// A queued notification with what this run knows of it.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) queued: QueuedNotification,
    /// Those that are told by the same event, in their order. Found out anew each time it has its turn.
    pub(super) merged: Vec<QueuedNotification>,
    /// How often Graph did not have it though it had just been created.
    pub(super) not_found: usize,
    /// Whether another version than the notification's has been seen once.
    pub(super) other_version_seen: bool,
}

impl Work {
    pub(super) fn new(queued: QueuedNotification) -> Box<Self> {
        Box::new(Self {
            queued,
            merged: Vec::new(),
            not_found: 0,
            other_version_seen: false,
        })
    }

    /// The last of those that are told: the state that is fetched is no older than it.
    pub(super) fn last(&self) -> &QueuedNotification {
        self.merged.last().unwrap_or(&self.queued)
    }

    /// Those that the event of the last one tells too.
    pub(super) fn all_but_last(&self) -> impl Iterator<Item = &QueuedNotification> {
        std::iter::once(&self.queued)
            .chain(&self.merged)
            .take(self.merged.len())
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
    like: Like,
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
    merging: Merging,
    /// Until when items rest of which a fetch began just now, and the same in the order of the times.
    resting: HashMap<u64, Timestamp>,
    rested: VecDeque<(Timestamp, u64)>,
}

/// Of how many items it is remembered that they rest, some 50 bytes each. Beyond that updates do not wait for others.
const MOST_RESTING: usize = 100_000;

impl Backlog {
    pub(super) fn new(most_loaded: usize, merging: Merging) -> Self {
        Self {
            chains: HashMap::new(),
            due: BinaryHeap::new(),
            loaded: HashMap::new(),
            most_loaded,
            known: HashSet::new(),
            merging,
            resting: HashMap::new(),
            rested: VecDeque::new(),
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
            like: self.merging.like(&work.queued.notification),
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

    /// The items behind one that has its turn which can be told with it: all but those that some other change lies
    /// before.
    pub(super) fn like(&self, turn: Turn) -> Vec<Seq> {
        let Some(Chain { head, rest }) = self.chains.get(&turn.chain) else {
            return Vec::new();
        };
        if !head.like.is_something() || rest.is_empty() {
            return Vec::new();
        }
        rest.iter()
            .take_while(|place| head.like.may_pass(place.like))
            .filter(|place| place.like == head.like)
            .take(merge::MOST - 1)
            .map(|place| place.seq)
            .collect()
    }

    /// An item that was told with the one whose turn this is has left the queue.
    pub(super) fn told_with(&mut self, turn: Turn, seq: Seq) {
        self.loaded.remove(&seq);
        self.known.remove(&seq);
        if let Some(chain) = self.chains.get_mut(&turn.chain)
            && let Ok(place) = chain.rest.binary_search_by_key(&seq, |place| place.seq)
        {
            chain.rest.remove(place);
        }
    }

    /// A fetch of an item begins: for the window that is configured further updates wait, to be told as one.
    pub(super) fn rest(&mut self, turn: Turn, now: Timestamp) {
        while let Some(&(until, chain)) = self.rested.front()
            && until <= now
        {
            self.rested.pop_front();
            if self.resting.get(&chain) == Some(&until) {
                self.resting.remove(&chain);
            }
        }
        if !self.merging.window.is_zero() && self.rested.len() < MOST_RESTING {
            let until = now + self.merging.window;
            self.resting.insert(turn.chain, until);
            self.rested.push_back((until, turn.chain));
        }
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

    fn turn_or_wait(&mut self, chain: u64, mut place: Place, now: Timestamp) -> Option<Turn> {
        if place.like.is_something()
            && let Some(&until) = self.resting.get(&chain)
        {
            // Should the clock have been set back, it waits no longer than that.
            let until = until.min(now + self.merging.window);
            place.due_at = place.due_at.max(until);
        }
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
    use tidings_domain::{ids::SubscriptionId, resource::ChangeType};

    use super::*;
    use crate::enrich::tests::queued;

    const NOW: Timestamp = Timestamp::from_millis(1_000);

    #[test]
    fn items_of_one_resource_have_their_turns_one_after_the_other() {
        let mut backlog = Backlog::new(10, Merging::default());
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
        let mut backlog = Backlog::new(10, Merging::default());
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
        let mut backlog = Backlog::new(10, Merging::default());
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
        let mut backlog = Backlog::new(2, Merging::default());
        for seq in 1..=5 {
            let resource = format!("users/u/events/{seq}");
            assert!(
                backlog
                    .push(Work::new(queued(seq, &resource, 0)), NOW)
                    .is_some()
            );
        }
        assert_eq!((backlog.len(), backlog.loaded()), (5, 2));
        let mut backlog = Backlog::new(2, Merging::default());
        assert_eq!(
            backlog.push(Work::new(queued(1, "users/u/events/a", 5_000)), NOW),
            None
        );
        assert_eq!((backlog.len(), backlog.loaded()), (1, 0));
        assert_eq!(backlog.due(Timestamp::from_millis(5_000)).len(), 1);
    }

    fn merging(window: u64) -> Merging {
        let mut config = tidings_domain::config::load(None, [], Vec::new()).unwrap();
        config.enrich.coalesce_window.0 = std::time::Duration::from_millis(window);
        Merging::new(&config.enrich)
    }

    fn changed(seq: i64, change: ChangeType, subscription: u128) -> Box<Work> {
        let mut queued = queued(seq, "users/u/events/a", 0);
        queued.notification.change_type = Some(change);
        queued.notification.subscription = Some(SubscriptionId::from(ulid::Ulid(subscription)));
        Work::new(queued)
    }

    #[test]
    fn updates_that_wait_are_told_with_the_first_up_to_another_change() {
        use ChangeType::{Deleted, Updated};
        let mut backlog = Backlog::new(20, merging(0));
        let first = backlog.push(changed(1, Updated, 1), NOW).unwrap();
        assert_eq!(backlog.like(first), []);
        for (seq, change, subscription) in [
            (2, Updated, 2),
            (3, Updated, 1),
            (4, Updated, 1),
            (5, Deleted, 1),
            (6, Updated, 1),
        ] {
            assert_eq!(backlog.push(changed(seq, change, subscription), NOW), None);
        }
        assert_eq!(backlog.like(first), [Seq(3), Seq(4)]);
        backlog.told_with(first, Seq(3));
        backlog.told_with(first, Seq(4));
        let mut order = vec![first];
        while let Some(next) = backlog.finish(*order.last().unwrap(), NOW) {
            assert_eq!(backlog.like(next), []);
            order.push(next);
        }
        let seqs: Vec<i64> = order.iter().map(|turn| turn.seq.0).collect();
        assert_eq!(seqs, [1, 2, 5, 6]);
        assert_eq!((backlog.len(), backlog.loaded()), (0, 0));
    }

    #[test]
    fn an_update_waits_for_others_only_if_the_item_was_fetched_just_now() {
        use ChangeType::{Deleted, Updated};
        let later = |millis| NOW + std::time::Duration::from_millis(millis);
        let mut backlog = Backlog::new(20, merging(500));
        let first = backlog.push(changed(1, Updated, 1), NOW).unwrap();
        backlog.rest(first, NOW);
        assert_eq!(backlog.finish(first, later(10)), None);
        assert_eq!(backlog.push(changed(2, Updated, 1), later(20)), None);
        assert_eq!(backlog.push(changed(3, Updated, 1), later(30)), None);
        assert_eq!(backlog.next_due(), Some(later(500)));
        let turns = backlog.due(later(500));
        assert_eq!(backlog.like(turns[0]), [Seq(3)]);
        backlog.told_with(turns[0], Seq(3));
        backlog.rest(turns[0], later(500));
        assert_eq!(backlog.finish(turns[0], later(510)), None);
        // Nothing else waits.
        assert!(backlog.push(changed(4, Deleted, 1), later(520)).is_some());
        let other = queued(5, "users/u/events/b", 0);
        assert!(backlog.push(Work::new(other), later(520)).is_some());
        backlog.rest(turns[0], later(5_000));
        assert_eq!(backlog.resting.len(), 1);
    }
}
