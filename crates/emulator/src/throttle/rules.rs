//! Whether limits on calls are enforced, and how.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Quotas;

/// Whether limits on calls are enforced, and how refusals look. Use is counted in any case.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Throttling {
    /// Whether a call beyond a limit is answered with 429. Off, so that a benchmark is no matter of minutes.
    pub enforced: bool,
    /// The form of `Retry-After`.
    pub retry_after: Wait,
    /// The limits.
    pub quotas: Quotas,
}

/// The form of the `Retry-After` that a real limit gives.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Wait {
    /// `2.128`, as in an older sample of Microsoft's.
    Decimal,
    /// No header: some services send none.
    Missing,
    /// `3`.
    #[default]
    Seconds,
}

impl Wait {
    /// The value of the header for a wait.
    pub(super) fn text(self, wait: Duration) -> Option<String> {
        match self {
            Self::Decimal => {
                // Up, so that who keeps to it is early nowhere.
                let millis = wait.as_nanos().div_ceil(1_000_000);
                Some(format!("{}.{:03}", millis / 1_000, millis % 1_000))
            }
            Self::Missing => None,
            Self::Seconds => {
                let seconds = wait.as_millis().div_ceil(1_000).max(1);
                Some(seconds.to_string())
            }
        }
    }
}
