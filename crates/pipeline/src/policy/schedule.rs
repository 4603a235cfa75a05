//! When Graph is asked next who there is.

use std::time::Duration;

use tidings_domain::{Entropy, Timestamp, config::PolicyConfig};
use tidings_graph::{CallError, resource::Each};

/// An expansion whose connection is not known yet is looked at again after this.
pub(super) const NOT_YET: Duration = Duration::from_mins(1);
/// How long a row may take to be removed before another one can be made.
pub(super) const GOING: Duration = Duration::from_mins(1);
/// The wait after the first failure; it doubles with each.
const FIRST: Duration = Duration::from_secs(10);
/// The longest wait between two tries.
const LONGEST: Duration = Duration::from_hours(1);

/// When to look again after all was well.
pub(super) fn next(
    now: Timestamp,
    each: Option<Each>,
    config: &PolicyConfig,
    entropy: &dyn Entropy,
) -> Timestamp {
    let wait = match each {
        Some(Each::User) => config.interval.0,
        Some(Each::Team) => config.listing.0,
        // There is nothing to ask for: only what somebody has removed by hand is made anew.
        None => config.whole.0,
    };
    // Many connections that were made at one time need not ask at one time for ever.
    now + wait.mul_f64(0.9 + 0.1 * entropy.fraction())
}

/// When to go on after `failures` in a row, this one included.
pub(super) fn retry(
    now: Timestamp,
    failures: u32,
    error: &CallError,
    entropy: &dyn Entropy,
) -> Timestamp {
    let step = if matches!(error, CallError::Forbidden { .. }) {
        // Somebody has to give the app a permission.
        LONGEST
    } else {
        FIRST
            .saturating_mul(1 << failures.saturating_sub(1).min(16))
            .min(LONGEST)
    };
    let jittered = step.mul_f64(0.8 + 0.4 * entropy.fraction());
    now + jittered.max(error.retry_after().unwrap_or_default())
}

/// What went wrong, and what to do about it where that is known.
pub(super) fn told(error: &CallError, each: Option<Each>) -> String {
    let permission = match each {
        Some(Each::Team) => "Team.ReadBasic.All",
        _ => "User.Read.All",
    };
    match error {
        CallError::Forbidden { .. } => format!(
            "{error}. To find out who there is, the app needs the application permission {permission}: give it that, and \
             have an administrator consent to it."
        ),
        _ => error.to_string(),
    }
}
