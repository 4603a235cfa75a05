//! Whose turn it is to ask Graph.
//!
//! One lane a connection, handed turns round-robin, so that a busy or silent tenant holds up no other: it has half of
//! all calls at most. Within a lane a mailbox has its own limit, since Graph has one.
//!
//! An item that finds a free place has a call of its own, at once. Where more wait than there are places, those that wait
//! share them: nothing waits for company, and what waits anyway goes as one.

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

/// How many calls there may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) calls: usize,
    /// How many items of a mailbox may be asked for at one time.
    pub(super) per_mailbox: usize,
    /// How many items a call may be for.
    pub(super) per_call: usize,
}

/// An item that wants to ask Graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) turn: Turn,
    pub(super) connection: ConnectionId,
    /// The mailbox it is in, as a number.
    pub(super) mailbox: Option<u64>,
}

/// The number of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct CallNumber(pub(super) u64);

/// Items that ask as one.
#[derive(Debug)]
pub(super) struct Together {
    pub(super) number: CallNumber,
    /// At least one; all of one connection.
    pub(super) slots: Vec<Slot>,
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
    calls: usize,
    items: usize,
    last_number: u64,
}

#[derive(Debug, Default)]
struct Lane {
    /// What may go: of each mailbox no more than it has room for.
    ready: VecDeque<Slot>,
    /// What waits for room in its mailbox.
    blocked: HashMap<u64, VecDeque<Slot>>,
    blocked_items: usize,
    /// How many items of a mailbox are ready or under way.
    claimed: HashMap<u64, usize>,
    /// The calls under way, and how many items of each have not ended.
    calls: HashMap<CallNumber, usize>,
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
            calls: 0,
            items: 0,
            last_number: 0,
        }
    }

    /// How many items are being asked for.
    pub(super) fn in_flight(&self) -> usize {
        self.items
    }

    /// Whether more calls could be made than there are.
    pub(super) fn has_room(&self) -> bool {
        self.calls < self.limits.calls
    }

    /// Queues an item; `true` if it will not have its turn soon.
    pub(super) fn push(&mut self, slot: Slot, now: Duration) -> bool {
        let lane = self.by_connection.entry(slot.connection).or_default();
        lane.push(slot, self.limits.per_mailbox);
        let shut = lane.breaker.shut_until().is_some_and(|until| now < until);
        let far = shut || lane.waiting() > DATA_PER_LANE;
        self.rotate(slot.connection, now);
        far
    }

    /// The next items that may ask now. They count as asking until [`Lanes::finished`].
    pub(super) fn next(&mut self, now: Duration) -> Option<Together> {
        while let Some(Reverse((until, connection))) = self.shut.peek().copied()
            && until <= now
        {
            self.shut.pop();
            self.rotate(connection, now);
        }
        while self.has_room() {
            let connection = self.rotation.pop_front()?;
            let most = self.lane_calls();
            let Some(lane) = self.by_connection.get_mut(&connection) else {
                continue;
            };
            lane.in_rotation = false;
            // Its breaker may have shut since it was put here.
            if !lane.may_ask(most, now) {
                continue;
            }
            let free = (most - lane.calls.len()).min(self.limits.calls - self.calls);
            let share = lane.share(free, self.limits.per_call);
            let slots: Vec<Slot> = lane.ready.drain(..share).collect();
            if slots.is_empty() {
                continue;
            }
            self.last_number += 1;
            let number = CallNumber(self.last_number);
            lane.calls.insert(number, slots.len());
            self.calls += 1;
            self.items += slots.len();
            self.rotate(connection, now);
            return Some(Together { number, slots });
        }
        None
    }

    /// When the next shut lane may be probed. After [`Lanes::next`], always ahead.
    pub(super) fn next_probe(&self) -> Option<Duration> {
        self.shut.peek().map(|Reverse((until, _))| *until)
    }

    /// An item has asked. If that shut its lane, gives what waits in it: its data need not wait with it.
    pub(super) fn finished(
        &mut self,
        slot: &Slot,
        number: CallNumber,
        contact: Contact,
        now: Duration,
    ) -> Vec<Seq> {
        self.items -= 1;
        let Some(lane) = self.by_connection.get_mut(&slot.connection) else {
            return Vec::new();
        };
        if lane.release(slot, number, self.limits.per_mailbox) {
            self.calls -= 1;
        }
        let shut = lane.breaker.note(contact, number, now, &*self.entropy);
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
            lane.forget_waiting();
            !lane.is_idle()
        });
    }

    /// Half of all calls, but never less than one mailbox may have.
    fn lane_calls(&self) -> usize {
        let Limits {
            calls, per_mailbox, ..
        } = self.limits;
        (calls / 2).max(per_mailbox).min(calls)
    }

    /// Puts a lane into the rotation if it has something to ask and may.
    fn rotate(&mut self, connection: ConnectionId, now: Duration) {
        let most = self.lane_calls();
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
    fn waiting(&self) -> usize {
        self.ready.len() + self.blocked_items
    }

    /// Takes in an item, or puts it aside until its mailbox has room.
    fn push(&mut self, slot: Slot, per_mailbox: usize) {
        if let Some(mailbox) = slot.mailbox {
            let claimed = self.claimed.entry(mailbox).or_default();
            if *claimed >= per_mailbox {
                self.blocked.entry(mailbox).or_default().push_back(slot);
                self.blocked_items += 1;
                return;
            }
            *claimed += 1;
        }
        self.ready.push_back(slot);
    }

    /// Whether one more call may be made: beside the limit, a shut breaker lets one probe through when it is time.
    fn may_ask(&self, most: usize, now: Duration) -> bool {
        match self.breaker.shut_until() {
            None => self.calls.len() < most,
            Some(until) => until <= now && self.calls.is_empty(),
        }
    }

    /// How many items the next call is for, when so many calls may be made: as many as have to share a place for all to go
    /// now. A probe is for one.
    fn share(&self, free: usize, per_call: usize) -> usize {
        let most = match self.breaker.shut_until() {
            None => per_call.max(1),
            Some(_) => 1,
        };
        let waiting = self.ready.len();
        waiting.div_ceil(free.max(1)).min(most).min(waiting)
    }

    /// An item has asked; `true` if it was the last of its call.
    fn release(&mut self, slot: &Slot, number: CallNumber, per_mailbox: usize) -> bool {
        if let Some(mailbox) = slot.mailbox {
            self.unclaim(mailbox);
            self.unblock(mailbox, per_mailbox);
        }
        let Some(left) = self.calls.get_mut(&number) else {
            return false;
        };
        *left -= 1;
        if *left > 0 {
            return false;
        }
        self.calls.remove(&number);
        true
    }

    fn unclaim(&mut self, mailbox: u64) {
        if let Some(claimed) = self.claimed.get_mut(&mailbox) {
            *claimed -= 1;
            if *claimed == 0 {
                self.claimed.remove(&mailbox);
            }
        }
    }

    /// Lets as many go as there is room for now, before those that came later.
    fn unblock(&mut self, mailbox: u64, per_mailbox: usize) {
        let Some(blocked) = self.blocked.get_mut(&mailbox) else {
            return;
        };
        let claimed = self.claimed.entry(mailbox).or_default();
        let room = per_mailbox.saturating_sub(*claimed).min(blocked.len());
        *claimed += room;
        self.blocked_items -= room;
        for slot in blocked.drain(..room).rev() {
            self.ready.push_front(slot);
        }
        if blocked.is_empty() {
            self.blocked.remove(&mailbox);
        }
        if self.claimed.get(&mailbox) == Some(&0) {
            self.claimed.remove(&mailbox);
        }
    }

    fn forget_waiting(&mut self) {
        for slot in std::mem::take(&mut self.ready) {
            if let Some(mailbox) = slot.mailbox {
                self.unclaim(mailbox);
            }
        }
        self.blocked.clear();
        self.blocked_items = 0;
        self.in_rotation = false;
    }

    fn is_idle(&self) -> bool {
        self.calls.is_empty()
            && self.ready.is_empty()
            && self.blocked.is_empty()
            && self.breaker.is_fresh()
    }
}

#[cfg(test)]
mod tests;
