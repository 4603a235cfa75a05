//! When a subscription is reconciled next.

use std::time::Duration;

use tidings_domain::{Entropy, Timestamp, config::ReconcileConfig, reconcile::Reconcile};

/// The wait after the first failure; it doubles with each.
const FIRST: Duration = Duration::from_secs(10);
/// The longest wait between two tries.
const LONGEST: Duration = Duration::from_hours(1);

/// When the next round begins after one that has ended.
///
/// A round that somebody asked for is followed by another one soon: Graph's parts learn of a change one after the other,
/// so that a delta query may be too early for a change that was notified, or missed, just now ("use delta query to track
/// changes", replication delays).
pub(super) fn after_round(
    now: Timestamp,
    done: &Reconcile,
    config: &ReconcileConfig,
    entropy: &dyn Entropy,
) -> Timestamp {
    let was_asked_for = done
        .finished_at
        .is_some_and(|finished_at| finished_at < done.asked_at);
    let wait = if was_asked_for && !config.settle.0.is_zero() {
        config.settle.0
    } else {
        config.interval.0
    };
    now + wait.mul_f64(0.9 + 0.2 * entropy.fraction())
}

/// When to go on after `failures` in a row, this one included.
pub(super) fn retry(
    now: Timestamp,
    failures: u32,
    retry_after: Option<Duration>,
    entropy: &dyn Entropy,
) -> Timestamp {
    let step = FIRST
        .saturating_mul(1 << failures.saturating_sub(1).min(16))
        .min(LONGEST);
    let jittered = step.mul_f64(0.8 + 0.4 * entropy.fraction());
    now + jittered.max(retry_after.unwrap_or_default())
}
