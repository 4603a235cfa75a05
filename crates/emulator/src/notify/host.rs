//! The states of an endpoint (Microsoft's "Receive change notifications through webhooks" page, 2026): slow endpoints
//! get new notifications late, very slow ones lose them. An endpoint is a host: all subscriptions on it suffer together.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde::Serialize;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::options::Delivery;

/// Every host that something was sent to.
#[derive(Debug, Default)]
pub(super) struct Hosts(Mutex<BTreeMap<String, Arc<Host>>>);

/// One host.
#[derive(Debug)]
pub(super) struct Host {
    state: Mutex<State>,
    /// How many POSTs may be under way.
    pub(super) permits: Semaphore,
}

#[derive(Debug, Default)]
struct State {
    window_start: Duration,
    answers: u32,
    over_first: u32,
    over_retry: u32,
    phase: Phase,
    /// Subscriptions that lost something in this drop.
    lost: HashSet<Uuid>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Phase {
    #[default]
    Normal,
    Slow,
    Drop {
        until: Duration,
    },
    Sampling {
        let_through: u32,
        answered: u32,
        over: u32,
    },
}

/// The state of a host, for the control API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Endpoint {
    /// Host and port.
    pub host: String,
    /// `normal`, `slow`, `drop` or `sampling`.
    pub state: &'static str,
    /// Answers in the current window.
    pub answers: u32,
    /// Those of them that took longer than the first timeout.
    pub over_first: u32,
    /// Those of them that took longer than the retry timeout.
    pub over_retry: u32,
}

/// What becomes of a POST that is about to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// It goes now.
    Go,
    /// It goes now, as one of the sample after a drop.
    Sample,
    /// It waits first.
    Wait(Duration),
    /// It is lost.
    Lost,
}

impl Hosts {
    /// The host with this name and port.
    pub(super) fn of(&self, name: &str, delivery: &Delivery) -> Arc<Host> {
        let mut hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = hosts.get(name) {
            return Arc::clone(host);
        }
        let host = Arc::new(Host {
            state: Mutex::default(),
            permits: Semaphore::new(delivery.concurrency.max(1)),
        });
        hosts.insert(name.to_owned(), Arc::clone(&host));
        host
    }

    /// The state of each.
    pub(super) fn all(&self, now: Duration) -> Vec<Endpoint> {
        let hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hosts
            .iter()
            .map(|(name, host)| {
                let state = host.state.lock().unwrap_or_else(PoisonError::into_inner);
                Endpoint {
                    host: name.clone(),
                    state: state.phase.word(now),
                    answers: state.answers,
                    over_first: state.over_first,
                    over_retry: state.over_retry,
                }
            })
            .collect()
    }
}

impl Host {
    /// Decides about a POST at `now`. `new` is its first try, not yet delayed.
    pub(super) fn admit(
        &self,
        now: Duration,
        new: bool,
        subscriptions: &[Uuid],
        delivery: &Delivery,
    ) -> Admission {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Phase::Drop { until } = state.phase
            && now >= until
        {
            state.phase = Phase::Sampling {
                let_through: 0,
                answered: 0,
                over: 0,
            };
        }
        match &mut state.phase {
            Phase::Slow if new => Admission::Wait(Duration::from_millis(delivery.slow_delay_ms)),
            Phase::Normal | Phase::Slow => Admission::Go,
            Phase::Sampling { let_through, .. } if *let_through < delivery.sample => {
                *let_through += 1;
                Admission::Sample
            }
            Phase::Drop { .. } | Phase::Sampling { .. } => {
                state.lost.extend(subscriptions);
                Admission::Lost
            }
        }
    }

    /// Counts an answer that came, or did not, after `took`. Whoever lost something in a drop that ends with it is given
    /// back.
    pub(super) fn record(
        &self,
        now: Duration,
        took: Duration,
        sample: bool,
        delivery: &Delivery,
    ) -> HashSet<Uuid> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let over_first = took >= Duration::from_millis(delivery.first_timeout_ms);
        let over_retry = took >= Duration::from_millis(delivery.retry_timeout_ms);
        if sample {
            return state.sampled(now, over_retry, delivery);
        }
        state.turn_window(now, delivery);
        state.answers += 1;
        state.over_first += u32::from(over_first);
        state.over_retry += u32::from(over_retry);
        state.judge(now, delivery);
        HashSet::new()
    }
}

impl State {
    fn turn_window(&mut self, now: Duration, delivery: &Delivery) {
        if now.saturating_sub(self.window_start) < Duration::from_millis(delivery.window_ms) {
            return;
        }
        if self.phase == Phase::Slow
            && self.answers > 0
            && share(self.over_first, self.answers) <= delivery.slow_share
        {
            self.phase = Phase::Normal;
        }
        self.clear(now);
    }

    fn judge(&mut self, now: Duration, delivery: &Delivery) {
        if self.answers < delivery.minimum_answers
            || matches!(self.phase, Phase::Drop { .. } | Phase::Sampling { .. })
        {
            return;
        }
        if share(self.over_retry, self.answers) > delivery.drop_share {
            self.phase = Phase::Drop {
                until: now + Duration::from_millis(delivery.drop_ms),
            };
            self.clear(now);
        } else if share(self.over_first, self.answers) > delivery.slow_share {
            self.phase = Phase::Slow;
        }
    }

    fn sampled(&mut self, now: Duration, late: bool, delivery: &Delivery) -> HashSet<Uuid> {
        let Phase::Sampling { answered, over, .. } = &mut self.phase else {
            return HashSet::new();
        };
        *answered += 1;
        *over += u32::from(late);
        if *answered < delivery.sample {
            return HashSet::new();
        }
        let share = share(*over, *answered);
        self.clear(now);
        if share < delivery.drop_share {
            self.phase = Phase::Normal;
            return std::mem::take(&mut self.lost);
        }
        self.phase = Phase::Drop {
            until: now + Duration::from_millis(delivery.drop_ms),
        };
        HashSet::new()
    }

    fn clear(&mut self, now: Duration) {
        self.window_start = now;
        self.answers = 0;
        self.over_first = 0;
        self.over_retry = 0;
    }
}

impl Phase {
    fn word(self, now: Duration) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Slow => "slow",
            Self::Drop { until } if now < until => "drop",
            Self::Drop { .. } | Self::Sampling { .. } => "sampling",
        }
    }
}

fn share(part: u32, whole: u32) -> f64 {
    f64::from(part) / f64::from(whole.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Duration = Duration::from_millis(5);
    const SLOW: Duration = Duration::from_secs(3);
    const DEAD: Duration = Duration::from_secs(10);

    fn host() -> (Host, Delivery) {
        let delivery = Delivery {
            minimum_answers: 10,
            sample: 2,
            ..Delivery::default()
        };
        let host = Host {
            state: Mutex::default(),
            permits: Semaphore::new(1),
        };
        (host, delivery)
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn over_10_percent_beyond_3_s_make_it_slow_and_a_better_window_ends_it() {
        let (host, delivery) = host();
        for n in 0..10 {
            host.record(at(n), if n == 0 { SLOW } else { QUICK }, false, &delivery);
        }
        // Exactly a tenth is not over a tenth.
        assert_eq!(host.admit(at(10), true, &[], &delivery), Admission::Go);
        host.record(at(11), SLOW, false, &delivery);
        assert_eq!(
            host.admit(at(12), true, &[], &delivery),
            Admission::Wait(at(600))
        );
        assert_eq!(host.admit(at(12), false, &[], &delivery), Admission::Go);
        // The first answer of the second window opens it, the first of the third judges it.
        host.record(at(612), QUICK, false, &delivery);
        assert_eq!(
            host.admit(at(613), true, &[], &delivery),
            Admission::Wait(at(600))
        );
        host.record(at(1_213), QUICK, false, &delivery);
        assert_eq!(host.admit(at(1_214), true, &[], &delivery), Admission::Go);
    }

    #[test]
    fn over_15_percent_beyond_10_s_lose_everything_for_10_minutes() {
        let (host, delivery) = host();
        let who = [Uuid::from_u128(7)];
        for n in 0..10 {
            host.record(at(n), if n < 2 { DEAD } else { QUICK }, false, &delivery);
        }
        assert_eq!(host.admit(at(10), true, &who, &delivery), Admission::Lost);
        assert_eq!(host.admit(at(10), false, &who, &delivery), Admission::Lost);
        assert_eq!(host.admit(at(608), true, &who, &delivery), Admission::Lost);
        // Then a sample decides.
        assert_eq!(
            host.admit(at(609), true, &who, &delivery),
            Admission::Sample
        );
        assert_eq!(
            host.admit(at(609), true, &who, &delivery),
            Admission::Sample
        );
        assert_eq!(host.admit(at(609), true, &who, &delivery), Admission::Lost);
        assert!(host.record(at(610), QUICK, true, &delivery).is_empty());
        assert_eq!(
            host.record(at(610), QUICK, true, &delivery),
            HashSet::from(who)
        );
        assert_eq!(host.admit(at(611), true, &who, &delivery), Admission::Go);
    }

    #[test]
    fn a_bad_sample_begins_another_drop() {
        let (host, delivery) = host();
        for n in 0..10 {
            host.record(at(n), DEAD, false, &delivery);
        }
        for _ in 0..2 {
            assert_eq!(host.admit(at(700), true, &[], &delivery), Admission::Sample);
        }
        for _ in 0..2 {
            host.record(at(710), DEAD, true, &delivery);
        }
        assert_eq!(host.admit(at(711), true, &[], &delivery), Admission::Lost);
        assert_eq!(
            host.admit(at(1_310), true, &[], &delivery),
            Admission::Sample
        );
    }

    #[test]
    fn few_answers_are_not_judged() {
        let (host, delivery) = host();
        for n in 0..9 {
            host.record(at(n), DEAD, false, &delivery);
        }
        assert_eq!(host.admit(at(10), true, &[], &delivery), Admission::Go);
    }
}
