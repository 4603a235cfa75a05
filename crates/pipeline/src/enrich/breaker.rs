//! When a tenant's Graph is left alone.

use std::time::Duration;

use tidings_domain::Entropy;

use super::lanes::CallNumber;

/// So many failures in a row, and calls to this tenant stop but for a probe.
const FAILURES: u32 = 5;
/// The wait before the first probe; it doubles with each that fails.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait before a probe: a tenant that is back is noticed within this.
const LONGEST_WAIT: Duration = Duration::from_mins(1);
/// The same when credentials are broken: only a person can mend that.
const LONGEST_WAIT_BROKEN: Duration = Duration::from_mins(5);
/// Broken credentials are not asked about more often than this.
const FIRST_WAIT_BROKEN: Duration = Duration::from_secs(15);

/// What a call to a tenant's Graph came to, as far as the tenant is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contact {
    /// Graph answered; what it said of the item does not matter here.
    Answered,
    /// The same, and that so much of a limit is used up, in percent.
    Near(u16),
    /// It asks for fewer calls.
    Throttled(Whose, Option<Duration>),
    /// It was not asked after all.
    NotAsked,
    /// It did not answer, and may have said for how long it will not.
    Failed(Option<Duration>),
    /// Sign-in refused the credentials.
    Broken,
}

/// Whose limit it is that was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    App,
    Mailbox,
    Tenant,
}

/// Whether a tenant may be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Breaker {
    failures: u32,
    /// The call that failed last: all items of a batch fail with it, and that is one failure.
    last_failed: Option<CallNumber>,
    wait: Duration,
    /// Shut until then, on the monotonic clock.
    shut_until: Option<Duration>,
}

impl Breaker {
    /// Until when nothing may be asked; from then on one call at a time.
    pub(super) fn shut_until(&self) -> Option<Duration> {
        self.shut_until
    }

    /// Whether there is nothing to remember.
    pub(super) fn is_fresh(&self) -> bool {
        self.failures == 0
    }

    /// Takes note of what an item's part of a call came to; `true` if it shut the breaker.
    pub(super) fn note(
        &mut self,
        contact: Contact,
        call: CallNumber,
        now: Duration,
        entropy: &dyn Entropy,
    ) -> bool {
        let (first, longest, asked) = match contact {
            Contact::NotAsked => return false,
            // Who asks for fewer calls is there; how much is asked then is another matter.
            Contact::Answered | Contact::Near(_) | Contact::Throttled(..) => {
                *self = Self::default();
                return false;
            }
            Contact::Failed(asked) => (FIRST_WAIT, LONGEST_WAIT, asked.unwrap_or_default()),
            Contact::Broken => (FIRST_WAIT_BROKEN, LONGEST_WAIT_BROKEN, Duration::ZERO),
        };
        if self.last_failed.replace(call) == Some(call) {
            return false;
        }
        self.failures = self.failures.saturating_add(1);
        // A call that began before the breaker shut tells nothing new.
        if self.shut_until.is_some_and(|until| now < until) {
            return false;
        }
        if contact != Contact::Broken && self.failures < FAILURES {
            return false;
        }
        self.wait = (self.wait * 2).clamp(first, longest);
        let jittered = self.wait.mul_f64(0.8 + 0.4 * entropy.fraction());
        self.shut_until = Some(now + jittered.max(asked.min(longest)));
        true
    }
}

#[cfg(test)]
mod tests {
    use tidings_domain::entropy::SeededEntropy;

    use super::*;

    #[test]
    fn it_shuts_after_some_failures_and_waits_longer_each_time() {
        let entropy = SeededEntropy::new(1);
        let mut breaker = Breaker::default();
        let mut now = Duration::ZERO;
        let mut calls = (1..).map(CallNumber);
        let mut call = || calls.next().unwrap();
        let failed = Contact::Failed(None);
        for _ in 1..FAILURES {
            let call = call();
            assert!(!breaker.note(failed, call, now, &entropy));
            // Another item of the same call.
            assert!(!breaker.note(failed, call, now, &entropy));
        }
        assert!(breaker.note(failed, call(), now, &entropy));
        let mut last = Duration::ZERO;
        for _ in 0..6 {
            let until = breaker.shut_until().unwrap();
            let wait = until.saturating_sub(now);
            assert!(wait > last.mul_f64(1.2));
            last = wait;
            now = until;
            assert!(breaker.note(failed, call(), now, &entropy));
        }
        assert!(!breaker.note(Contact::Answered, call(), now, &entropy));
        assert_eq!(breaker, Breaker::default());
    }

    #[test]
    fn broken_credentials_shut_it_at_once_and_a_wish_is_honoured_within_limits() {
        let entropy = SeededEntropy::new(1);
        let mut breaker = Breaker::default();
        assert!(breaker.note(Contact::Broken, CallNumber(1), Duration::ZERO, &entropy));
        assert!(breaker.shut_until().unwrap() >= Duration::from_secs(12));

        let mut breaker = Breaker {
            failures: FAILURES,
            ..Breaker::default()
        };
        let day = Some(Duration::from_hours(24));
        let failed = Contact::Failed(day);
        assert!(breaker.note(failed, CallNumber(1), Duration::ZERO, &entropy));
        assert_eq!(breaker.shut_until(), Some(LONGEST_WAIT));
    }
}
