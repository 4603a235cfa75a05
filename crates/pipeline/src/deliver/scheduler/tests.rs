use std::{
    collections::{BTreeMap, HashSet},
    slice,
};

use bytes::Bytes;
use tidings_domain::{
    Entropy,
    entropy::SeededEntropy,
    ids::{EventId, Id},
};
use tidings_storage::Lease;
use ulid::Ulid;

use super::*;

const LIMITS: Limits = Limits {
    global: 16,
    per_webhook: 4,
};

fn id<I: Id>(number: u128) -> I {
    I::from(Ulid(number))
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn delivery(webhook: u128, number: u128, due: i64) -> DueDelivery {
    DueDelivery {
        id: id(webhook << 64 | number),
        webhook: id(webhook),
        event: id::<EventId>(number),
        attempts: 0,
        due_at: at(due),
        body: Bytes::from_static(b"{}"),
        lease: Lease::of_the_only_node(),
    }
}

/// Answers the next look with these.
fn answer(scheduler: &mut Scheduler, found: Vec<DueDelivery>) -> WantedLook {
    let look = scheduler.next_look().expect("a look is wanted");
    scheduler.looked(look, found, asked(look, None));
    look
}

fn asked(look: WantedLook, next_due: Option<Timestamp>) -> NextDue {
    if look.next_due {
        NextDue::Asked(next_due)
    } else {
        NextDue::Unasked
    }
}

fn starts(scheduler: &mut Scheduler) -> Vec<DueDelivery> {
    std::iter::from_fn(|| scheduler.next_start()).collect()
}

/// An attempt is answered and its result recorded.
fn over(
    scheduler: &mut Scheduler,
    webhook: WebhookId,
    delivery: DeliveryId,
    end: End,
    bearing: Bearing,
) {
    scheduler.answered(webhook, bearing);
    scheduler.ended(webhook, delivery, end);
}

fn webhooks_of(started: &[DueDelivery]) -> Vec<WebhookId> {
    started.iter().map(|delivery| delivery.webhook).collect()
}

#[test]
fn an_idle_scheduler_wants_nothing() {
    let mut scheduler = Scheduler::new(LIMITS);
    assert_eq!(scheduler.next_look(), None);
    assert_eq!(scheduler.next_start(), None);
    assert_eq!(scheduler.next_tick(), None);
    scheduler.hinted(id(1));
    answer(&mut scheduler, vec![]);
    assert_eq!(scheduler.next_look(), None);
    assert_eq!(scheduler.next_tick(), None);
}

#[test]
fn deliveries_of_a_webhook_start_in_order_up_to_its_limit() {
    let mut scheduler = Scheduler::new(LIMITS);
    scheduler.hinted(id(1));
    let all: Vec<_> = (1..=6).map(|n| delivery(1, n, 0)).collect();
    answer(&mut scheduler, all.clone());
    assert_eq!(starts(&mut scheduler), all[..4]);
    over(
        &mut scheduler,
        id(1),
        all[1].id,
        End::Finished,
        Bearing::Well,
    );
    assert_eq!(starts(&mut scheduler), all[4..5]);
    assert_eq!(scheduler.in_flight(), 4);
    assert_eq!(scheduler.ready(), 1);
}

#[test]
fn a_receiver_need_not_wait_for_results_until_too_many_wait_for_the_store() {
    let limits = Limits {
        global: 100,
        per_webhook: 2,
    };
    let mut scheduler = Scheduler::new(limits);
    scheduler.hinted(id(1));
    answer(
        &mut scheduler,
        (1..=16).map(|n| delivery(1, n, 0)).collect(),
    );
    let mut unrecorded = Vec::new();
    loop {
        let started = starts(&mut scheduler);
        if started.is_empty() {
            break;
        }
        assert!(started.len() <= 2, "at a time");
        for delivery in started {
            scheduler.answered(id(1), Bearing::Well);
            unrecorded.push(delivery.id);
        }
    }
    assert_eq!((unrecorded.len(), scheduler.in_flight()), (8, 8));
    scheduler.ended(id(1), unrecorded[0], End::Finished);
    assert_eq!(starts(&mut scheduler).len(), 1);
}

#[test]
fn webhooks_take_turns_for_the_global_limit() {
    let limits = Limits {
        global: 6,
        per_webhook: 4,
    };
    let mut scheduler = Scheduler::new(limits);
    for webhook in [1, 2, 3] {
        scheduler.hinted(id(webhook));
        answer(
            &mut scheduler,
            (1..=8).map(|n| delivery(webhook, n, 0)).collect(),
        );
    }
    let first = starts(&mut scheduler);
    assert_eq!(webhooks_of(&first), [1, 2, 3, 1, 2, 3].map(id));
    // Whoever ends, the place goes to the next in turn.
    over(
        &mut scheduler,
        id(3),
        first[2].id,
        End::Finished,
        Bearing::Well,
    );
    assert_eq!(webhooks_of(&starts(&mut scheduler)), [id(1)]);
    over(
        &mut scheduler,
        id(3),
        first[5].id,
        End::Finished,
        Bearing::Well,
    );
    assert_eq!(webhooks_of(&starts(&mut scheduler)), [id(2)]);
}

#[test]
fn a_receiver_that_hangs_keeps_only_its_own_places() {
    let mut scheduler = Scheduler::new(LIMITS);
    scheduler.hinted(id(1));
    answer(
        &mut scheduler,
        (1..=16).map(|n| delivery(1, n, 0)).collect(),
    );
    assert_eq!(starts(&mut scheduler).len(), 4);
    for round in 0..100 {
        scheduler.hinted(id(2));
        // The hung one has its limit and wants nothing from the store meanwhile.
        let next = delivery(2, round + 1, 0);
        assert_eq!(answer(&mut scheduler, vec![next.clone()]).webhook, id(2));
        assert_eq!(starts(&mut scheduler), slice::from_ref(&next));
        over(&mut scheduler, id(2), next.id, End::Finished, Bearing::Well);
    }
}

#[test]
fn what_is_in_memory_or_in_flight_is_not_taken_twice() {
    let mut scheduler = Scheduler::new(LIMITS);
    scheduler.hinted(id(1));
    let all: Vec<_> = (1..=6).map(|n| delivery(1, n, 0)).collect();
    answer(&mut scheduler, all[..5].to_vec());
    assert_eq!(starts(&mut scheduler).len(), 4);
    scheduler.hinted(id(1));
    // In the store all are still due; the look asks for more than there is in memory.
    let look = answer(&mut scheduler, all);
    assert!(look.limit > 5);
    assert_eq!(scheduler.ready(), 2);
}

#[test]
fn what_ends_during_a_look_is_not_taken_again_from_its_answer() {
    let mut scheduler = Scheduler::new(LIMITS);
    scheduler.hinted(id(1));
    let one = delivery(1, 1, 0);
    answer(&mut scheduler, vec![one.clone()]);
    assert_eq!(starts(&mut scheduler).len(), 1);
    scheduler.hinted(id(1));
    let look = scheduler.next_look().unwrap();
    over(&mut scheduler, id(1), one.id, End::Finished, Bearing::Well);
    scheduler.looked(look, vec![one], NextDue::Unasked);
    assert_eq!(scheduler.next_start(), None);
}

#[test]
fn a_hint_during_a_look_leads_to_another() {
    let mut scheduler = Scheduler::new(LIMITS);
    scheduler.hinted(id(1));
    let look = scheduler.next_look().unwrap();
    scheduler.hinted(id(1));
    assert_eq!(scheduler.next_look(), None);
    scheduler.looked(look, vec![], NextDue::Asked(None));
    assert!(scheduler.next_look().is_some());
    assert_eq!(scheduler.next_look(), None);
}

#[test]
fn a_backlog_is_read_in_growing_pieces_that_stay_within_256() {
    let mut scheduler = Scheduler::new(LIMITS);
    let backlog: Vec<_> = (1..=5_000).map(|n| delivery(1, n, 0)).collect();
    let mut done = 0;
    let mut most = 0;
    scheduler.hinted(id(1));
    while done < backlog.len() {
        while let Some(look) = scheduler.next_look() {
            let found = backlog[done..].iter().take(look.limit).cloned().collect();
            scheduler.looked(look, found, NextDue::Unasked);
        }
        most = most.max(scheduler.ready());
        // Attempts end in the order in which they began, so the store always shows the rest of the backlog.
        for delivery in starts(&mut scheduler) {
            assert_eq!(delivery.id, backlog[done].id);
            over(
                &mut scheduler,
                id(1),
                delivery.id,
                End::Finished,
                Bearing::Well,
            );
            done += 1;
        }
    }
    assert!((200..=256).contains(&most), "{most}");
}

#[test]
fn large_bodies_are_not_read_far_ahead() {
    let mut scheduler = Scheduler::new(LIMITS);
    scheduler.hinted(id(1));
    let large = |n| DueDelivery {
        body: Bytes::from(vec![0; 1 << 20]),
        ..delivery(1, n, 0)
    };
    let backlog: Vec<_> = (1..=100).map(large).collect();
    for done in 0..20 {
        while let Some(look) = scheduler.next_look() {
            // The store cuts answers off at 16 MiB.
            let found = backlog[done..].iter().take(look.limit.min(16));
            scheduler.looked(look, found.cloned().collect(), NextDue::Unasked);
        }
        assert!(scheduler.ready() <= 16, "{}", scheduler.ready());
        let delivery = scheduler.next_start().expect("there are more");
        over(
            &mut scheduler,
            id(1),
            delivery.id,
            End::Finished,
            Bearing::Well,
        );
    }
}

#[test]
fn an_answer_that_was_cut_off_at_what_is_known_is_asked_again_once_an_attempt_ends() {
    let mut scheduler = Scheduler::new(LIMITS);
    let large = |n| DueDelivery {
        body: Bytes::from(vec![0; 4 << 20]),
        ..delivery(1, n, 0)
    };
    let known = vec![large(1), large(2), large(3), large(4)];
    scheduler.hinted(id(1));
    answer(&mut scheduler, known.clone());
    // There was something new, so there may be more; now nothing is.
    answer(&mut scheduler, known.clone());
    assert_eq!(starts(&mut scheduler).len(), 4);
    assert_eq!(scheduler.next_look(), None);
    over(
        &mut scheduler,
        id(1),
        known[0].id,
        End::Finished,
        Bearing::Well,
    );
    assert!(scheduler.next_look().is_some());
}

#[test]
fn a_retry_is_looked_for_when_it_is_due() {
    let mut scheduler = Scheduler::new(LIMITS);
    scheduler.hinted(id(1));
    let one = delivery(1, 1, 0);
    answer(&mut scheduler, vec![one.clone()]);
    starts(&mut scheduler);
    over(
        &mut scheduler,
        id(1),
        one.id,
        End::Retry(at(5_000)),
        Bearing::Neutral,
    );
    assert_eq!(scheduler.next_look(), None);
    assert_eq!(scheduler.next_tick(), Some(at(5_000)));
    scheduler.tick(at(4_999));
    assert_eq!(scheduler.next_look(), None);
    scheduler.tick(at(5_000));
    let look = answer(&mut scheduler, vec![one.clone()]);
    assert!(look.next_due, "there may be others that are due later");
    assert_eq!(starts(&mut scheduler), [one]);
}

#[test]
fn the_earliest_of_several_due_times_counts_and_the_store_knows_the_rest() {
    let mut scheduler = Scheduler::new(LIMITS);
    scheduler.earliest(id(1), at(300), at(0));
    scheduler.earliest(id(1), at(100), at(0));
    scheduler.earliest(id(1), at(200), at(0));
    assert_eq!(scheduler.next_tick(), Some(at(100)));
    scheduler.tick(at(150));
    let look = scheduler.next_look().unwrap();
    assert!(look.next_due);
    scheduler.looked(look, vec![], NextDue::Asked(Some(at(200))));
    assert_eq!(scheduler.next_tick(), Some(at(200)));
}

#[test]
fn a_failed_look_is_repeated_after_its_pause_and_hints_do_not_hurry_it() {
    let mut scheduler = Scheduler::new(LIMITS);
    scheduler.hinted(id(1));
    for failures in 1..=3 {
        let look = scheduler.next_look().unwrap();
        scheduler.look_failed(look, |running| {
            assert_eq!(running, failures);
            at(i64::from(failures) * 100)
        });
        scheduler.hinted(id(1));
        assert_eq!(scheduler.next_look(), None);
        scheduler.tick(at(i64::from(failures) * 100));
    }
    answer(&mut scheduler, vec![delivery(1, 1, 0)]);
    assert_eq!(starts(&mut scheduler).len(), 1);
}

#[test]
fn a_webhook_that_takes_nothing_is_forgotten_until_a_hint() {
    let mut scheduler = Scheduler::new(LIMITS);
    scheduler.hinted(id(1));
    let all: Vec<_> = (1..=6).map(|n| delivery(1, n, 0)).collect();
    answer(&mut scheduler, all.clone());
    let started = scheduler.next_start().unwrap();
    scheduler.hold(id(1), started.id);
    assert_eq!((scheduler.in_flight(), scheduler.ready()), (0, 0));
    assert_eq!(scheduler.next_start(), None);
    assert_eq!(scheduler.next_look(), None);
    scheduler.hinted(id(1));
    let look = answer(&mut scheduler, all.clone());
    assert!(look.next_due, "others may be due later");
    assert_eq!(starts(&mut scheduler), all[..4]);
}

#[test]
fn a_result_that_cannot_be_stored_is_not_sent_again() {
    let mut scheduler = Scheduler::new(LIMITS);
    scheduler.hinted(id(1));
    let one = delivery(1, 1, 0);
    answer(&mut scheduler, vec![one.clone()]);
    starts(&mut scheduler);
    over(
        &mut scheduler,
        id(1),
        one.id,
        End::SetAside,
        Bearing::Neutral,
    );
    assert_eq!(scheduler.in_flight(), 0);
    scheduler.hinted(id(1));
    answer(&mut scheduler, vec![one]);
    assert_eq!(scheduler.next_start(), None);
}

#[test]
fn a_strained_receiver_gets_fewer_at_a_time_and_more_again_after_successes() {
    let mut scheduler = Scheduler::new(LIMITS);
    scheduler.hinted(id(1));
    let all: Vec<_> = (1..=200).map(|n| delivery(1, n, 0)).collect();
    answer(&mut scheduler, all);
    let mut running: VecDeque<_> = starts(&mut scheduler).into();
    assert_eq!(running.len(), 4);
    for _ in 0..2 {
        let one = running.pop_front().unwrap();
        over(
            &mut scheduler,
            id(1),
            one.id,
            End::Finished,
            Bearing::Strained,
        );
        running.extend(starts(&mut scheduler));
    }
    assert_eq!(running.len(), 2, "no more than one, once these have ended");
    let mut at_a_time = Vec::new();
    for _ in 0..80 {
        let one = running.pop_front().unwrap();
        over(&mut scheduler, id(1), one.id, End::Finished, Bearing::Well);
        running.extend(starts(&mut scheduler));
        at_a_time.push(running.len());
    }
    assert_eq!(at_a_time[1], 1);
    assert_eq!(at_a_time.last(), Some(&4));
    assert!(at_a_time[1..].is_sorted());
}

/// A store in memory, and everything that happens beside the scheduler, at random but reproducibly.
struct Simulation {
    seed: u64,
    entropy: SeededEntropy,
    scheduler: Scheduler,
    now: i64,
    /// Pending deliveries with their due times.
    pending: BTreeMap<(u128, u128), i64>,
    running: Vec<DueDelivery>,
    /// Answered, and not recorded yet.
    answered: Vec<DueDelivery>,
    looks: Vec<(WantedLook, Vec<DueDelivery>, Option<Timestamp>)>,
    made: u128,
    delivered: HashSet<DeliveryId>,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        Self {
            seed,
            entropy: SeededEntropy::new(seed),
            scheduler: Scheduler::new(LIMITS),
            now: 0,
            pending: BTreeMap::new(),
            running: Vec::new(),
            answered: Vec::new(),
            looks: Vec::new(),
            made: 0,
            delivered: HashSet::new(),
        }
    }

    fn pick(&self, below: usize) -> usize {
        let entropy: &dyn Entropy = &self.entropy;
        usize::try_from(entropy.u64() % u64::try_from(below.max(1)).unwrap()).unwrap()
    }

    fn due(&self, webhook: WebhookId) -> Vec<DueDelivery> {
        let mut due: Vec<_> = self
            .pending
            .iter()
            .filter(|((owner, _), due)| id::<WebhookId>(*owner) == webhook && **due <= self.now)
            .map(|((owner, number), due)| delivery(*owner, *number, *due))
            .collect();
        due.sort_by_key(|delivery| (delivery.due_at, delivery.id));
        due
    }

    fn step(&mut self, making: bool) {
        match self.pick(7) {
            0 if making => {
                let webhook = u128::try_from(self.pick(5)).unwrap();
                self.made += 1;
                self.pending.insert((webhook, self.made), self.now);
                self.scheduler.hinted(id(webhook));
            }
            1 => {
                if let Some(look) = self.scheduler.next_look() {
                    let found = self
                        .due(look.webhook)
                        .into_iter()
                        .take(look.limit)
                        .collect();
                    let later = self.pending.iter().filter(|((owner, _), due)| {
                        id::<WebhookId>(*owner) == look.webhook && **due > self.now
                    });
                    let next = later.map(|(_, due)| at(*due)).min();
                    self.looks.push((look, found, next));
                }
            }
            2 if !self.looks.is_empty() => {
                let (look, found, next) = self.looks.swap_remove(self.pick(self.looks.len()));
                if self.pick(8) == 0 {
                    let again = at(self.now + 50);
                    self.scheduler.look_failed(look, |_| again);
                } else {
                    let next_due = if found.len() < look.limit {
                        asked(look, next)
                    } else {
                        NextDue::Unasked
                    };
                    self.scheduler.looked(look, found, next_due);
                }
            }
            3 => {
                if let Some(started) = self.scheduler.next_start() {
                    let mut under_way = self.running.iter().chain(&self.answered);
                    let same = under_way.any(|other| other.id == started.id);
                    assert!(!same, "seed {}: started twice", self.seed);
                    assert!(
                        !self.delivered.contains(&started.id),
                        "seed {}: sent after its end",
                        self.seed
                    );
                    self.running.push(started);
                    let under_way = self.running.len() + self.answered.len();
                    assert!(under_way <= LIMITS.global, "seed {}", self.seed);
                }
            }
            4 if !self.running.is_empty() => {
                let answered = self.running.swap_remove(self.pick(self.running.len()));
                let bearing = [Bearing::Well, Bearing::Neutral, Bearing::Strained][self.pick(3)];
                self.scheduler.answered(answered.webhook, bearing);
                self.answered.push(answered);
            }
            5 if !self.answered.is_empty() => {
                let ended = self.answered.swap_remove(self.pick(self.answered.len()));
                let key = (ended.webhook, ended.id);
                let place = *self
                    .pending
                    .keys()
                    .find(|(owner, number)| (id(*owner), id(owner << 64 | number)) == key)
                    .unwrap();
                let end = if self.pick(3) == 0 {
                    let due = self.now + 1 + i64::try_from(self.pick(500)).unwrap();
                    self.pending.insert(place, due);
                    End::Retry(at(due))
                } else {
                    self.pending.remove(&place);
                    self.delivered.insert(ended.id);
                    End::Finished
                };
                self.scheduler.ended(ended.webhook, ended.id, end);
            }
            _ => {
                self.now += i64::try_from(self.pick(20)).unwrap();
                self.scheduler.tick(at(self.now));
            }
        }
    }
}

#[test]
fn whatever_happens_in_whatever_order_everything_is_delivered_and_nothing_is_sent_twice() {
    for seed in 0..250 {
        let mut simulation = Simulation::new(seed);
        for _ in 0..1_000 {
            simulation.step(true);
        }
        for _ in 0..200_000 {
            if simulation.pending.is_empty() {
                break;
            }
            simulation.step(false);
        }
        assert!(
            simulation.pending.is_empty(),
            "seed {seed}: left {:?}",
            simulation.pending
        );
        assert_eq!(
            simulation.delivered.len(),
            usize::try_from(simulation.made).unwrap()
        );
    }
}
