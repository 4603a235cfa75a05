//! Whose turn it is to ask Graph.
//!
//! One lane a connection, handed turns round-robin, so that a busy or silent tenant holds up no other: it has half of
//! all fetches at most. Within a lane a mailbox has its own limit, since Graph has one.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use tidings_domain::{Entropy, ids::ConnectionId};
use tidings_storage::record::Seq;

use super::{
    backlog::Turn,
    breaker::{Breaker, Contact},
};

/// How many fetches there may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) fetches: usize,
    pub(super) per_mailbox: usize,
}

/// An item that wants to ask Graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) turn: Turn,
    pub(super) connection: ConnectionId,
    /// The mailbox it is in, as a number.
    pub(super) mailbox: Option<u64>,
}

#[derive(Debug)]
pub(super) struct Lanes {
    limits: Limits,
    entropy: Arc<dyn Entropy>,
    by_connection: HashMap<ConnectionId, Lane>,
    /// The lanes that have something to ask and may, each once.
    rotation: VecDeque<ConnectionId>,
    /// The lanes whose breaker is shut, by the time of the probe.
    shut: BinaryHeap<Reverse<(Duration, ConnectionId)>>,
    in_flight: usize,
}

#[derive(Debug, Default)]
struct Lane {
    ready: VecDeque<Slot>,
    /// What waits for room in its mailbox.
    blocked: HashMap<u64, VecDeque<Slot>>,
    /// Fetches under way by mailbox.
    busy: HashMap<u64, usize>,
    in_flight: usize,
    breaker: Breaker,
    in_rotation: bool,
}

/// A lane keeps the data of so many waiting items; more would only push out those of others.
const DATA_PER_LANE: usize = 256;

impl Lanes {
    pub(super) fn new(limits: Limits, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            limits,
            entropy,
            by_connection: HashMap::new(),
            rotation: VecDeque::new(),
            shut: BinaryHeap::new(),
            in_flight: 0,
        }
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Whether more fetches could be made than there are.
    pub(super) fn has_room(&self) -> bool {
        self.in_flight < self.limits.fetches
    }

    /// Queues an item; `true` if it will not have its turn soon.
    pub(super) fn push(&mut self, slot: Slot, now: Duration) -> bool {
        let lane = self.by_connection.entry(slot.connection).or_default();
        lane.ready.push_back(slot);
        let shut = lane.breaker.shut_until().is_some_and(|until| now < until);
        let far = shut || lane.ready.len() > DATA_PER_LANE;
        self.rotate(slot.connection, now);
        far
    }

    /// The next item that may ask now. It counts as asking until [`Lanes::finished`].
    pub(super) fn next(&mut self, now: Duration) -> Option<Slot> {
        while let Some(Reverse((until, connection))) = self.shut.peek().copied()
            && until <= now
        {
            self.shut.pop();
            self.rotate(connection, now);
        }
        while self.has_room() {
            let connection = self.rotation.pop_front()?;
            let limits = self.lane_limits();
            let Some(lane) = self.by_connection.get_mut(&connection) else {
                continue;
            };
            lane.in_rotation = false;
            // Its breaker may have shut since it was put here.
            if !lane.may_ask(limits.fetches, now) {
                continue;
            }
            let taken = lane.take(limits);
            if taken.is_some() {
                self.in_flight += 1;
                self.rotate(connection, now);
                return taken;
            }
        }
        None
    }

    /// When the next shut lane may be probed. After [`Lanes::next`], always ahead.
    pub(super) fn next_probe(&self) -> Option<Duration> {
        self.shut.peek().map(|Reverse((until, _))| *until)
    }

    /// An item has asked. If that shut its lane, gives what waits in it: its data need not wait with it.
    pub(super) fn finished(&mut self, slot: &Slot, contact: Contact, now: Duration) -> Vec<Seq> {
        self.in_flight -= 1;
        let Some(lane) = self.by_connection.get_mut(&slot.connection) else {
            return Vec::new();
        };
        lane.release(slot, self.limits.per_mailbox);
        let shut = lane.breaker.note(contact, now, &*self.entropy);
        let mut waiting = Vec::new();
        if shut {
            let all = lane.ready.iter().chain(lane.blocked.values().flatten());
            waiting.extend(all.map(|slot| slot.turn.seq));
            if let Some(until) = lane.breaker.shut_until() {
                self.shut.push(Reverse((until, slot.connection)));
            }
        }
        if lane.is_idle() {
            self.by_connection.remove(&slot.connection);
        } else {
            self.rotate(slot.connection, now);
        }
        waiting
    }

    /// Forgets the items that wait. Those that ask count as before, and so does what breakers know.
    pub(super) fn forget_waiting(&mut self) {
        self.rotation.clear();
        self.by_connection.retain(|_, lane| {
            lane.ready.clear();
            lane.blocked.clear();
            lane.in_rotation = false;
            !lane.is_idle()
        });
    }

    /// Half of all fetches, but never less than one mailbox may have.
    fn lane_limits(&self) -> Limits {
        let Limits {
            fetches,
            per_mailbox,
        } = self.limits;
        Limits {
            fetches: (fetches / 2).max(per_mailbox).min(fetches),
            per_mailbox,
        }
    }

    /// Puts a lane into the rotation if it has something to ask and may.
    fn rotate(&mut self, connection: ConnectionId, now: Duration) {
        let most = self.lane_limits().fetches;
        let Some(lane) = self.by_connection.get_mut(&connection) else {
            return;
        };
        if lane.may_ask(most, now) && !lane.in_rotation && !lane.ready.is_empty() {
            lane.in_rotation = true;
            self.rotation.push_back(connection);
        }
    }
}

impl Lane {
    /// Whether one more of its items may ask: beside the limit, a shut breaker lets one probe through when it is time.
    fn may_ask(&self, most: usize, now: Duration) -> bool {
        match self.breaker.shut_until() {
            None => self.in_flight < most,
            Some(until) => until <= now && self.in_flight == 0,
        }
    }

    /// The first item whose mailbox has room. The others are put aside until theirs has.
    fn take(&mut self, limits: Limits) -> Option<Slot> {
        while let Some(slot) = self.ready.pop_front() {
            if let Some(mailbox) = slot.mailbox {
                let busy = self.busy.entry(mailbox).or_default();
                if *busy >= limits.per_mailbox {
                    self.blocked.entry(mailbox).or_default().push_back(slot);
                    continue;
                }
                *busy += 1;
            }
            self.in_flight += 1;
            return Some(slot);
        }
        None
    }

    fn release(&mut self, slot: &Slot, per_mailbox: usize) {
        self.in_flight -= 1;
        let Some(mailbox) = slot.mailbox else { return };
        if let Some(busy) = self.busy.get_mut(&mailbox) {
            *busy -= 1;
            if *busy == 0 {
                self.busy.remove(&mailbox);
            }
        }
        // As many as there is room for now, before those that came later.
        let room = per_mailbox - self.busy.get(&mailbox).copied().unwrap_or(0);
        if let Some(blocked) = self.blocked.get_mut(&mailbox) {
            let free = room.min(blocked.len());
            for slot in blocked.drain(..free).rev() {
                self.ready.push_front(slot);
            }
            if blocked.is_empty() {
                self.blocked.remove(&mailbox);
            }
        }
    }

    fn is_idle(&self) -> bool {
        self.in_flight == 0
            && self.ready.is_empty()
            && self.blocked.is_empty()
            && self.breaker.is_fresh()
    }
}

#[cfg(test)]
mod tests {
    use tidings_domain::{Timestamp, entropy::SeededEntropy};
    use ulid::Ulid;

    use super::*;
    use crate::enrich::{
        backlog::{Backlog, Work},
        tests::queued,
    };

    fn lanes(fetches: usize, per_mailbox: usize) -> Lanes {
        Lanes::new(
            Limits {
                fetches,
                per_mailbox,
            },
            Arc::new(SeededEntropy::new(1)),
        )
    }

    fn slot(seq: i64, connection: u128, mailbox: Option<u64>) -> Slot {
        let resource = format!("users/u/events/{seq}");
        let mut backlog = Backlog::new(1);
        let turn = backlog.push(
            Work::new(queued(seq, &resource, 0)),
            Timestamp::from_millis(0),
        );
        Slot {
            turn: turn.unwrap(),
            connection: ConnectionId::from(Ulid(connection)),
            mailbox,
        }
    }

    fn all(lanes: &mut Lanes, now: u64) -> Vec<Slot> {
        std::iter::from_fn(|| lanes.next(Duration::from_secs(now))).collect()
    }

    #[test]
    fn a_mailbox_has_its_limit_and_others_go_past_it() {
        let mut lanes = lanes(100, 4);
        for seq in 0..6 {
            lanes.push(slot(seq, 1, Some(7)), Duration::ZERO);
        }
        lanes.push(slot(10, 1, Some(8)), Duration::ZERO);
        lanes.push(slot(11, 1, None), Duration::ZERO);
        let asking = all(&mut lanes, 0);
        let seqs: Vec<i64> = asking.iter().map(|slot| slot.turn.seq.0).collect();
        assert_eq!(seqs, [0, 1, 2, 3, 10, 11]);
        lanes.finished(&asking[2], Contact::Answered, Duration::ZERO);
        let next = all(&mut lanes, 0);
        assert_eq!(next.len(), 1);
        assert_eq!(next[0].turn.seq, Seq(4));
    }

    #[test]
    fn a_busy_tenant_has_half_and_turns_are_shared() {
        let mut lanes = lanes(8, 4);
        for seq in 0..20 {
            lanes.push(slot(seq, 1, None), Duration::ZERO);
        }
        lanes.push(slot(100, 2, None), Duration::ZERO);
        let asking = all(&mut lanes, 0);
        let of = |connection| {
            let id = ConnectionId::from(Ulid(connection));
            asking.iter().filter(|slot| slot.connection == id).count()
        };
        assert_eq!((of(1), of(2)), (4, 1));
    }

    #[test]
    fn a_failing_tenant_is_left_alone_but_for_one_probe() {
        let mut lanes = lanes(10, 4);
        for seq in 0..20 {
            lanes.push(slot(seq, 1, None), Duration::ZERO);
        }
        let asking = all(&mut lanes, 0);
        assert_eq!(asking.len(), 5);
        for slot in &asking[..4] {
            assert!(
                lanes
                    .finished(slot, Contact::Failed(None), Duration::ZERO)
                    .is_empty()
            );
        }
        let waiting = lanes.finished(&asking[4], Contact::Failed(None), Duration::ZERO);
        assert_eq!(waiting.len(), 15);
        assert!(all(&mut lanes, 0).is_empty());
        assert!(lanes.push(slot(30, 1, None), Duration::ZERO));
        let probe_at = lanes.next_probe().unwrap();
        let probes: Vec<Slot> = std::iter::from_fn(|| lanes.next(probe_at)).collect();
        assert_eq!(probes.len(), 1);
        assert_eq!(lanes.next_probe(), None);
        lanes.finished(&probes[0], Contact::Answered, probe_at);
        assert_eq!(std::iter::from_fn(|| lanes.next(probe_at)).count(), 5);
    }

    #[test]
    fn what_waits_can_be_forgotten_and_what_asks_still_counts() {
        let mut lanes = lanes(8, 2);
        for seq in 0..6 {
            lanes.push(slot(seq, 1, Some(7)), Duration::ZERO);
        }
        lanes.push(slot(10, 2, None), Duration::ZERO);
        let first = lanes.next(Duration::ZERO).unwrap();
        lanes.forget_waiting();
        assert!(all(&mut lanes, 0).is_empty());
        for seq in [1, 2] {
            lanes.push(slot(seq, 1, Some(7)), Duration::ZERO);
        }
        // One of its two places is taken.
        assert_eq!(all(&mut lanes, 0).len(), 1);
        lanes.finished(&first, Contact::Answered, Duration::ZERO);
        assert_eq!(all(&mut lanes, 0).len(), 1);
        assert_eq!(lanes.in_flight(), 2);
    }

    #[test]
    fn what_is_done_leaves_nothing_behind() {
        let mut lanes = lanes(10, 4);
        lanes.push(slot(1, 1, Some(1)), Duration::ZERO);
        let asking = all(&mut lanes, 0);
        lanes.finished(&asking[0], Contact::Answered, Duration::ZERO);
        assert!(lanes.by_connection.is_empty());
    }
}
