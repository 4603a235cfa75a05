//! Taking notifications.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};
use tidings_domain::notification::Verdict;

use super::seconds;

/// Counts notifications and the POSTs they come in.
#[derive(Clone, Debug)]
pub struct IngestMetrics {
    verdicts: Vec<Counter>,
    posts: [Counter; STATUSES.len()],
    seconds: Histogram,
    handshakes: Counter,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct VerdictLabel {
    verdict: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct StatusLabel {
    status: &'static str,
}

/// Every status a POST of notifications is answered with, and one word for any other.
const STATUSES: [(u16, &str); 8] = [
    (202, "202"),
    (400, "400"),
    (404, "404"),
    (405, "405"),
    (408, "408"),
    (413, "413"),
    (503, "503"),
    (0, "other"),
];

impl IngestMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let registry = registry.sub_registry_with_prefix("ingest");
        let verdicts = Family::<VerdictLabel, Counter>::default();
        let posts = Family::<StatusLabel, Counter>::default();
        let (seconds, handshakes) = (seconds(), Counter::default());
        registry.register(
            "notifications",
            "Notifications by verdict",
            verdicts.clone(),
        );
        registry.register(
            "posts",
            "POSTs of notifications by the status of their answer",
            posts.clone(),
        );
        registry.register(
            "handshakes",
            "Validation handshakes answered",
            handshakes.clone(),
        );
        registry.register(
            "seconds",
            "From the end of a POST to its answer, the commit included",
            seconds.clone(),
        );
        Self {
            verdicts: Verdict::ALL
                .iter()
                .map(|verdict| {
                    verdicts.get_or_create_owned(&VerdictLabel {
                        verdict: verdict.as_str(),
                    })
                })
                .collect(),
            posts: STATUSES.map(|(_, status)| posts.get_or_create_owned(&StatusLabel { status })),
            seconds,
            handshakes,
        }
    }

    /// A notification got its verdict.
    pub fn verdict(&self, verdict: Verdict) {
        self.verdicts[verdict as usize].inc();
    }

    /// A POST was answered with `status`, `took` after its body had been read.
    pub fn post(&self, status: u16, took: Duration) {
        self.refused(status);
        self.seconds.observe(took.as_secs_f64());
    }

    /// A POST was answered with `status` before its body was looked at.
    pub fn refused(&self, status: u16) {
        let place = STATUSES
            .iter()
            .position(|&(known, _)| known == status)
            .unwrap_or(STATUSES.len() - 1);
        self.posts[place].inc();
    }

    /// A validation handshake was answered.
    pub fn handshake(&self) {
        self.handshakes.inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verdict_has_a_counter_at_its_own_place() {
        for (place, &verdict) in Verdict::ALL.iter().enumerate() {
            assert_eq!(verdict as usize, place);
        }
    }
}
