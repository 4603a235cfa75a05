//! What goes wrong on purpose.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use serde::{Deserialize, Serialize};
use tidings_domain::{Entropy, entropy::SeededEntropy};
use tokio::sync::watch;

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
        /// Who is down.
        #[serde(default)]
        target: Target,
        /// How it shows.
        mode: Outage,
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
    /// Calls are answered with 429.
    Throttle {
        /// Which calls.
        #[serde(flatten)]
        hits: Hits,
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

/// The faults that are set.
#[derive(Debug)]
pub(crate) struct Faults {
    /// How many are set: nothing is locked while there are none.
    set: AtomicUsize,
    list: Mutex<Vec<Fault>>,
    entropy: SeededEntropy,
    cleared: watch::Sender<()>,
}

impl Faults {
    /// None; what they hit by chance is decided by `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            set: AtomicUsize::new(0),
            list: Mutex::default(),
            // Another stream than the directory's.
            entropy: SeededEntropy::new(seed ^ 0x6661_756c_7473),
            cleared: watch::Sender::new(()),
        }
    }

    /// Sets another fault beside those that are set.
    pub(crate) fn add(&self, fault: Fault) {
        let mut faults = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        faults.push(fault);
        self.set.store(faults.len(), Ordering::Release);
    }

    /// Those that are set, with what they have left.
    pub(crate) fn all(&self) -> Vec<Fault> {
        self.list
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Ends all of them.
    pub(crate) fn clear(&self) {
        let mut faults = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        faults.clear();
        self.set.store(0, Ordering::Release);
        self.cleared.send_replace(());
    }

    /// News of the next clearing.
    pub(crate) fn clearing(&self) -> watch::Receiver<()> {
        self.cleared.subscribe()
    }

    /// The first set fault of which `pick` makes something, if it hits; it then has one hit less. Nothing can be cleared
    /// while `pick` runs.
    pub(crate) fn hit<T>(&self, mut pick: impl FnMut(&Fault) -> Option<T>) -> Option<T> {
        if self.set.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut faults = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        for place in 0..faults.len() {
            let Some(found) = pick(&faults[place]) else {
                continue;
            };
            let Some(hits) = faults[place].hits_mut() else {
                return Some(found);
            };
            let entropy: &dyn Entropy = &self.entropy;
            if hits.rate < 1.0 && entropy.fraction() >= hits.rate {
                continue;
            }
            if let Some(left) = &mut hits.count {
                *left = left.saturating_sub(1);
                if *left == 0 {
                    faults.remove(place);
                    self.set.store(faults.len(), Ordering::Release);
                }
            }
            return Some(found);
        }
        None
    }

    /// A random number from the seed, below `limit`.
    pub(crate) fn draw(&self, limit: usize) -> usize {
        let entropy: &dyn Entropy = &self.entropy;
        let limit = u64::try_from(limit.max(1)).unwrap_or(u64::MAX);
        usize::try_from(entropy.u64() % limit).unwrap_or(0)
    }
}

impl Fault {
    fn hits_mut(&mut self) -> Option<&mut Hits> {
        match self {
            Self::Delay { hits, .. }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn drop(count: Option<u32>, rate: f64) -> Fault {
        Fault::Drop {
            hits: Hits { count, rate },
            missed: false,
        }
    }

    fn is_drop(fault: &Fault) -> Option<()> {
        matches!(fault, Fault::Drop { .. }).then_some(())
    }

    #[test]
    fn a_fault_hits_as_often_as_it_says() {
        let faults = Faults::new(1);
        faults.add(drop(Some(2), 1.0));
        assert_eq!((0..4).filter(|_| faults.hit(is_drop).is_some()).count(), 2);
        assert!(faults.all().is_empty());
    }

    #[test]
    fn chance_repeats_with_the_seed() {
        let pattern = |seed| {
            let faults = Faults::new(seed);
            faults.add(drop(None, 0.3));
            (0..100)
                .map(|_| faults.hit(is_drop).is_some())
                .collect::<Vec<_>>()
        };
        assert_eq!(pattern(4), pattern(4));
        assert_ne!(pattern(4), pattern(5));
        let hit = pattern(4).into_iter().filter(|hit| *hit).count();
        assert!((10..60).contains(&hit), "{hit}");
    }

    #[test]
    fn a_fault_is_read_from_json() {
        let read = |json: &str| serde_json::from_str::<Fault>(json);
        assert_eq!(
            read(r#"{"kind":"throttle","count":3,"retry_after":{"text":"2.128"}}"#).unwrap(),
            Fault::Throttle {
                hits: Hits {
                    count: Some(3),
                    rate: 1.0
                },
                target: Target::Graph,
                retry_after: RetryAfter::Text("2.128".into()),
            }
        );
        assert!(read(r#"{"kind":"outage","mode":{"status":503},"target":"both"}"#).is_ok());
        assert!(read(r#"{"kind":"outage","mode":"close"}"#).is_ok());
        assert!(read(r#"{"kind":"earthquake"}"#).is_err());
    }
}
