//! Keeping Graph's subscriptions alive.

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::counters;

/// Counts calls about subscriptions.
#[derive(Clone, Debug)]
pub struct SubscribeMetrics {
    calls: [Counter; CallResult::ALL.len()],
    /// Calls under way.
    pub in_flight: Gauge,
}

/// What came of one call about a subscription.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CallResult {
    /// Graph did what was asked.
    Done,
    /// Graph asked for less.
    Throttled,
    /// Sign-in refused the credentials.
    Credentials,
    /// The subscription is not there any more.
    NotFound,
    /// Another one with the same resource and change types exists.
    Conflict,
    /// Graph refused for good.
    Rejected,
    /// Graph did not answer, or not with what was asked for.
    Failed,
}

impl CallResult {
    /// Every result.
    pub const ALL: [Self; 7] = [
        Self::Done,
        Self::Throttled,
        Self::Credentials,
        Self::NotFound,
        Self::Conflict,
        Self::Rejected,
        Self::Failed,
    ];

    /// The result's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Throttled => "throttled",
            Self::Credentials => "credentials",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
        }
    }
}

impl SubscribeMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let registry = registry.sub_registry_with_prefix("subscribe");
        let calls = Family::default();
        let in_flight = Gauge::default();
        registry.register(
            "calls",
            "Calls about subscriptions by result",
            calls.clone(),
        );
        registry.register(
            "in_flight",
            "Calls about subscriptions under way",
            in_flight.clone(),
        );
        Self {
            calls: counters(&calls, CallResult::ALL.map(CallResult::as_str)),
            in_flight,
        }
    }

    /// A call ended.
    pub fn call(&self, result: CallResult) {
        self.calls[result as usize].inc();
    }
}
