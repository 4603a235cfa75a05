//! What is known of one webhook's deliveries.

use std::collections::{HashSet, VecDeque};

use tidings_domain::{Timestamp, ids::DeliveryId};
use tidings_storage::record::DueDelivery;

/// How many deliveries of one webhook are kept in memory at most.
const MOST_AHEAD: usize = 256;

/// How many are read at first. It doubles while there are more, so that a receiver that takes nothing fills no memory.
const FIRST_AHEAD: usize = 16;

/// How many bytes of bodies of one webhook are worth reading ahead.
const BYTES_AHEAD: usize = 4 << 20;

/// The store cuts answers off at 16 MiB of bodies: one with this much may be cut off.
const PERHAPS_CUT: usize = 8 << 20;

/// How many attempts of one webhook are under way at most for each that may be sent at a time: the others were answered,
/// and their results are on their way into the store. A receiver need not wait for our disk, and results that share a
/// commit make it cheap; but each of them is sent again after a crash.
const UNDER_WAY_PER_PLACE: usize = 4;

/// How many successes running let a slowed webhook have one more attempt at a time.
const SUCCESSES_TO_GROW: usize = 20;

/// One webhook's queue, and what the store may still have.
#[derive(Debug)]
pub(super) struct Lane {
    /// Due, in memory, the longest due first.
    pub(super) ready: VecDeque<DueDelivery>,
    /// Attempts whose answer has not come.
    sending: usize,
    /// Attempts whose result is on its way into the store.
    recording: usize,
    most_under_way: usize,
    /// Whether it stands in the round of those that can start an attempt.
    pub(super) in_turn: bool,
    /// Where a look into the store stands.
    pub(super) look: Look,
    /// The earliest time at which something in the store becomes due, as far as that is known.
    pub(super) next_due: Option<Timestamp>,
    /// Whether the store may know an earlier one.
    pub(super) next_due_unknown: bool,
    /// Looks that failed, running.
    pub(super) failed_looks: u32,
    /// After a failed look: none before the timer, whatever is hinted.
    pub(super) paused: bool,
    /// All in memory: ready, in flight, or set aside.
    known: HashSet<DeliveryId>,
    /// What ended while a look was under way: its answer may show them as they were before.
    ended_meanwhile: Vec<DeliveryId>,
    supply: Supply,
    ahead: usize,
    /// How many attempts it may have at a time, for now.
    limit: usize,
    successes: usize,
}

/// Where a look into the store stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// None is under way.
    None,
    /// It waits for its turn.
    Queued,
    /// It is under way.
    UnderWay {
        /// Something may have become due since it began.
        again: bool,
    },
}

/// Whether the store may have more that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Supply {
    More,
    /// Its answer was cut off before it came to anything new: what is in memory must be done first.
    MoreAfterAnAttempt,
    None,
}

/// How a receiver bears what is sent to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bearing {
    /// It took it.
    Well,
    /// It refused it for a reason that fewer attempts at a time do not change.
    Neutral,
    /// It was too slow, or said that this is too much.
    Strained,
}

impl Lane {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            ready: VecDeque::new(),
            sending: 0,
            recording: 0,
            most_under_way: limit * UNDER_WAY_PER_PLACE,
            in_turn: false,
            look: Look::None,
            next_due: None,
            next_due_unknown: true,
            failed_looks: 0,
            paused: false,
            known: HashSet::new(),
            ended_meanwhile: Vec::new(),
            supply: Supply::None,
            ahead: FIRST_AHEAD,
            limit,
            successes: 0,
        }
    }

    pub(super) fn can_start(&self) -> bool {
        self.sending < self.limit
            && self.sending + self.recording < self.most_under_way
            && !self.ready.is_empty()
    }

    /// The next delivery; its attempt begins.
    pub(super) fn start(&mut self) -> Option<DueDelivery> {
        let delivery = self.ready.pop_front()?;
        self.sending += 1;
        Some(delivery)
    }

    /// The answer of an attempt has come, or will not: another may be sent while its result is recorded.
    pub(super) fn answered(&mut self) {
        self.sending -= 1;
        self.recording += 1;
    }

    /// Whether it is time to read more: before the last ones are under way, so that the receiver never waits for a look.
    pub(super) fn wants_look(&self) -> bool {
        self.look == Look::None
            && self.supply == Supply::More
            && !self.paused
            && self.ready.len() <= self.limit.max(self.ahead / 4)
    }

    /// Something in the store may be due.
    pub(super) fn expect_more(&mut self) {
        if let Look::UnderWay { again } = &mut self.look {
            *again = true;
        } else {
            self.supply = Supply::More;
        }
    }

    /// How many due deliveries to read: what is in memory comes first in every answer.
    pub(super) fn begin_look(&mut self) -> usize {
        self.look = Look::UnderWay { again: false };
        self.supply = Supply::None;
        self.known.len() + self.ahead.saturating_sub(self.ready.len()).max(1)
    }

    /// Takes what a look for `limit` deliveries brought; the number of new ones.
    pub(super) fn end_look(&mut self, found: Vec<DueDelivery>, limit: usize) -> usize {
        let bytes: usize = found.iter().map(|delivery| delivery.body.len()).sum();
        let full = found.len() >= limit;
        let average = bytes / found.len().max(1);
        let before = self.ready.len();
        for delivery in found {
            if !self.ended_meanwhile.contains(&delivery.id) && self.known.insert(delivery.id) {
                self.ready.push_back(delivery);
            }
        }
        let new = self.ready.len() - before;
        let cut = !full && bytes >= PERHAPS_CUT;
        self.supply = if self.end_looking() || full || (cut && new > 0) {
            Supply::More
        } else if cut {
            Supply::MoreAfterAnAttempt
        } else {
            Supply::None
        };
        let worth = (BYTES_AHEAD / average.max(1)).clamp(1, MOST_AHEAD);
        self.ahead = if full { self.ahead * 2 } else { self.ahead }.min(worth);
        self.failed_looks = 0;
        new
    }

    /// A look brought nothing but an error.
    pub(super) fn fail_look(&mut self) {
        self.end_looking();
        self.supply = Supply::More;
        self.paused = true;
        self.failed_looks += 1;
    }

    /// Whether something may have become due meanwhile.
    fn end_looking(&mut self) -> bool {
        self.ended_meanwhile.clear();
        std::mem::replace(&mut self.look, Look::None) == Look::UnderWay { again: true }
    }

    /// An attempt of a delivery is over, and what came of it is in the store.
    pub(super) fn end_attempt(&mut self, id: DeliveryId) {
        self.recording -= 1;
        self.known.remove(&id);
        if matches!(self.look, Look::UnderWay { .. }) {
            self.ended_meanwhile.push(id);
        }
        if self.supply == Supply::MoreAfterAnAttempt {
            self.supply = Supply::More;
        }
    }

    /// An attempt of a delivery is over, but that cannot be stored: the store will show it as due for ever.
    pub(super) fn set_aside(&mut self) {
        self.recording -= 1;
    }

    /// Forgets what is ready: it stays in the store, and so does what becomes due later. The number of the former.
    pub(super) fn forget_ready(&mut self) -> usize {
        for delivery in &self.ready {
            self.known.remove(&delivery.id);
        }
        let forgotten = self.ready.len();
        self.ready.clear();
        self.supply = Supply::None;
        self.next_due_unknown = true;
        forgotten
    }

    /// Whether nothing would be lost with it but what can be asked for again.
    pub(super) fn is_idle(&self) -> bool {
        self.known.is_empty() && self.look == Look::None && !self.in_turn
    }

    /// Halves the number of attempts at a time for a strained receiver, and gives back one after some successes.
    pub(super) fn bear(&mut self, bearing: Bearing, most: usize) {
        match bearing {
            Bearing::Strained => {
                self.limit = (self.limit / 2).max(1);
                self.successes = 0;
            }
            Bearing::Well if self.limit < most => {
                self.successes += 1;
                if self.successes >= SUCCESSES_TO_GROW {
                    self.successes = 0;
                    self.limit += 1;
                }
            }
            Bearing::Well | Bearing::Neutral => {}
        }
    }

    /// Gives memory back when a burst is over.
    pub(super) fn shrink(&mut self) {
        let large = self.known.capacity() > FIRST_AHEAD * 4;
        if large && self.known.is_empty() && self.look == Look::None {
            self.known = HashSet::new();
            self.ready = VecDeque::new();
            self.ended_meanwhile = Vec::new();
            self.ahead = FIRST_AHEAD;
        }
    }
}
