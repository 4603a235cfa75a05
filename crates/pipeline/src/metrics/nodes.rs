//! Sharing work with other nodes.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use tidings_domain::shard::ShardSet;
use tidings_storage::Signal;

/// Shows which share of the work this node has, and counts what crosses from one node to another.
#[derive(Clone, Debug)]
pub struct NodesMetrics {
    shards_held: Gauge,
    fenced: [Counter; Stage::ALL.len()],
    signals: Family<SignalLabel, Counter>,
}

/// A stage that works on shards.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stage {
    /// Fetching what changed.
    Enrich,
    /// Sending to webhooks.
    Deliver,
    /// Keeping Graph's subscriptions alive.
    Subscribe,
    /// Comparing what Graph has with what the app was told.
    Reconcile,
    /// Finding out whom policies concern.
    Policy,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct StageLabel {
    stage: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct SignalLabel {
    signal: &'static str,
}

impl Stage {
    /// Every stage.
    pub const ALL: [Self; 5] = [
        Self::Enrich,
        Self::Deliver,
        Self::Subscribe,
        Self::Reconcile,
        Self::Policy,
    ];

    /// The stage's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enrich => "enrich",
            Self::Deliver => "deliver",
            Self::Subscribe => "subscribe",
            Self::Reconcile => "reconcile",
            Self::Policy => "policy",
        }
    }
}

impl NodesMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let registry = registry.sub_registry_with_prefix("nodes");
        let (shards_held, signals) = (Gauge::default(), Family::default());
        let fenced: Family<StageLabel, Counter> = Family::default();
        registry.register(
            "shards_held",
            "Shards that this node may act for, of 64",
            shards_held.clone(),
        );
        registry.register(
            "fenced",
            "Results that were dropped because another node had taken the work over",
            fenced.clone(),
        );
        registry.register(
            "signals",
            "What other nodes did and this one has heard of",
            signals.clone(),
        );
        Self {
            shards_held,
            fenced: Stage::ALL.map(|stage| {
                let stage = stage.as_str();
                fenced.get_or_create_owned(&StageLabel { stage })
            }),
            signals,
        }
    }

    /// Takes over which shards are held. Filled when somebody looks.
    pub fn fill(&self, held: ShardSet) {
        self.shards_held.set(i64::from(held.len()));
    }

    /// A result was dropped.
    pub fn fenced(&self, stage: Stage) {
        self.fenced[stage as usize].inc();
    }

    /// Another node did something.
    pub fn signal(&self, signal: Signal) {
        let signal = match signal {
            Signal::Changed(_) => "changed",
            Signal::ChangedSomehow => "changed_somehow",
            Signal::Due(_) => "due",
            Signal::Queued => "queued",
            Signal::Reconcile => "reconcile",
            Signal::Shards => "shards",
        };
        self.signals.get_or_create(&SignalLabel { signal }).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_has_a_counter_at_its_own_place() {
        for (place, stage) in Stage::ALL.into_iter().enumerate() {
            assert_eq!(stage as usize, place);
        }
    }
}
