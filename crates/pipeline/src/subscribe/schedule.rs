//! When a row is looked at next.

use std::time::Duration;

use tidings_domain::{Entropy, Timestamp};
use tidings_graph::CallError;

/// The wait after the first failure; it doubles with each.
const FIRST: Duration = Duration::from_secs(2);
/// The longest wait while the cause may end by itself.
const LONGEST: Duration = Duration::from_mins(10);
/// The shortest and longest wait while credentials are broken: a person has to mend that.
const BROKEN: (Duration, Duration) = (Duration::from_mins(1), Duration::from_hours(1));
/// The longest wait while what is to be watched is not there: a mailbox that is being made, or a user who has none.
const NOT_THERE: Duration = Duration::from_hours(6);
/// How long a tenant is left alone that asks for fewer calls and does not say for how long.
pub(super) const THROTTLED: Duration = Duration::from_secs(10);
/// What Graph refuses for good is tried again after this, in case somebody has mended the cause.
const REFUSED: Duration = Duration::from_hours(24);
/// How far apart the subscriptions are made anew whose public URL has changed. Each is then compared with what is known,
/// and until its turn comes it only has its lifecycle notifications sent to the old URL.
const REPLACEMENTS_APART: Duration = Duration::from_secs(2);
/// Within this span Graph is not asked twice for one subscription because it said that it wants to be asked: it can lose
/// track of the state if it is both reauthorized and renewed (Microsoft's "lifecycle notifications" page).
pub(crate) const APART: Duration = Duration::from_mins(10);

/// When the next of those is made anew whose public URL has changed.
#[derive(Debug, Default)]
pub(super) struct Replacements {
    last: Timestamp,
}

impl Replacements {
    /// A time for one of them.
    pub(super) fn next(&mut self, now: Timestamp) -> Timestamp {
        // Should the clock have been set back by far, those before are forgotten.
        let most = now + REPLACEMENTS_APART.saturating_mul(1 << 20);
        if self.last > most {
            self.last = now;
        }
        self.last = now.max(self.last) + REPLACEMENTS_APART;
        self.last
    }
}

/// When a subscription that lives until `expires_at` is renewed: at about half of the life left, so that one renewal
/// after the other may fail for a long time. Never later than a third before the end.
pub(super) fn renewal(now: Timestamp, expires_at: Timestamp, entropy: &dyn Entropy) -> Timestamp {
    let left = now.until(expires_at);
    now + left.mul_f64(0.45 + 0.1 * entropy.fraction())
}

/// When to try again after `failures` in a row, this one included.
pub(super) fn retry(
    now: Timestamp,
    failures: u32,
    error: &CallError,
    entropy: &dyn Entropy,
) -> Timestamp {
    let (first, longest) = match error {
        CallError::Credentials { .. } => BROKEN,
        CallError::NotFound => (FIRST, NOT_THERE),
        _ => (FIRST, LONGEST),
    };
    let step = first
        .saturating_mul(1 << failures.saturating_sub(1).min(16))
        .min(longest);
    let jittered = step.mul_f64(0.8 + 0.4 * entropy.fraction());
    now + jittered.max(error.retry_after().unwrap_or_default())
}

/// When to try again what Graph refuses for good.
pub(super) fn after_refusal(now: Timestamp, entropy: &dyn Entropy) -> Timestamp {
    now + REFUSED.mul_f64(0.9 + 0.2 * entropy.fraction())
}

/// Until when a renewal that Graph asked for waits since another one was sent; `None` if it need not, or must not.
pub(super) fn wait_since(
    last: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    now: Timestamp,
) -> Option<Timestamp> {
    let until = last? + APART;
    let in_time = expires_at.is_none_or(|end| until + Duration::from_mins(1) < end);
    (now < until && in_time).then_some(until)
}

#[cfg(test)]
mod tests {
    use tidings_domain::entropy::SeededEntropy;
    use tidings_graph::throttle::Throttle;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(0);

    #[test]
    fn renewal_lies_around_the_half_and_before_the_last_third() {
        let entropy = SeededEntropy::new(1);
        for minutes in [45, 60, 4_230, 10_000] {
            let life = Duration::from_mins(minutes);
            for _ in 0..100 {
                let wait = NOW.until(renewal(NOW, NOW + life, &entropy));
                assert!(
                    (life.mul_f64(0.44)..=life * 2 / 3).contains(&wait),
                    "{wait:?}"
                );
            }
        }
    }

    #[test]
    fn what_graph_asks_for_waits_for_the_last_time_but_not_beyond_the_end() {
        let mins = |minutes| NOW + Duration::from_mins(minutes);
        assert_eq!(wait_since(None, Some(mins(60)), mins(1)), None);
        assert_eq!(
            wait_since(Some(NOW), Some(mins(60)), mins(9)),
            Some(mins(10))
        );
        assert_eq!(wait_since(Some(NOW), Some(mins(60)), mins(10)), None);
        assert_eq!(wait_since(Some(NOW), Some(mins(11)), mins(9)), None);
    }

    #[test]
    fn each_that_is_made_anew_has_a_time_of_its_own() {
        let mut replacements = Replacements::default();
        let first = replacements.next(NOW);
        let second = replacements.next(NOW);
        assert!(NOW < first && first < second);
        let later = NOW + Duration::from_hours(1);
        assert!(replacements.next(later) > later);
    }

    #[test]
    fn retries_come_later_each_time_and_honour_the_server() {
        let entropy = SeededEntropy::new(1);
        let down = CallError::Unavailable {
            detail: String::new(),
            retry_after: None,
        };
        let wait = |failures, error: &CallError| NOW.until(retry(NOW, failures, error, &entropy));
        assert!(wait(1, &down) < Duration::from_secs(3));
        assert!(wait(5, &down) > Duration::from_secs(20));
        assert!(wait(1_000, &down) <= LONGEST.mul_f64(1.2));
        let throttled = CallError::Throttled {
            retry_after: Some(Duration::from_mins(20)),
            throttle: Throttle::default(),
        };
        assert_eq!(wait(1, &throttled), Duration::from_mins(20));
    }
}
