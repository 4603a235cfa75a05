//! What goes wrong on purpose.

mod delta;
mod set;

use serde::{Deserialize, Serialize};

pub use delta::DeltaFault;
pub(crate) use set::Faults;

use crate::DeltaOf;

/// One thing that goes wrong on purpose, set by the control API.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fault {
    /// Notifications come some time later.
    Delay {
        /// Which of them.
        #[serde(flatten)]
        hits: Hits,
        /// How much later, in milliseconds.
        ms: u64,
    },
    /// Delta queries go wrong.
    Delta {
        /// Which of them.
        #[serde(flatten)]
        hits: Hits,
        /// Of which collection; of all if it is missing.
        #[serde(default)]
        of: Option<DeltaOf>,
        /// How.
        what: DeltaFault,
    },
    /// Notifications are not sent.
    Drop {
        /// Which of them.
        #[serde(flatten)]
        hits: Hits,
        /// Whether a `missed` lifecycle notification follows at once, where Graph has one.
        #[serde(default)]
        missed: bool,
    },
    /// Notifications are sent twice.
    Duplicate {
        /// Which of them.
        #[serde(flatten)]
        hits: Hits,
    },
    /// Reads of single items are answered with 403.
    Forbidden {
        /// Which of them.
        #[serde(flatten)]
        hits: Hits,
    },
    /// Calls are answered later.
    Lag {
        /// Which of them.
        #[serde(flatten)]
        hits: Hits,
        /// Only calls that are counted under this name: `PATCH subscriptions/{id}`.
        #[serde(default)]
        call: Option<String>,
        /// How much later, in milliseconds.
        ms: u64,
    },
    /// Several items of one URL, of whatever subscription and tenant, come in one POST.
    Merge {
        /// How many.
        size: usize,
        /// How long the first waits for the others, in milliseconds.
        within_ms: u64,
    },
    /// Reads of single items are answered with 404.
    NotFound {
        /// Which of them.
        #[serde(flatten)]
        hits: Hits,
    },
    /// Graph or sign-in are down.
    Outage {
        /// Which calls.
        #[serde(flatten)]
        hits: Hits,
        /// Only calls that are counted under this name.
        #[serde(default)]
        call: Option<String>,
        /// Who is down.
        #[serde(default)]
        target: Target,
        /// How it shows.
        mode: Outage,
        /// The form of `Retry-After`, where it shows as a status: 503 and 504 may have one.
        #[serde(default)]
        retry_after: RetryAfter,
    },
    /// Notifications come in another order: so many are kept back and sent shuffled.
    Reorder {
        /// How many.
        size: usize,
    },
    /// Sign-in refuses with an AADSTS error.
    SignIn {
        /// Which calls.
        #[serde(flatten)]
        hits: Hits,
        /// The number after `AADSTS`.
        code: u32,
    },
    /// Reads of single items show the version before.
    Stale {
        /// Which of them.
        #[serde(flatten)]
        hits: Hits,
    },
    /// Calls are answered with 429. A batch never is, unless `call` names it: its parts are.
    Throttle {
        /// Which calls.
        #[serde(flatten)]
        hits: Hits,
        /// Only calls that are counted under this name.
        #[serde(default)]
        call: Option<String>,
        /// Who throttles.
        #[serde(default)]
        target: Target,
        /// The form of `Retry-After`.
        #[serde(default)]
        retry_after: RetryAfter,
    },
}

/// What a fault hits: the next `count` (all until it is cleared, if missing), each with probability `rate`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Hits {
    /// How many it hits before it is over.
    #[serde(default)]
    pub count: Option<u32>,
    /// The probability, from 0 to 1, drawn from the seed.
    #[serde(default = "always")]
    pub rate: f64,
}

fn always() -> f64 {
    1.0
}

/// Which service.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Graph and sign-in.
    Both,
    /// Graph.
    #[default]
    Graph,
    /// Sign-in.
    SignIn,
}

/// How an outage shows.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outage {
    /// The connection is closed without an answer.
    Close,
    /// There is never an answer, until the fault is cleared.
    Hang,
    /// This status.
    Status(u16),
}

/// The form of `Retry-After`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfter {
    /// An HTTP date this many seconds ahead.
    DateIn(u64),
    /// The header is missing.
    #[default]
    Missing,
    /// This text: `10`, `2.128`, or nonsense.
    Text(String),
}

impl Fault {
    /// What it hits; `None` if that is everything until it is cleared.
    fn hits_mut(&mut self) -> Option<&mut Hits> {
        match self {
            Self::Delay { hits, .. }
            | Self::Delta { hits, .. }
            | Self::Drop { hits, .. }
            | Self::Duplicate { hits }
            | Self::Forbidden { hits }
            | Self::Lag { hits, .. }
            | Self::NotFound { hits }
            | Self::Outage { hits, .. }
            | Self::SignIn { hits, .. }
            | Self::Stale { hits }
            | Self::Throttle { hits, .. } => Some(hits),
            Self::Merge { .. } | Self::Reorder { .. } => None,
        }
    }
}

impl Target {
    /// Whether a fault of this target concerns `service`.
    pub(crate) fn concerns(self, service: Self) -> bool {
        self == Self::Both || self == service
    }
}
