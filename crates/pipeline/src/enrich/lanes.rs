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

use tidings_domain::{
    Entropy,
    ids::{ConnectionId, IntegrationId},
};
use tidings_storage::record::Seq;

use super::{
    backlog::Turn,
    breaker::{Breaker, Contact, Whose},
    pace::{self, Pace},
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
    pub(super) integration: IntegrationId,
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
    /// The lanes that wait, or of which a mailbox does, by the time.
    wakes: BinaryHeap<Reverse<(Duration, ConnectionId, Option<u64>)>>,
    /// The apps that Graph wants to leave it alone, and until when.
    apps: HashMap<IntegrationId, Duration>,
    /// With so many lanes those at rest are forgotten.
    forget_at: usize,
    calls: usize,
    items: usize,
    last_number: u64,
}

#[derive(Debug, Default)]
struct Lane {
    /// Whose it is, once it has had an item.
    integration: Option<IntegrationId>,
    /// What may go: of each mailbox no more than it has room for.
    ready: VecDeque<Slot>,
    /// What waits for room in its mailbox.
    blocked: HashMap<u64, VecDeque<Slot>>,
    blocked_items: usize,
    /// How many items of a mailbox are ready or under way.
    claimed: HashMap<u64, usize>,
    /// The calls under way, and how many items of each have not ended.
    calls: HashMap<CallNumber, usize>,
    /// The mailboxes that Graph wants left alone, and until when.
    resting: HashMap<u64, Duration>,
    breaker: Breaker,
    pace: Pace,
    in_rotation: bool,
    /// When it is looked at again.
    wakes_at: Option<Duration>,
}

/// A lane keeps the data of so many waiting items; more would only push out those of others.
const DATA_PER_LANE: usize = 256;
/// So many lanes are remembered, with what is known of their limits, before those at rest are forgotten.
const REMEMBERED: usize = 256;

impl Lanes {
    pub(super) fn new(limits: Limits, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            limits,
            entropy,
            by_connection: HashMap::new(),
            rotation: VecDeque::new(),
            wakes: BinaryHeap::new(),
            apps: HashMap::new(),
            forget_at: REMEMBERED,
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
        if self.by_connection.len() >= self.forget_at {
            self.by_connection.retain(|_, lane| !lane.is_idle(now));
            self.apps.retain(|_, until| now < *until);
            self.forget_at = REMEMBERED.max(self.by_connection.len() * 2);
        }
        let lane = self.by_connection.entry(slot.connection).or_default();
        if let Some(&until) = self.apps.get(&slot.integration) {
            lane.pace.pause(until);
        }
        lane.push(slot, self.limits.per_mailbox, now);
        let shut = lane.breaker.shut_until().is_some_and(|until| now < until);
        let far = shut || lane.waiting() > DATA_PER_LANE;
        self.rotate(slot.connection, now);
        far
    }

    /// The next items that may ask now. They count as asking until [`Lanes::finished`].
    pub(super) fn next(&mut self, now: Duration) -> Option<Together> {
        while let Some(Reverse((until, connection, mailbox))) = self.wakes.peek().copied()
            && until <= now
        {
            self.wakes.pop();
            if let Some(lane) = self.by_connection.get_mut(&connection) {
                match mailbox {
                    Some(mailbox) => lane.wake(mailbox, self.limits.per_mailbox, now),
                    None => lane.wakes_at = lane.wakes_at.filter(|&at| at != until),
                }
            }
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
            let room = if lane.may_ask(most, now) {
                lane.pace.room(now)
            } else {
                0
            };
            if room == 0 {
                self.rotate(connection, now);
                continue;
            }
            let free = (most - lane.calls.len()).min(self.limits.calls - self.calls);
            let share = lane.share(free, self.limits.per_call).min(room);
            let slots: Vec<Slot> = lane.ready.drain(..share).collect();
            if slots.is_empty() {
                continue;
            }
            self.last_number += 1;
            let number = CallNumber(self.last_number);
            lane.calls.insert(number, slots.len());
            lane.pace.asked(slots.len(), now);
            self.calls += 1;
            self.items += slots.len();
            self.rotate(connection, now);
            return Some(Together { number, slots });
        }
        None
    }

    /// When the next of those that wait may be asked. After [`Lanes::next`], always ahead.
    pub(super) fn next_wake(&self) -> Option<Duration> {
        self.wakes.peek().map(|Reverse((until, ..))| *until)
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
        if lane.release(slot, number, self.limits.per_mailbox, now) {
            self.calls -= 1;
        }
        match contact {
            Contact::Near(percent) => lane.pace.near(percent, now),
            Contact::Throttled(whose, asked) => self.throttled(slot, whose, asked, now),
            Contact::Answered | Contact::NotAsked | Contact::Failed(_) | Contact::Broken => {}
        }
        let Some(lane) = self.by_connection.get_mut(&slot.connection) else {
            return Vec::new();
        };
        let shut = lane.breaker.note(contact, number, now, &*self.entropy);
        let mut waiting = Vec::new();
        if shut {
            let all = lane.ready.iter().chain(lane.blocked.values().flatten());
            waiting.extend(all.map(|slot| slot.turn.seq));
        }
        self.rotate(slot.connection, now);
        waiting
    }

    /// Graph refuses an item because of a limit.
    fn throttled(&mut self, slot: &Slot, whose: Whose, asked: Option<Duration>, now: Duration) {
        let until = now + pace::rest(asked);
        match (whose, slot.mailbox) {
            (Whose::App, _) => {
                self.apps.insert(slot.integration, until);
                let lanes = self.by_connection.iter_mut();
                for (&connection, lane) in lanes {
                    if lane.integration == Some(slot.integration) {
                        lane.pace.pause(until);
                        // In the rotation it would be looked at in vain.
                        self.wakes.push(Reverse((until, connection, None)));
                    }
                }
            }
            (Whose::Mailbox, Some(mailbox)) => {
                if let Some(lane) = self.by_connection.get_mut(&slot.connection) {
                    lane.leave_alone(mailbox, until);
                    self.wakes
                        .push(Reverse((until, slot.connection, Some(mailbox))));
                }
            }
            (Whose::Mailbox | Whose::Tenant, _) => {
                if let Some(lane) = self.by_connection.get_mut(&slot.connection) {
                    lane.pace.refused(until, now);
                }
            }
        }
    }

    /// Forgets the items that wait. Those that ask count as before, and so does what is known of tenants.
    pub(super) fn forget_waiting(&mut self) {
        self.rotation.clear();
        self.by_connection
            .values_mut()
            .for_each(Lane::forget_waiting);
    }

    /// Half of all calls, but never less than one mailbox may have.
    fn lane_calls(&self) -> usize {
        let Limits {
            calls, per_mailbox, ..
        } = self.limits;
        (calls / 2).max(per_mailbox).min(calls)
    }

    /// Puts a lane into the rotation if it has something to ask and may; or sees to it that it is looked at when it may.
    fn rotate(&mut self, connection: ConnectionId, now: Duration) {
        let most = self.lane_calls();
        let Some(lane) = self.by_connection.get_mut(&connection) else {
            return;
        };
        if lane.in_rotation || lane.ready.is_empty() {
            return;
        }
        let waits_until = if !lane.may_ask(most, now) {
            // Otherwise it waits for one of its calls to end.
            lane.breaker.shut_until().filter(|&until| now < until)
        } else if lane.pace.room(now) == 0 {
            Some(lane.pace.next(now))
        } else {
            lane.in_rotation = true;
            self.rotation.push_back(connection);
            return;
        };
        if let Some(until) = waits_until
            && lane.wakes_at.is_none_or(|at| until < at)
        {
            lane.wakes_at = Some(until);
            self.wakes.push(Reverse((until, connection, None)));
        }
    }
}

impl Lane {
    fn waiting(&self) -> usize {
        self.ready.len() + self.blocked_items
    }

    /// Takes in an item, or puts it aside until its mailbox has room.
    fn push(&mut self, slot: Slot, per_mailbox: usize, now: Duration) {
        self.integration = Some(slot.integration);
        if let Some(mailbox) = slot.mailbox {
            let rests = self.rests(mailbox, now);
            let claimed = self.claimed.entry(mailbox).or_default();
            if rests || *claimed >= per_mailbox {
                if *claimed == 0 {
                    self.claimed.remove(&mailbox);
                }
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
    fn release(
        &mut self,
        slot: &Slot,
        number: CallNumber,
        per_mailbox: usize,
        now: Duration,
    ) -> bool {
        if let Some(mailbox) = slot.mailbox {
            self.unclaim(mailbox);
            if !self.rests(mailbox, now) {
                self.unblock(mailbox, per_mailbox);
            }
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

    fn rests(&self, mailbox: u64, now: Duration) -> bool {
        !self.resting.is_empty() && self.resting.get(&mailbox).is_some_and(|&until| now < until)
    }

    /// Graph wants a mailbox left alone until then: what is ready for it waits too.
    fn leave_alone(&mut self, mailbox: u64, until: Duration) {
        let known = self.resting.entry(mailbox).or_default();
        *known = until.max(*known);
        let (of_it, others): (VecDeque<Slot>, _) = std::mem::take(&mut self.ready)
            .into_iter()
            .partition(|slot| slot.mailbox == Some(mailbox));
        self.ready = others;
        if of_it.is_empty() {
            return;
        }
        self.blocked_items += of_it.len();
        for _ in &of_it {
            self.unclaim(mailbox);
        }
        let blocked = self.blocked.entry(mailbox).or_default();
        for slot in of_it.into_iter().rev() {
            blocked.push_front(slot);
        }
    }

    /// The time of a mailbox that was left alone may have come.
    fn wake(&mut self, mailbox: u64, per_mailbox: usize, now: Duration) {
        if !self.rests(mailbox, now) {
            self.resting.remove(&mailbox);
            self.unblock(mailbox, per_mailbox);
        }
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

    fn is_idle(&self, now: Duration) -> bool {
        self.calls.is_empty()
            && self.ready.is_empty()
            && self.blocked.is_empty()
            && self.resting.is_empty()
            && self.breaker.is_fresh()
            && self.pace.is_fresh(now)
    }
}

#[cfg(test)]
mod tests;
