//! Wakes the writer's thread at a time of the clock.

use std::{sync::Arc, time::Duration};

use tidings_domain::Clock;
use tokio::{runtime::Handle, sync::watch};
use tokio_util::task::TaskTracker;

use super::queue::Queue;

/// At most one wake-up is set; setting another replaces it.
pub(super) struct Alarm {
    at: watch::Sender<Option<Duration>>,
}

impl Alarm {
    /// An alarm that rings `queue`. Its task ends when the alarm is dropped.
    pub(super) fn new(
        queue: Arc<Queue>,
        clock: Arc<dyn Clock>,
        runtime: &Handle,
        tasks: &TaskTracker,
    ) -> Self {
        let (at, changes) = watch::channel(None);
        tasks.spawn_on(ring(changes, queue, clock), runtime);
        Self { at }
    }

    /// Rings at `at` of monotonic time, or a little earlier: whoever is woken looks at the clock itself. An alarm that
    /// is set already and comes earlier is left as it is, since under load the wanted time moves with every batch.
    pub(super) fn set(&self, at: Duration) {
        self.at.send_if_modified(|set| {
            let later = set.is_none_or(|set| set > at);
            if later {
                *set = Some(at);
            }
            later
        });
    }

    /// To be called when the alarm has rung.
    pub(super) fn rang(&self, now: Duration) {
        self.at.send_if_modified(|set| {
            // A timer may be early by its own grain.
            if set.is_some_and(|set| set <= now + Duration::from_millis(1)) {
                *set = None;
            }
            false
        });
    }
}

async fn ring(
    mut changes: watch::Receiver<Option<Duration>>,
    queue: Arc<Queue>,
    clock: Arc<dyn Clock>,
) {
    loop {
        let at = *changes.borrow_and_update();
        if let Some(at) = at {
            let left = at.saturating_sub(clock.monotonic());
            tokio::select! {
                () = clock.sleep(left) => queue.ring(),
                changed = changes.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    continue;
                }
            }
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}
