//! Fetching what changed.

use std::time::Duration;

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use super::{counters, seconds};

/// Counts fetches, and shows how many notifications are being worked on.
#[derive(Clone, Debug)]
pub struct EnrichMetrics {
    fetches: [Counter; FetchResult::ALL.len()],
    calls: [Counter; 2],
    seconds: Histogram,
    events: Counter,
    merged: Counter,
    /// Notifications that are in memory, waiting or under way.
    pub in_memory: Gauge,
    /// Fetches under way.
    pub in_flight: Gauge,
}

/// What came of one GET of a changed item.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FetchResult {
    /// The object came.
    Fetched,
    /// It is not there (any more).
    NotFound,
    /// This app may not read it.
    Forbidden,
    /// It is larger than an event may be.
    TooLarge,
    /// Graph asked for less.
    Throttled,
    /// Sign-in refused the credentials.
    Credentials,
    /// Graph did not answer, or not with what was asked for.
    Failed,
}

impl FetchResult {
    /// Every result.
    pub const ALL: [Self; 7] = [
        Self::Fetched,
        Self::NotFound,
        Self::Forbidden,
        Self::TooLarge,
        Self::Throttled,
        Self::Credentials,
        Self::Failed,
    ];

    /// The result's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fetched => "fetched",
            Self::NotFound => "not_found",
            Self::Forbidden => "forbidden",
            Self::TooLarge => "too_large",
            Self::Throttled => "throttled",
            Self::Credentials => "credentials",
            Self::Failed => "failed",
        }
    }
}

impl EnrichMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let registry = registry.sub_registry_with_prefix("enrich");
        let fetches = Family::default();
        let calls = Family::default();
        let (seconds, events, merged) = (seconds(), Counter::default(), Counter::default());
        let (in_memory, in_flight) = (Gauge::default(), Gauge::default());
        registry.register(
            "fetches",
            "GETs of changed items by result",
            fetches.clone(),
        );
        registry.register(
            "calls",
            "Calls to Graph that fetched one changed item, or several as a batch",
            calls.clone(),
        );
        registry.register(
            "fetch_seconds",
            "How long a GET of a changed item took",
            seconds.clone(),
        );
        registry.register("events", "Events made", events.clone());
        registry.register(
            "merged",
            "Notifications told by the event of a later one of the same item",
            merged.clone(),
        );
        registry.register(
            "in_memory",
            "Notifications in memory, waiting or under way",
            in_memory.clone(),
        );
        registry.register("in_flight", "GETs under way", in_flight.clone());
        Self {
            fetches: counters(&fetches, FetchResult::ALL.map(FetchResult::as_str)),
            calls: counters(&calls, ["single", "batch"]),
            seconds,
            events,
            merged,
            in_memory,
            in_flight,
        }
    }

    /// A call for so many items ended.
    pub fn call(&self, items: usize) {
        if items > 0 {
            self.calls[usize::from(items > 1)].inc();
        }
    }

    /// A GET ended.
    pub fn fetched(&self, result: FetchResult, took: Duration) {
        self.fetches[result as usize].inc();
        self.seconds.observe(took.as_secs_f64());
    }

    /// Notifications were told by the event of a later one.
    pub fn merged(&self, count: u64) {
        self.merged.inc_by(count);
    }

    /// Events were committed.
    pub fn events(&self, count: u64) {
        self.events.inc_by(count);
    }
}
