use tidings_domain::{Timestamp, entropy::SeededEntropy};
use ulid::Ulid;

use super::*;
use crate::enrich::{
    backlog::{Backlog, Work},
    merge::Merging,
    tests::queued,
};

fn lanes(calls: usize, per_mailbox: usize, per_call: usize) -> Lanes {
    let limits = Limits {
        calls,
        per_mailbox,
        per_call,
    };
    Lanes::new(limits, Arc::new(SeededEntropy::new(1)))
}

fn slot(seq: i64, connection: u128, mailbox: Option<u64>) -> Slot {
    let resource = format!("users/u/events/{seq}");
    let mut backlog = Backlog::new(1, Merging::default());
    let turn = backlog.push(
        Work::new(queued(seq, &resource, 0)),
        Timestamp::from_millis(0),
    );
    Slot {
        turn: turn.unwrap(),
        integration: IntegrationId::from(Ulid(1)),
        connection: ConnectionId::from(Ulid(connection)),
        mailbox,
    }
}

fn all(lanes: &mut Lanes, now: u64) -> Vec<Together> {
    std::iter::from_fn(|| lanes.next(Duration::from_secs(now))).collect()
}

/// How many items each call is for.
fn sizes(calls: &[Together]) -> Vec<usize> {
    calls.iter().map(|call| call.slots.len()).collect()
}

fn seqs(calls: &[Together]) -> Vec<i64> {
    let slots = calls.iter().flat_map(|call| &call.slots);
    slots.map(|slot| slot.turn.seq.0).collect()
}

fn end(lanes: &mut Lanes, call: &Together, contact: Contact, now: Duration) -> Vec<Seq> {
    let end = |slot| lanes.finished(slot, call.number, contact, now);
    call.slots.iter().flat_map(end).collect()
}

#[test]
fn a_mailbox_has_its_limit_and_others_go_past_it() {
    let mut lanes = lanes(100, 4, 20);
    for seq in 0..6 {
        lanes.push(slot(seq, 1, Some(7)), Duration::ZERO);
    }
    lanes.push(slot(10, 1, Some(8)), Duration::ZERO);
    lanes.push(slot(11, 1, None), Duration::ZERO);
    let asking = all(&mut lanes, 0);
    assert_eq!(seqs(&asking), [0, 1, 2, 3, 10, 11]);
    end(&mut lanes, &asking[2], Contact::Answered, Duration::ZERO);
    assert_eq!(seqs(&all(&mut lanes, 0)), [4]);
}

#[test]
fn a_busy_tenant_has_half_and_turns_are_shared() {
    let mut lanes = lanes(8, 4, 1);
    for seq in 0..20 {
        lanes.push(slot(seq, 1, None), Duration::ZERO);
    }
    lanes.push(slot(100, 2, None), Duration::ZERO);
    let asking = all(&mut lanes, 0);
    let of = |connection| {
        let id = ConnectionId::from(Ulid(connection));
        let is_its = |call: &&Together| call.slots[0].connection == id;
        asking.iter().filter(is_its).count()
    };
    assert_eq!((of(1), of(2)), (4, 1));
}

#[test]
fn what_finds_a_place_goes_alone_and_what_waits_goes_as_one() {
    let mut lanes = lanes(8, 3, 20);
    // The lane has four places.
    for seq in 0..3 {
        lanes.push(slot(seq, 1, Some(1)), Duration::ZERO);
    }
    let first = all(&mut lanes, 0);
    assert_eq!(sizes(&first), [1, 1, 1]);
    for seq in 3..8 {
        lanes.push(slot(seq, 1, None), Duration::ZERO);
    }
    // There is one place, and all that waits takes it.
    let second = all(&mut lanes, 0);
    assert_eq!(sizes(&second), [5]);
    for seq in 10..60 {
        lanes.push(slot(seq, 1, None), Duration::ZERO);
    }
    assert!(all(&mut lanes, 0).is_empty());
    // A call has ended when all its items have.
    for (ended, slot) in second[0].slots.iter().enumerate() {
        assert!(all(&mut lanes, 0).is_empty(), "after {ended}");
        lanes.finished(slot, second[0].number, Contact::Answered, Duration::ZERO);
    }
    assert_eq!(sizes(&all(&mut lanes, 0)), [20]);
    for call in &first[..2] {
        end(&mut lanes, call, Contact::Answered, Duration::ZERO);
    }
    // Two places, thirty that wait.
    assert_eq!(sizes(&all(&mut lanes, 0)), [15, 15]);
    assert_eq!(lanes.in_flight(), 1 + 20 + 30);
}

#[test]
fn a_mailbox_has_its_limit_in_batches_too() {
    let mut lanes = lanes(2, 3, 20);
    // The lane has one place, since there are but two.
    let mut lanes_of_one = std::mem::replace(&mut lanes, self::lanes(1, 3, 20));
    for lanes in [&mut lanes_of_one, &mut lanes] {
        for seq in 0..10 {
            lanes.push(slot(seq, 1, Some(7)), Duration::ZERO);
        }
        for seq in 10..12 {
            lanes.push(slot(seq, 1, Some(8)), Duration::ZERO);
        }
        let mut asked = seqs(&all(lanes, 0));
        asked.sort_unstable();
        assert_eq!(asked, [0, 1, 2, 10, 11]);
    }
}

#[test]
fn a_failing_tenant_is_left_alone_but_for_one_probe() {
    let mut lanes = lanes(10, 4, 1);
    for seq in 0..20 {
        lanes.push(slot(seq, 1, None), Duration::ZERO);
    }
    let asking = all(&mut lanes, 0);
    assert_eq!(asking.len(), 5);
    for call in &asking[..4] {
        let waiting = end(&mut lanes, call, Contact::Failed(None), Duration::ZERO);
        assert!(waiting.is_empty());
    }
    let failed = Contact::Failed(None);
    let waiting = end(&mut lanes, &asking[4], failed, Duration::ZERO);
    assert_eq!(waiting.len(), 15);
    assert!(all(&mut lanes, 0).is_empty());
    assert!(lanes.push(slot(30, 1, None), Duration::ZERO));
    let probe_at = lanes.next_wake().unwrap();
    let probes: Vec<Together> = std::iter::from_fn(|| lanes.next(probe_at)).collect();
    assert_eq!(sizes(&probes), [1]);
    assert_eq!(lanes.next_wake(), None);
    end(&mut lanes, &probes[0], Contact::Answered, probe_at);
    assert_eq!(std::iter::from_fn(|| lanes.next(probe_at)).count(), 5);
}

#[test]
fn a_batch_that_fails_is_one_failure_and_a_probe_is_for_one_item() {
    let mut lanes = lanes(2, 1, 20);
    for seq in 0..200 {
        lanes.push(slot(seq, 1, None), Duration::ZERO);
    }
    let mut failures = 0;
    while lanes.next_wake().is_none() {
        let asking = all(&mut lanes, 0);
        assert_eq!(sizes(&asking), [20]);
        end(
            &mut lanes,
            &asking[0],
            Contact::Failed(None),
            Duration::ZERO,
        );
        failures += 1;
    }
    assert_eq!(failures, 5);
    let probe_at = lanes.next_wake().unwrap();
    let probes: Vec<Together> = std::iter::from_fn(|| lanes.next(probe_at)).collect();
    assert_eq!(sizes(&probes), [1]);
}

#[test]
fn what_waits_can_be_forgotten_and_what_asks_still_counts() {
    let mut lanes = lanes(8, 2, 20);
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
    end(&mut lanes, &first, Contact::Answered, Duration::ZERO);
    assert_eq!(all(&mut lanes, 0).len(), 1);
    assert_eq!(lanes.in_flight(), 2);
}

#[test]
fn what_is_done_is_forgotten_once_there_are_many() {
    let mut lanes = lanes(10, 4, 20);
    for connection in 0..u128::try_from(REMEMBERED).unwrap() {
        lanes.push(slot(1, connection, Some(1)), Duration::ZERO);
        let asking = all(&mut lanes, 0);
        end(&mut lanes, &asking[0], Contact::Answered, Duration::ZERO);
    }
    assert_eq!(lanes.by_connection.len(), REMEMBERED);
    let later = Duration::from_mins(1);
    lanes.push(slot(1, 1_000, Some(1)), later);
    assert_eq!(lanes.by_connection.len(), 1);
    assert_eq!((lanes.calls, lanes.in_flight()), (0, 0));
}

/// What the first of these calls comes to, and which items then go at `now`.
fn after(lanes: &mut Lanes, contact: Contact, now: Duration) -> Vec<i64> {
    let first = lanes.next(Duration::ZERO).unwrap();
    end(lanes, &first, contact, Duration::ZERO);
    seqs(&std::iter::from_fn(|| lanes.next(now)).collect::<Vec<_>>())
}

#[test]
fn a_mailbox_that_wants_to_be_left_alone_holds_up_no_other() {
    let mut lanes = lanes(2, 1, 1);
    for (seq, mailbox) in [(0, 7), (1, 7), (2, 7), (3, 8)] {
        lanes.push(slot(seq, 1, Some(mailbox)), Duration::ZERO);
    }
    let seconds = Duration::from_secs;
    let wants = Contact::Throttled(Whose::Mailbox, Some(seconds(5)));
    assert_eq!(after(&mut lanes, wants, seconds(4)), [3]);
    assert_eq!(lanes.next_wake(), Some(seconds(5)));
}

#[test]
fn what_a_resting_mailbox_has_goes_in_its_order_when_the_time_has_come() {
    let mut lanes = lanes(8, 2, 1);
    for seq in 0..6 {
        lanes.push(slot(seq, 1, Some(7)), Duration::ZERO);
    }
    let asking = all(&mut lanes, 0);
    assert_eq!(seqs(&asking), [0, 1]);
    let wants = Contact::Throttled(Whose::Mailbox, Some(Duration::from_secs(5)));
    end(&mut lanes, &asking[0], wants, Duration::ZERO);
    end(&mut lanes, &asking[1], wants, Duration::ZERO);
    assert!(all(&mut lanes, 4).is_empty());
    let asking = all(&mut lanes, 5);
    assert_eq!(seqs(&asking), [2, 3]);
    end(
        &mut lanes,
        &asking[0],
        Contact::Answered,
        Duration::from_secs(5),
    );
    assert_eq!(seqs(&all(&mut lanes, 5)), [4]);
}

#[test]
fn a_tenant_that_wants_to_be_left_alone_holds_up_no_other() {
    let mut lanes = lanes(2, 1, 1);
    for seq in 0..3 {
        lanes.push(slot(seq, 1, None), Duration::ZERO);
    }
    lanes.push(slot(10, 2, None), Duration::ZERO);
    let seconds = Duration::from_secs;
    let wants = Contact::Throttled(Whose::Tenant, Some(seconds(5)));
    assert_eq!(after(&mut lanes, wants, seconds(4)), [10]);
    assert!(all(&mut lanes, 4).is_empty());
    let wake = lanes.next_wake().unwrap();
    assert!((seconds(5)..seconds(7)).contains(&wake), "{wake:?}");
    // From then on one a second.
    let asking: Vec<_> = std::iter::from_fn(|| lanes.next(wake)).collect();
    assert_eq!(seqs(&asking), [1]);
    end(&mut lanes, &asking[0], Contact::Answered, wake);
    assert!(lanes.next(wake).is_none());
    let then = lanes.next_wake().unwrap();
    assert!(then > wake && then <= wake + seconds(2), "{then:?}");
    assert!(lanes.next(then).is_some());
}

#[test]
fn an_app_that_is_to_leave_graph_alone_does_so_in_all_its_tenants() {
    let mut lanes = lanes(8, 1, 1);
    let of_another_app = |seq| Slot {
        integration: IntegrationId::from(Ulid(9)),
        ..slot(seq, 3, None)
    };
    lanes.push(slot(0, 1, None), Duration::ZERO);
    let first = lanes.next(Duration::ZERO).unwrap();
    lanes.push(slot(1, 1, None), Duration::ZERO);
    lanes.push(slot(2, 2, None), Duration::ZERO);
    let wants = Contact::Throttled(Whose::App, Some(Duration::from_secs(5)));
    end(&mut lanes, &first, wants, Duration::ZERO);
    lanes.push(of_another_app(3), Duration::ZERO);
    lanes.push(slot(4, 4, None), Duration::ZERO);
    assert_eq!(seqs(&all(&mut lanes, 4)), [3]);
    let mut asked = seqs(&all(&mut lanes, 5));
    asked.sort_unstable();
    assert_eq!(asked, [1, 2, 4]);
}

#[test]
fn who_nears_a_limit_is_asked_for_less_before_it_refuses() {
    let mut lanes = lanes(2, 1, 1);
    for seq in 0..100 {
        lanes.push(slot(seq, 1, None), Duration::ZERO);
    }
    let first = lanes.next(Duration::ZERO).unwrap();
    end(&mut lanes, &first, Contact::Near(90), Duration::ZERO);
    assert!(lanes.next(Duration::ZERO).is_none());
    let wake = lanes.next_wake().unwrap();
    assert!(lanes.next(wake).is_some());
}
