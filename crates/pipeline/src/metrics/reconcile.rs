//! Comparing what Graph has with what the app was told.

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::counters;

/// Counts rounds of reconciling.
#[derive(Clone, Debug)]
pub struct ReconcileMetrics {
    rounds: [Counter; 2],
    pages: Counter,
    finds: Counter,
    resyncs: Counter,
    /// Rounds under way.
    pub rounds_in_flight: Gauge,
}

impl ReconcileMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let registry = registry.sub_registry_with_prefix("reconcile");
        let rounds = Family::default();
        let (pages, finds, resyncs) = (Counter::default(), Counter::default(), Counter::default());
        let rounds_in_flight = Gauge::default();
        registry.register("rounds", "Rounds by result", rounds.clone());
        registry.register("pages", "Answers that were compared", pages.clone());
        registry.register(
            "finds",
            "Items that may be news and went to enrich",
            finds.clone(),
        );
        registry.register(
            "resyncs",
            "How often Graph wanted everything enumerated again",
            resyncs.clone(),
        );
        registry.register(
            "rounds_in_flight",
            "Rounds under way",
            rounds_in_flight.clone(),
        );
        Self {
            rounds: counters(&rounds, ["done", "cut_short"]),
            pages,
            finds,
            resyncs,
            rounds_in_flight,
        }
    }

    /// A round ended, or was cut short.
    pub fn round(&self, done: bool) {
        self.rounds[usize::from(!done)].inc();
    }

    /// An answer was compared, with so many finds.
    pub fn page(&self, finds: u64) {
        self.pages.inc();
        self.finds.inc_by(finds);
    }

    /// Graph wanted everything enumerated again.
    pub fn resync(&self) {
        self.resyncs.inc();
    }
}
