//! What happens next, and when: each kind of change comes at random, independently of all others, as often as its rate says.

use std::time::Duration;

use tidings_domain::{Entropy, Timestamp, entropy::SeededEntropy};

use super::{Action, Kind, Scenario};

const DAY_MS: f64 = 86_400_000.0;

/// When something comes whose rate is next to nothing: beyond any test.
const NEVER: Duration = Duration::from_hours(24 * 365 * 100);

/// What happens when.
#[derive(Debug)]
pub(super) struct Plan {
    entropy: SeededEntropy,
    /// Each change with the sum of the rates up to it.
    choices: Vec<(f64, Kind, Action)>,
    /// Milliseconds between two changes, on average.
    gap_ms: f64,
    next_at: Option<Timestamp>,
}

/// The next change.
pub(super) struct Next {
    /// When it is due.
    pub(super) at: Timestamp,
    /// In which mailbox.
    pub(super) mailbox: usize,
    /// Of what.
    pub(super) kind: Kind,
    /// What is done.
    pub(super) action: Action,
    /// Decides to which thing, and what becomes of it.
    pub(super) draw: u64,
}

impl Plan {
    /// Begins at `now`.
    pub(super) fn new(entropy: SeededEntropy, scenario: &Scenario, now: Timestamp) -> Self {
        let mut choices = Vec::new();
        let mut sum = 0.0;
        for (&kind, rates) in &scenario.daily {
            for (action, rate) in [
                (Action::Create, rates.create),
                (Action::Delete, rates.delete),
                (Action::Move, rates.r#move),
                (Action::Update, rates.update),
            ] {
                if rate > 0.0 && rate.is_finite() {
                    sum += rate;
                    choices.push((sum, kind, action));
                }
            }
        }
        let mailboxes = u32::try_from(scenario.tenants * scenario.mailboxes).unwrap_or(u32::MAX);
        let mut plan = Self {
            entropy,
            choices,
            gap_ms: DAY_MS / (sum * f64::from(mailboxes)),
            next_at: None,
        };
        if plan.gap_ms.is_finite() {
            plan.next_at = Some(now + plan.gap());
        }
        plan
    }

    /// When the next change is due.
    pub(super) fn next_at(&self) -> Option<Timestamp> {
        self.next_at
    }

    /// The next change, in one of so many mailboxes.
    pub(super) fn take(&mut self, mailboxes: usize) -> Option<Next> {
        let at = self.next_at?;
        let (sum, ..) = self.choices.last()?;
        let point = self.fraction() * sum;
        let &(_, kind, action) = self
            .choices
            .iter()
            .find(|(upto, ..)| point < *upto)
            .or(self.choices.last())?;
        let mailbox = usize::try_from(self.draw() % u64::try_from(mailboxes).ok()?).ok()?;
        let next = Next {
            at,
            mailbox,
            kind,
            action,
            draw: self.draw(),
        };
        self.next_at = Some(at + self.gap());
        Some(next)
    }

    /// The time to the next change: exponential, as between events that know nothing of each other.
    fn gap(&self) -> Duration {
        let millis = -self.gap_ms * (1.0 - self.fraction()).ln();
        // At least one millisecond, so that no two changes are due at once.
        Duration::try_from_secs_f64(millis.max(1.0) / 1_000.0).unwrap_or(NEVER)
    }

    fn fraction(&self) -> f64 {
        let entropy: &dyn Entropy = &self.entropy;
        entropy.fraction()
    }

    fn draw(&self) -> u64 {
        let entropy: &dyn Entropy = &self.entropy;
        entropy.u64()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::scenario::Rates;

    const NOW: Timestamp = Timestamp::from_millis(0);

    fn plan(daily: BTreeMap<Kind, Rates>) -> Plan {
        let scenario = Scenario {
            tenants: 2,
            mailboxes: 10,
            daily,
            ..Scenario::default()
        };
        Plan::new(SeededEntropy::new(7), &scenario, NOW)
    }

    #[test]
    fn changes_come_as_often_as_their_rates_say() {
        let rates = Rates {
            create: 1.0,
            update: 3.0,
            ..Rates::default()
        };
        let mut plan = plan(BTreeMap::from([(Kind::Events, rates)]));
        let (mut created, mut updated, mut mailboxes) = (0_u32, 0_u32, [0_u32; 20]);
        let end = Timestamp::from_millis(30 * 86_400_000);
        while plan.next_at().unwrap() < end {
            let next = plan.take(20).unwrap();
            match next.action {
                Action::Create => created += 1,
                Action::Update => updated += 1,
                other => panic!("{other:?}"),
            }
            mailboxes[next.mailbox] += 1;
        }
        // 20 mailboxes in 30 days: 600 and 1,800 on average.
        assert!((500..700).contains(&created), "{created}");
        assert!((1_600..2_000).contains(&updated), "{updated}");
        assert!(mailboxes.iter().all(|count| (60..180).contains(count)));
    }

    #[test]
    fn without_rates_nothing_ever_happens() {
        let mut plan = plan(BTreeMap::new());
        assert_eq!(plan.next_at(), None);
        assert!(plan.take(20).is_none());
    }
}
