//! What waits in the store.

use std::sync::atomic::AtomicU64;

use prometheus_client::{metrics::gauge::Gauge, registry::Registry};
use tidings_domain::Timestamp;
use tidings_storage::record::StoreHealth;

/// Shows how long the queues are. Filled when somebody looks, so that a gateway nobody watches does not count for it.
#[derive(Clone, Debug)]
pub struct StoreMetrics {
    up: Gauge,
    queued_notifications: Gauge,
    pending_deliveries: Gauge,
    oldest_waiting: Gauge<f64, AtomicU64>,
}

impl StoreMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let registry = registry.sub_registry_with_prefix("store");
        let this = Self {
            up: Gauge::default(),
            queued_notifications: Gauge::default(),
            pending_deliveries: Gauge::default(),
            oldest_waiting: Gauge::default(),
        };
        registry.register(
            "up",
            "1 while the store takes writes, else 0",
            this.up.clone(),
        );
        registry.register(
            "queued_notifications",
            "Accepted notifications that wait for enrich",
            this.queued_notifications.clone(),
        );
        registry.register(
            "pending_deliveries",
            "Deliveries that wait for an attempt, held ones included",
            this.pending_deliveries.clone(),
        );
        registry.register(
            "oldest_waiting_seconds",
            "Age of the oldest notification or delivery that waits",
            this.oldest_waiting.clone(),
        );
        this
    }

    /// Takes over what the store says of itself.
    pub fn fill(&self, health: &StoreHealth, now: Timestamp) {
        self.up.set(i64::from(health.trouble.is_none()));
        self.queued_notifications
            .set(whole(health.queued_notifications));
        self.pending_deliveries
            .set(whole(health.pending_deliveries));
        let age = health
            .oldest_waiting
            .map(|oldest| now.since(oldest))
            .unwrap_or_default();
        self.oldest_waiting.set(age.as_secs_f64());
    }
}

fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
