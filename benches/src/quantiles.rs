//! Latencies and their quantiles.

use std::time::Duration;

/// Latencies in microseconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latencies(Vec<u32>);

impl Latencies {
    pub(crate) fn record(&mut self, latency: Duration) {
        self.0
            .push(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX));
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The latency that a share of `per_mille` / 1000 stayed below, in milliseconds.
    pub(crate) fn quantile(&mut self, per_mille: usize) -> f64 {
        if self.0.is_empty() {
            return f64::NAN;
        }
        let place = (self.0.len() * per_mille / 1_000).min(self.0.len() - 1);
        let (_, value, _) = self.0.select_nth_unstable(place);
        f64::from(*value) / 1_000.0
    }
}

/// The middle one of some figures.
pub(crate) fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
