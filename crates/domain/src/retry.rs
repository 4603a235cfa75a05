//! When a failed delivery is tried again.

use std::time::Duration;

use crate::Entropy;

/// The waits between the attempts of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetrySchedule {
    steps: Vec<Duration>,
}

/// The share by which a wait is made longer or shorter at random, so that many failures do not come back at once.
const JITTER: f64 = 0.2;

/// However small the step, a receiver may ask for this much more time.
const RETRY_AFTER_FLOOR: Duration = Duration::from_hours(1);

impl RetrySchedule {
    /// A schedule with these waits; the first follows the first attempt.
    pub fn new(steps: Vec<Duration>) -> Self {
        Self { steps }
    }

    /// How long to wait after `attempts` failed ones; `None` when the schedule is used up.
    ///
    /// `retry_after` is what the receiver asked for. It is honoured where it is longer than the step, up to the larger
    /// of twice the step and one hour: a receiver cannot park deliveries for ever.
    pub fn wait(
        &self,
        attempts: u32,
        retry_after: Option<Duration>,
        entropy: &dyn Entropy,
    ) -> Option<Duration> {
        let place = usize::try_from(attempts).ok()?.checked_sub(1)?;
        let step = *self.steps.get(place)?;
        let jittered = step.mul_f64(1.0 - JITTER + 2.0 * JITTER * entropy.fraction());
        let asked = retry_after
            .unwrap_or_default()
            .min((step * 2).max(RETRY_AFTER_FLOOR));
        Some(jittered.max(asked))
    }

    /// How many attempts a delivery gets in all.
    pub fn attempts(&self) -> usize {
        self.steps.len() + 1
    }
}

impl Default for RetrySchedule {
    /// 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h: the example of the Standard Webhooks specification, about
    /// three days in all.
    fn default() -> Self {
        let minutes = Duration::from_mins;
        let hours = Duration::from_hours;
        Self::new(vec![
            Duration::from_secs(5),
            minutes(5),
            minutes(30),
            hours(2),
            hours(5),
            hours(10),
            hours(14),
            hours(20),
            hours(24),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    #[test]
    fn ten_attempts_and_then_no_more() {
        let schedule = RetrySchedule::default();
        let entropy = SeededEntropy::new(3);
        assert_eq!(schedule.attempts(), 10);
        assert!(schedule.wait(9, None, &entropy).is_some());
        assert_eq!(schedule.wait(10, None, &entropy), None);
    }

    #[test]
    fn waits_stay_within_a_fifth_of_their_step() {
        let schedule = RetrySchedule::default();
        let entropy = SeededEntropy::new(3);
        for _ in 0..1_000 {
            let wait = schedule.wait(2, None, &entropy).unwrap();
            assert!(
                (Duration::from_mins(4)..=Duration::from_mins(6)).contains(&wait),
                "{wait:?}"
            );
        }
    }

    #[test]
    fn retry_after_is_honoured_within_limits() {
        let schedule = RetrySchedule::default();
        let entropy = SeededEntropy::new(3);
        let hour = Duration::from_hours(1);
        assert_eq!(
            schedule.wait(1, Some(Duration::from_secs(90)), &entropy),
            Some(Duration::from_secs(90))
        );
        assert_eq!(schedule.wait(1, Some(hour * 1_000), &entropy), Some(hour));
        assert_eq!(
            schedule.wait(4, Some(hour * 1_000), &entropy),
            Some(hour * 4)
        );
        assert!(
            schedule.wait(1, Some(Duration::ZERO), &entropy).unwrap() >= Duration::from_secs(4)
        );
    }
}
