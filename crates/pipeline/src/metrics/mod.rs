//! What is counted and measured, in Prometheus's terms.
//!
//! One file a stage. Names carry their units; labels come from closed sets of words, never from what strangers send,
//! so that the number of series has a limit.

use std::{fmt, sync::Arc};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};

mod deliver;
mod enrich;
mod ingest;
mod nodes;
mod reconcile;
mod store;
mod subscribe;
mod supervisor;

pub use deliver::DeliverMetrics;
pub use enrich::{EnrichMetrics, FetchResult};
pub use ingest::IngestMetrics;
pub use nodes::{NodesMetrics, Stage};
pub use reconcile::ReconcileMetrics;
pub use store::StoreMetrics;
pub use subscribe::{CallResult, SubscribeMetrics};
pub use supervisor::SupervisorMetrics;

/// All of one gateway's metrics. A value, so that two gateways in one process count apart; clones are the same metrics.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    /// Taking notifications.
    pub ingest: IngestMetrics,
    /// Fetching what changed.
    pub enrich: EnrichMetrics,
    /// Sending to webhooks.
    pub deliver: DeliverMetrics,
    /// Keeping Graph's subscriptions alive.
    pub subscribe: SubscribeMetrics,
    /// Comparing what Graph has with what the app was told.
    pub reconcile: ReconcileMetrics,
    /// Sharing the work with other nodes.
    pub nodes: NodesMetrics,
    /// What waits in the store.
    pub store: StoreMetrics,
    /// Loops that had to be restarted.
    pub supervisor: SupervisorMetrics,
}

impl Metrics {
    /// Metrics that have counted nothing.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("tidings");
        Self {
            ingest: IngestMetrics::register(&mut registry),
            enrich: EnrichMetrics::register(&mut registry),
            deliver: DeliverMetrics::register(&mut registry),
            subscribe: SubscribeMetrics::register(&mut registry),
            reconcile: ReconcileMetrics::register(&mut registry),
            nodes: NodesMetrics::register(&mut registry),
            store: StoreMetrics::register(&mut registry),
            supervisor: SupervisorMetrics::register(&mut registry),
            registry: Arc::new(registry),
        }
    }

    /// All of them in the `OpenMetrics` text format, version 1.0.0.
    pub fn encode(&self) -> String {
        let mut text = String::with_capacity(16 * 1024);
        // Writing to a `String` does not fail; half a text would still be the truth about the first half.
        if let Err(error) = encode(&mut text, &self.registry) {
            tracing::error!(%error, "metrics could not be written in full");
        }
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics(…)")
    }
}

/// The one label most families have: what came of it.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ResultLabel {
    result: &'static str,
}

/// A counter for each word of a closed set, resolved once: counting takes no lock and no look-up.
fn counters<const N: usize>(
    family: &Family<ResultLabel, Counter>,
    words: [&'static str; N],
) -> [Counter; N] {
    words.map(|result| family.get_or_create_owned(&ResultLabel { result }))
}

/// Seconds from a quarter of a millisecond to half a minute: notifications, fetches and deliveries all lie within.
fn seconds() -> Histogram {
    Histogram::new([
        0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 3.0,
        5.0, 10.0, 15.0, 30.0,
    ])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tidings_domain::{Timestamp, delivery::AttemptOutcome, notification::Verdict};
    use tidings_storage::record::StoreHealth;

    use super::*;

    #[test]
    fn what_was_counted_stands_in_the_text_under_its_name_and_unit() {
        let metrics = Metrics::new();
        metrics.ingest.verdict(Verdict::Accepted);
        metrics.ingest.verdict(Verdict::WrongTenant);
        metrics.ingest.post(202, Duration::from_millis(2));
        metrics
            .enrich
            .fetched(FetchResult::Fetched, Duration::from_millis(30));
        metrics
            .deliver
            .attempt(AttemptOutcome::Success, Duration::from_millis(5));
        metrics.subscribe.call(CallResult::Done);
        metrics.store.fill(
            &StoreHealth {
                trouble: None,
                queued_notifications: 7,
                pending_deliveries: 8,
                oldest_waiting: Some(Timestamp::from_millis(1_000)),
            },
            Timestamp::from_millis(3_500),
        );
        metrics.nodes.fill(tidings_domain::shard::ShardSet::ALL);
        metrics.nodes.signal(tidings_storage::Signal::Queued);
        let text = metrics.encode();
        for line in [
            "tidings_ingest_notifications_total{verdict=\"accepted\"} 1\n",
            "tidings_ingest_notifications_total{verdict=\"wrong_tenant\"} 1\n",
            "tidings_ingest_posts_total{status=\"202\"} 1\n",
            "tidings_ingest_seconds_count 1\n",
            "tidings_enrich_fetches_total{result=\"fetched\"} 1\n",
            "tidings_deliver_attempts_total{result=\"success\"} 1\n",
            "tidings_subscribe_calls_total{result=\"done\"} 1\n",
            "tidings_store_queued_notifications 7\n",
            "tidings_store_pending_deliveries 8\n",
            "tidings_store_oldest_waiting_seconds 2.5\n",
            "tidings_store_up 1\n",
            "tidings_nodes_shards_held 64\n",
            "tidings_nodes_fenced_total{stage=\"enrich\"} 0\n",
            "tidings_nodes_signals_total{signal=\"queued\"} 1\n",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
