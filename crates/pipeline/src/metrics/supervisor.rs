//! Loops that had to be restarted.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

/// Counts restarts. More than none is a defect worth reporting.
#[derive(Clone, Debug)]
pub struct SupervisorMetrics {
    restarts: Family<NameLabel, Counter>,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct NameLabel {
    name: &'static str,
}

impl SupervisorMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let registry = registry.sub_registry_with_prefix("supervisor");
        let restarts = Family::default();
        registry.register(
            "restarts",
            "Loops that panicked or ended and were restarted",
            restarts.clone(),
        );
        Self { restarts }
    }

    /// The loop `name` is restarted.
    pub fn restarted(&self, name: &'static str) {
        self.restarts.get_or_create(&NameLabel { name }).inc();
    }
}
