//! How fast Graph is answered.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// An answer that takes longer is slow for Graph (Microsoft's "Receive change notifications through webhooks" page).
pub const SLOW: Duration = Duration::from_secs(3);

/// Counts answers to Graph. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Answers(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    all: AtomicU64,
    slow: AtomicU64,
}

/// What was answered in a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answered {
    pub(crate) all: u64,
    pub(crate) slow: u64,
}

impl Answers {
    /// Graph had to wait for so long, whether it got an answer or gave up.
    pub fn note(&self, took: Duration) {
        self.0.all.fetch_add(1, Ordering::Relaxed);
        if took > SLOW {
            self.0.slow.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What was answered since this was asked last.
    pub(crate) fn take(&self) -> Answered {
        Answered {
            slow: self.0.slow.swap(0, Ordering::Relaxed),
            all: self.0.all.swap(0, Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_seconds_are_not_slow_yet() {
        let answers = Answers::default();
        for seconds in [0, 3, 4] {
            answers.note(Duration::from_secs(seconds));
        }
        assert_eq!(answers.take(), Answered { all: 3, slow: 1 });
        assert_eq!(answers.take(), Answered::default());
    }
}
