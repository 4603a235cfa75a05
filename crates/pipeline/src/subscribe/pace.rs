//! How fast a tenant's Graph is asked about subscriptions, and what happens to those that have to wait.
//!
//! Graph counts the writes to `/subscriptions` of an app in a tenant: 1,000 in 20 s (Microsoft's "throttling limits" page,
//! "Subscription services"). We stay at half of that at most, so that a thousand rows that are due at one time, after a
//! day without us or because their public URL has changed, are no storm. Those that have no place now get a time of their
//! own at which they will have one.

use std::{collections::HashMap, time::Duration};

use tidings_domain::ids::ConnectionId;

/// How often the rows of a connection can have their turn in the long run, per second. A turn is one write at most times,
/// and two where something has to be removed first.
const PER_SECOND: u32 = 15;
/// How far apart the times are that those get who have to wait: a little more than one turn takes.
const STEP: Duration = Duration::from_millis(70);
/// How many turns may follow each other at once after a rest.
const BURST: u32 = 100;
/// How many connections are remembered before those at rest are forgotten.
const REMEMBERED: usize = 1_024;

/// Who may ask now, of all connections. Times are monotonic.
#[derive(Debug, Default)]
pub(super) struct Pace {
    connections: HashMap<ConnectionId, Known>,
}

/// How much a row wants its turn.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Want {
    /// Graph does not serve it, or not for long.
    Urgent,
    /// It can wait.
    InTime,
}

/// When a row has its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Now,
    /// At this time.
    At(Duration),
}

#[derive(Debug)]
struct Known {
    turns: f64,
    counted_at: Duration,
    /// Graph wants to be left alone until then.
    paused_until: Duration,
    /// The last times that were given away to those that are urgent, and to those that can wait.
    given: [Duration; 2],
}

impl Pace {
    /// Whether a row of `connection` has its turn now. If not, the time it gets is its own, before those of all that want
    /// it less.
    pub(super) fn turn(&mut self, connection: ConnectionId, want: Want, now: Duration) -> Turn {
        let known = self.known(connection, now);
        if now >= known.paused_until && known.turns >= 1.0 {
            known.turns -= 1.0;
            return Turn::Now;
        }
        let [urgent, in_time] = &mut known.given;
        let first = now.max(known.paused_until);
        let at = match want {
            Want::Urgent => {
                *urgent = first.max(*urgent) + STEP;
                *urgent
            }
            Want::InTime => {
                *in_time = first.max(*urgent).max(*in_time) + STEP;
                *in_time
            }
        };
        Turn::At(at)
    }

    /// Graph asked to be left alone for `span`.
    pub(super) fn pause(&mut self, connection: ConnectionId, span: Duration, now: Duration) {
        let known = self.known(connection, now);
        known.paused_until = known.paused_until.max(now.saturating_add(span));
        known.turns = 0.0;
    }

    fn known(&mut self, connection: ConnectionId, now: Duration) -> &mut Known {
        if self.connections.len() >= REMEMBERED {
            self.connections.retain(|_, known| !known.has_rested(now));
        }
        let known = self.connections.entry(connection).or_insert_with(|| Known {
            turns: f64::from(BURST),
            counted_at: now,
            paused_until: Duration::ZERO,
            given: [Duration::ZERO; 2],
        });
        known.turns = known.turns_at(now);
        known.counted_at = now;
        known
    }
}

impl Known {
    fn turns_at(&self, now: Duration) -> f64 {
        let since = now.saturating_sub(self.counted_at.max(self.paused_until));
        (self.turns + since.as_secs_f64() * f64::from(PER_SECOND)).min(f64::from(BURST))
    }

    fn has_rested(&self, now: Duration) -> bool {
        self.turns_at(now) >= f64::from(BURST) && self.given.iter().all(|&at| at <= now)
    }
}

#[cfg(test)]
mod tests {
    use tidings_domain::{Ids, clock::SystemClock, entropy::SeededEntropy};

    use super::*;

    fn connections() -> [ConnectionId; 2] {
        let ids = Ids::new(
            std::sync::Arc::new(SystemClock::new()),
            std::sync::Arc::new(SeededEntropy::new(1)),
        );
        [ids.next(), ids.next()]
    }

    #[test]
    fn a_thousand_at_once_stay_within_the_limit_and_each_has_its_turn() {
        let [connection, other] = connections();
        let mut pace = Pace::default();
        // When each of them wants its turn again.
        let mut waiting = vec![Duration::ZERO; 1_000];
        let mut asked = Vec::new();
        while !waiting.is_empty() {
            waiting.sort_unstable();
            let now = waiting.remove(0);
            match pace.turn(connection, Want::InTime, now) {
                Turn::Now => asked.push(now),
                Turn::At(at) => {
                    assert!(at > now);
                    waiting.push(at);
                }
            }
        }
        let twenty = Duration::from_secs(20);
        for (place, &start) in asked.iter().enumerate() {
            let within = asked[place..].iter().take_while(|&&at| at < start + twenty);
            assert!(within.count() <= 500);
        }
        assert!(*asked.last().unwrap() < Duration::from_secs(75));
        assert_eq!(pace.turn(other, Want::InTime, Duration::ZERO), Turn::Now);
    }

    #[test]
    fn who_is_urgent_waits_behind_the_urgent_only() {
        let [connection, _] = connections();
        let mut pace = Pace::default();
        let now = Duration::from_secs(5);
        let mut at = |want| match pace.turn(connection, want, now) {
            Turn::Now => now,
            Turn::At(at) => at,
        };
        for _ in 0..BURST + 1_000 {
            at(Want::InTime);
        }
        let urgent = at(Want::Urgent);
        assert!(urgent < now + Duration::from_secs(1), "{urgent:?}");
        assert!(at(Want::InTime) > now + Duration::from_mins(1));
    }

    #[test]
    fn whoever_is_asked_for_less_is_left_alone() {
        let [connection, _] = connections();
        let mut pace = Pace::default();
        let now = Duration::from_secs(5);
        pace.pause(connection, Duration::from_secs(30), now);
        let Turn::At(at) = pace.turn(connection, Want::Urgent, now) else {
            panic!("it has its turn");
        };
        assert!(at > Duration::from_secs(35));
        assert_eq!(pace.turn(connection, Want::Urgent, at), Turn::Now);
    }
}
