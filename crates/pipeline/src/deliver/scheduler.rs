//! Whose delivery goes next. Only decides: it neither waits, nor reads, nor sends.
//!
//! Each webhook has a lane: a queue of due deliveries, read ahead from the store, and a limit of attempts at a time.
//! Lanes that can start an attempt take turns for the places under the global limit. The store is the queue: memory
//! holds the beginning of it, and what is in memory is filtered out of what the store shows as due.

use std::collections::{BTreeSet, HashMap, VecDeque};

use tidings_domain::{
    Timestamp,
    ids::{DeliveryId, WebhookId},
};
use tidings_storage::{Lease, record::DueDelivery};

pub(super) use super::lane::Bearing;
use super::lane::{Lane, Look};

/// How many attempts may be under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// In all, until their results are in the store.
    pub(super) global: usize,
    /// To one webhook, until they are answered.
    pub(super) per_webhook: usize,
}

/// All lanes.
#[derive(Debug)]
pub(super) struct Scheduler {
    limits: Limits,
    lanes: HashMap<WebhookId, Lane>,
    /// Lanes that can start an attempt, each once.
    turns: VecDeque<WebhookId>,
    /// Lanes that want to look into the store, each once.
    looks: VecDeque<WebhookId>,
    /// When something in the store becomes due, by lane.
    timers: BTreeSet<(Timestamp, WebhookId)>,
    in_flight: usize,
    ready: usize,
}

/// A look into the store, to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WantedLook {
    /// For whose deliveries.
    pub(super) webhook: WebhookId,
    /// For how many.
    pub(super) limit: usize,
    /// Whether to ask, too, when the next one becomes due, if there are fewer.
    pub(super) next_due: bool,
}

/// When the next delivery of a webhook becomes due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NextDue {
    /// So the store says.
    Asked(Option<Timestamp>),
    /// It was not asked: nobody wanted to know, or there are more that are due already.
    Unasked,
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The delivery is over, or its webhook holds it.
    Finished,
    /// The webhook is another node's now, or ours under another lease: what came of the attempt was not taken.
    Lost,
    /// It is due again then.
    Retry(Timestamp),
    /// The store cannot take the result: it is not to be sent again as long as this process lives.
    SetAside,
}

impl Scheduler {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            lanes: HashMap::new(),
            turns: VecDeque::new(),
            looks: VecDeque::new(),
            timers: BTreeSet::new(),
            in_flight: 0,
            ready: 0,
        }
    }

    /// Attempts under way, until their results are in the store.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Deliveries in memory that wait for their turn.
    pub(super) fn ready(&self) -> usize {
        self.ready
    }

    /// This webhook may have something that is due.
    pub(super) fn hinted(&mut self, webhook: WebhookId) {
        self.lane(webhook).expect_more();
        self.settle(webhook);
    }

    /// The earliest pending delivery of this webhook is due then.
    pub(super) fn earliest(&mut self, webhook: WebhookId, due: Timestamp, now: Timestamp) {
        if due > now {
            self.set_timer(webhook, due);
        } else {
            let lane = self.lane(webhook);
            lane.expect_more();
            lane.next_due_unknown = true;
        }
        self.settle(webhook);
    }

    /// Time has come as far as `now`.
    pub(super) fn tick(&mut self, now: Timestamp) {
        while let Some(&(due, webhook)) = self.timers.first() {
            if due > now {
                return;
            }
            self.timers.pop_first();
            let lane = self.lane(webhook);
            lane.next_due = None;
            lane.next_due_unknown = true;
            lane.paused = false;
            lane.expect_more();
            self.settle(webhook);
        }
    }

    /// When [`Scheduler::tick`] is needed next.
    pub(super) fn next_tick(&self) -> Option<Timestamp> {
        self.timers.first().map(|&(due, _)| due)
    }

    /// The next look to make.
    pub(super) fn next_look(&mut self) -> Option<WantedLook> {
        let webhook = self.looks.pop_front()?;
        let lane = self.lane(webhook);
        Some(WantedLook {
            webhook,
            limit: lane.begin_look(),
            next_due: lane.next_due_unknown,
        })
    }

    /// A look brought these.
    pub(super) fn looked(&mut self, look: WantedLook, found: Vec<DueDelivery>, next_due: NextDue) {
        let lane = self.lane(look.webhook);
        self.ready += lane.end_look(found, look.limit);
        if let NextDue::Asked(next_due) = next_due {
            self.lane(look.webhook).next_due_unknown = false;
            if let Some(due) = next_due {
                self.set_timer(look.webhook, due);
            }
        }
        self.settle(look.webhook);
    }

    /// A look failed; `again` says when to try it again after so many failures running.
    pub(super) fn look_failed(&mut self, look: WantedLook, again: impl FnOnce(u32) -> Timestamp) {
        let lane = self.lane(look.webhook);
        lane.fail_look();
        let at = again(lane.failed_looks);
        self.set_timer(look.webhook, at);
        self.settle(look.webhook);
    }

    /// The next attempt to make; it counts as under way from here on.
    pub(super) fn next_start(&mut self) -> Option<DueDelivery> {
        if self.in_flight >= self.limits.global {
            return None;
        }
        loop {
            let webhook = self.turns.pop_front()?;
            let lane = self.lane(webhook);
            lane.in_turn = false;
            if !lane.can_start() {
                continue;
            }
            let delivery = lane.start()?;
            self.in_flight += 1;
            self.ready -= 1;
            self.settle(webhook);
            return Some(delivery);
        }
    }

    /// The delivery that was started last is not sent after all, and its webhook takes nothing now: what is in memory of
    /// it stays in the store only.
    pub(super) fn hold(&mut self, webhook: WebhookId, delivery: DeliveryId) {
        self.answered(webhook, Bearing::Neutral);
        self.ended(webhook, delivery, End::Finished);
        let forgotten = self.lane(webhook).forget_ready();
        self.ready -= forgotten;
    }

    /// The delivery that was started last is another node's, and with it the webhook; or it is to be read again under
    /// another lease. Nothing of this webhook is looked for before `again`.
    pub(super) fn not_ours(&mut self, webhook: WebhookId, delivery: DeliveryId, again: Timestamp) {
        self.answered(webhook, Bearing::Neutral);
        self.lost(webhook, delivery, Some(again));
    }

    /// The same, heard when the result of its attempt was to be recorded; without `again` it may be looked for at once.
    pub(super) fn lost(
        &mut self,
        webhook: WebhookId,
        delivery: DeliveryId,
        again: Option<Timestamp>,
    ) {
        let lane = self.lane(webhook);
        let forgotten = lane.forget_ready();
        if again.is_some() {
            lane.paused = true;
        } else {
            lane.expect_more();
        }
        self.ready -= forgotten;
        if let Some(again) = again {
            self.set_timer(webhook, again);
        }
        self.ended(webhook, delivery, End::Lost);
    }

    /// Other webhooks are ours than before: forgets what is ready for those that are not `held` any more, or was read
    /// under a lease that does not `hold`. The rest of what is due has to be told of anew.
    pub(super) fn keep(&mut self, held: impl Fn(WebhookId) -> bool, holds: impl Fn(Lease) -> bool) {
        let webhooks: Vec<WebhookId> = self.lanes.keys().copied().collect();
        for webhook in webhooks {
            let lane = self.lane(webhook);
            lane.paused = false;
            let (is_held, mut forgotten) = (held(webhook), 0);
            if !is_held || lane.ready.iter().any(|delivery| !holds(delivery.lease)) {
                forgotten = lane.forget_ready();
            }
            let timer = if is_held { None } else { lane.next_due.take() };
            if let Some(due) = timer {
                self.timers.remove(&(due, webhook));
            }
            self.ready -= forgotten;
            self.settle(webhook);
            if !is_held && self.lanes.get(&webhook).is_some_and(Lane::is_idle) {
                self.lanes.remove(&webhook);
            }
        }
    }

    /// An attempt was answered, or came to nothing: its receiver may be sent another while the result is recorded.
    pub(super) fn answered(&mut self, webhook: WebhookId, bearing: Bearing) {
        let most = self.limits.per_webhook;
        let lane = self.lane(webhook);
        lane.answered();
        lane.bear(bearing, most);
        self.settle(webhook);
    }

    /// An attempt is over: its result is in the store, or never will be.
    pub(super) fn ended(&mut self, webhook: WebhookId, delivery: DeliveryId, end: End) {
        let lane = self.lane(webhook);
        match end {
            End::Finished | End::Lost | End::Retry(_) => lane.end_attempt(delivery),
            End::SetAside => lane.set_aside(),
        }
        self.in_flight -= 1;
        if let End::Retry(due) = end {
            self.set_timer(webhook, due);
        }
        self.settle(webhook);
    }

    fn lane(&mut self, webhook: WebhookId) -> &mut Lane {
        let limit = self.limits.per_webhook;
        self.lanes
            .entry(webhook)
            .or_insert_with(|| Lane::new(limit))
    }

    /// Puts a lane where it belongs after something about it has changed.
    fn settle(&mut self, webhook: WebhookId) {
        let Some(lane) = self.lanes.get_mut(&webhook) else {
            return;
        };
        if !lane.in_turn && lane.can_start() {
            lane.in_turn = true;
            self.turns.push_back(webhook);
        }
        if lane.wants_look() {
            lane.look = Look::Queued;
            self.looks.push_back(webhook);
        }
        lane.shrink();
    }

    /// Makes sure that the lane is looked after at `due`, or before.
    fn set_timer(&mut self, webhook: WebhookId, due: Timestamp) {
        let lane = self.lane(webhook);
        if lane.next_due.is_some_and(|earlier| earlier <= due) {
            return;
        }
        if let Some(later) = lane.next_due.replace(due) {
            self.timers.remove(&(later, webhook));
        }
        self.timers.insert((due, webhook));
    }
}

#[cfg(test)]
mod tests;
