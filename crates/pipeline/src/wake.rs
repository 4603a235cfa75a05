//! A hint from one stage to the next that there is work.

use std::sync::Arc;

use tokio::sync::Notify;

/// Tells one waiting loop that there may be work. Clones are the same hint.
///
/// It is never the truth: the queue is in the store, and a loop that is woken for nothing, or that looks by itself
/// after a while, does no harm. A wake that comes before the wait is kept for it; several count as one.
#[derive(Clone, Debug, Default)]
pub struct Wake(Arc<Notify>);

impl Wake {
    /// A hint that nobody has given yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Wakes the loop that waits, or the next one to wait.
    pub fn wake(&self) {
        self.0.notify_one();
    }

    /// Wakes when what this gives is dropped: also when whoever holds it is given up half-way.
    #[must_use]
    pub const fn at_the_end(&self) -> WakeOnDrop<'_> {
        WakeOnDrop(self)
    }

    /// Waits until somebody has called [`Wake::wake`] since the last wait ended.
    pub async fn wait(&self) {
        self.0.notified().await;
    }
}

/// Wakes when it goes, however that comes about.
#[derive(Debug)]
pub struct WakeOnDrop<'a>(&'a Wake);

impl Drop for WakeOnDrop<'_> {
    fn drop(&mut self) {
        self.0.wake();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_wake_before_the_wait_is_not_lost_and_two_count_as_one() {
        let wake = Wake::new();
        let other = wake.clone();
        other.wake();
        other.wake();
        assert_eq!(wake.wait().now_or_never(), Some(()));
        assert_eq!(wake.wait().now_or_never(), None);
    }
}
