//! Keeps loops alive, and ends them in two steps.

use std::{any::Any, future::Future, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use tidings_domain::{Clock, clock::within};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::metrics::SupervisorMetrics;

/// The wait before the first restart; it doubles with each further one.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
/// The longest wait before a restart: a loop that cannot run is tried again at least this often.
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);
/// A loop that ran for this long was healthy: its next restart waits for [`FIRST_BACKOFF`] again.
const HEALTHY: Duration = Duration::from_mins(1);
/// How long a stop waits for tasks after it has cut them off.
const AFTER_CUT: Duration = Duration::from_secs(1);

/// Starts loops, restarts those that panic or return, and ends them all. Clones are the same supervisor.
#[derive(Clone, Debug)]
pub struct Supervisor {
    clock: Arc<dyn Clock>,
    metrics: SupervisorMetrics,
    tasks: TaskTracker,
    soft: CancellationToken,
    hard: CancellationToken,
}

/// How a stop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Everything that was under way had finished.
    Clean,
    /// The time limit passed first, and what was still under way was cut off. The store knows of it: it is done again
    /// at the next start.
    Cut,
}

impl Supervisor {
    /// A supervisor that runs nothing yet.
    pub fn new(clock: Arc<dyn Clock>, metrics: SupervisorMetrics) -> Self {
        Self {
            clock,
            metrics,
            tasks: TaskTracker::new(),
            soft: CancellationToken::new(),
            hard: CancellationToken::new(),
        }
    }

    /// Is cancelled when a stop begins: take nothing new, finish what is under way.
    pub fn soft(&self) -> &CancellationToken {
        &self.soft
    }

    /// Is cancelled when a stop has waited long enough: drop everything.
    pub fn hard(&self) -> &CancellationToken {
        &self.hard
    }

    /// Where short-lived tasks are spawned, so that a stop waits for them. They watch [`Supervisor::hard`] themselves.
    pub fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// Runs what `make` makes, and makes it anew whenever it panics or returns, until a stop begins.
    ///
    /// The future is to return soon after [`Supervisor::soft`]; at [`Supervisor::hard`] it is dropped.
    pub fn spawn_loop<M, F>(&self, name: &'static str, make: M)
    where
        M: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let this = self.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = this.hard.cancelled() => {}
                () = this.keep_alive(name, &make) => {}
            }
        });
    }

    /// Ends everything: asks first, and after `timeout` cuts off what is left.
    pub async fn stop(&self, timeout: Duration) -> Stopped {
        self.soft.cancel();
        self.tasks.close();
        if within(&*self.clock, timeout, self.tasks.wait())
            .await
            .is_ok()
        {
            self.hard.cancel();
            return Stopped::Clean;
        }
        self.hard.cancel();
        if within(&*self.clock, AFTER_CUT, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!(
                tasks = self.tasks.len(),
                "some tasks did not end when they were cut off"
            );
        }
        Stopped::Cut
    }

    async fn keep_alive<M, F>(&self, name: &'static str, make: &M)
    where
        M: Fn() -> F + Sync,
        F: Future<Output = ()> + Send,
    {
        let mut backoff = FIRST_BACKOFF;
        loop {
            let started = self.clock.monotonic();
            // A panic leaves nothing behind that the next run could trip over: what a loop shares with others, it
            // shares through the store or through locks that are taken regardless of poisoning.
            let run = AssertUnwindSafe(async { make().await }).catch_unwind();
            let end = run.await;
            if self.soft.is_cancelled() {
                if let Err(panic) = end {
                    tracing::error!(
                        name,
                        panic = panic_text(&*panic),
                        "a loop panicked while it was being stopped"
                    );
                }
                return;
            }
            match end {
                Ok(()) => {
                    tracing::error!(name, "a loop that never ends has ended: it is restarted");
                }
                Err(panic) => tracing::error!(
                    name,
                    panic = panic_text(&*panic),
                    "a loop panicked: it is restarted"
                ),
            }
            self.metrics.restarted(name);
            if self.clock.monotonic().saturating_sub(started) >= HEALTHY {
                backoff = FIRST_BACKOFF;
            }
            tokio::select! {
                () = self.soft.cancelled() => return,
                () = self.clock.sleep(backoff) => {}
            }
            backoff = (backoff * 2).min(LONGEST_BACKOFF);
        }
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(no message)")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tidings_domain::{Timestamp, clock::ManualClock};
    use tokio::sync::mpsc;

    use super::*;
    use crate::metrics::Metrics;

    fn supervisor() -> (ManualClock, Metrics, Supervisor) {
        let clock = ManualClock::new(Timestamp::from_millis(0));
        let metrics = Metrics::new();
        let supervisor = Supervisor::new(Arc::new(clock.clone()), metrics.supervisor.clone());
        (clock, metrics, supervisor)
    }

    /// Lets other tasks run until somebody sleeps on the clock.
    async fn someone_sleeps(clock: &ManualClock) -> Duration {
        loop {
            if let Some(wait) = clock.next_wake() {
                return wait;
            }
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_loop_that_panics_or_returns_is_started_again_after_a_growing_wait() {
        let (clock, metrics, supervisor) = supervisor();
        let (runs, mut ran) = mpsc::unbounded_channel();
        let count = Arc::new(AtomicU32::new(0));
        let soft = supervisor.soft().clone();
        supervisor.spawn_loop("test", move || {
            let (runs, soft) = (runs.clone(), soft.clone());
            let run = count.fetch_add(1, Ordering::Relaxed);
            async move {
                runs.send(run).unwrap();
                match run {
                    0 => panic!("first run"),
                    1 => {}
                    _ => soft.cancelled().await,
                }
            }
        });
        assert_eq!(ran.recv().await, Some(0));
        assert_eq!(someone_sleeps(&clock).await, FIRST_BACKOFF);
        clock.advance(FIRST_BACKOFF);
        assert_eq!(ran.recv().await, Some(1));
        assert_eq!(someone_sleeps(&clock).await, FIRST_BACKOFF * 2);
        clock.advance(FIRST_BACKOFF * 2);
        assert_eq!(ran.recv().await, Some(2));
        assert!(
            metrics
                .encode()
                .contains("tidings_supervisor_restarts_total{name=\"test\"} 2")
        );
        assert_eq!(
            supervisor.stop(Duration::from_secs(10)).await,
            Stopped::Clean
        );
        assert_eq!(ran.recv().await, None);
    }

    #[tokio::test]
    async fn a_loop_that_does_not_listen_is_cut_off() {
        let (clock, _, supervisor) = supervisor();
        supervisor.spawn_loop("deaf", std::future::pending);
        let stopping = supervisor.stop(Duration::from_secs(10));
        let (stopped, ()) = tokio::join!(stopping, async {
            someone_sleeps(&clock).await;
            clock.advance(Duration::from_secs(10));
        });
        assert_eq!(stopped, Stopped::Cut);
        assert!(supervisor.tasks().is_empty());
    }

    #[tokio::test]
    async fn a_stop_does_not_wait_for_a_restart() {
        let (clock, _, supervisor) = supervisor();
        supervisor.spawn_loop("broken", || async { panic!("always") });
        someone_sleeps(&clock).await;
        assert_eq!(
            supervisor.stop(Duration::from_secs(10)).await,
            Stopped::Clean
        );
    }
}
