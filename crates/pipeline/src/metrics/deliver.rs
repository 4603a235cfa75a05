//! Sending to webhooks.

use std::time::Duration;

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use tidings_domain::delivery::AttemptOutcome;

use super::{counters, seconds};

/// Counts attempts, and shows how many are under way.
#[derive(Clone, Debug)]
pub struct DeliverMetrics {
    attempts: [Counter; AttemptOutcome::ALL.len()],
    seconds: Histogram,
    dead: Counter,
    disabled: Counter,
    /// Attempts under way.
    pub in_flight: Gauge,
    /// Deliveries that are in memory, waiting for their turn.
    pub in_memory: Gauge,
}

impl DeliverMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let registry = registry.sub_registry_with_prefix("deliver");
        let attempts = Family::default();
        let (seconds, dead, disabled) = (seconds(), Counter::default(), Counter::default());
        let (in_flight, in_memory) = (Gauge::default(), Gauge::default());
        registry.register("attempts", "Attempts by outcome", attempts.clone());
        registry.register(
            "attempt_seconds",
            "How long an attempt took, the answer's body included",
            seconds.clone(),
        );
        registry.register(
            "dead",
            "Deliveries given up after their last attempt",
            dead.clone(),
        );
        registry.register(
            "webhooks_disabled",
            "Webhooks disabled after failing or by a 410",
            disabled.clone(),
        );
        registry.register("in_flight", "Attempts under way", in_flight.clone());
        registry.register(
            "in_memory",
            "Deliveries in memory, waiting for their turn",
            in_memory.clone(),
        );
        Self {
            attempts: counters(&attempts, AttemptOutcome::ALL.map(AttemptOutcome::as_str)),
            seconds,
            dead,
            disabled,
            in_flight,
            in_memory,
        }
    }

    /// An attempt ended.
    pub fn attempt(&self, outcome: AttemptOutcome, took: Duration) {
        self.attempts[outcome as usize].inc();
        self.seconds.observe(took.as_secs_f64());
    }

    /// A delivery was given up.
    pub fn dead(&self) {
        self.dead.inc();
    }

    /// A webhook was disabled.
    pub fn disabled(&self) {
        self.disabled.inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_a_counter_at_its_own_place() {
        for (place, outcome) in AttemptOutcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, place);
        }
    }
}
