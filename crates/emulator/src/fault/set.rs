//! The faults that are set, and whom they hit.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use tidings_domain::{Entropy, entropy::SeededEntropy};
use tokio::sync::watch;

use super::Fault;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{Hits, RetryAfter, Target};

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
                call: None,
                target: Target::Graph,
                retry_after: RetryAfter::Text("2.128".into()),
            }
        );
        assert!(read(r#"{"kind":"outage","mode":{"status":503},"target":"both"}"#).is_ok());
        assert!(read(r#"{"kind":"outage","mode":"close"}"#).is_ok());
        assert!(read(r#"{"kind":"earthquake"}"#).is_err());
    }
}
