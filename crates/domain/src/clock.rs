//! Time as a parameter.

use std::{
    fmt,
    future::Future,
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use crate::Timestamp;

/// A wait that somebody can drive: by the system's timer or by a test.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where time comes from. Nothing in Tidings asks the system itself.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Time of day, for what people and other systems read. May jump.
    fn now(&self) -> Timestamp;

    /// Time since some fixed moment of this process. Never jumps, so it measures spans.
    fn monotonic(&self) -> Duration;

    /// Waits for `span` of monotonic time.
    fn sleep(&self, span: Duration) -> Sleep;
}

/// The time allowed for something ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("deadline passed")]
pub struct Elapsed;

/// Runs `future` for at most `span` of `clock`'s time.
pub async fn within<F: Future>(
    clock: &dyn Clock,
    span: Duration,
    future: F,
) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    let mut sleep = clock.sleep(span);
    std::future::poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Ok(output));
        }
        sleep.as_mut().poll(context).map(|()| Err(Elapsed))
    })
    .await
}

/// The system's clock.
#[derive(Debug)]
pub struct SystemClock {
    started: std::time::Instant,
}

impl SystemClock {
    /// A clock whose monotonic time begins now.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that asks the system for time"
    )]
    pub fn new() -> Self {
        Self {
            started: std::time::Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that asks the system for time"
    )]
    fn now(&self) -> Timestamp {
        Timestamp::from(jiff::Timestamp::now())
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that waits on the system's timer"
    )]
    fn sleep(&self, span: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(span))
    }
}

/// A clock that stands still until a test moves it.
#[derive(Clone, Debug)]
pub struct ManualClock {
    state: Arc<Mutex<ManualState>>,
}

#[derive(Debug)]
struct ManualState {
    wall: Timestamp,
    monotonic: Duration,
    sleepers: Vec<Sleeper>,
    next_sleeper: u64,
}

#[derive(Debug)]
struct Sleeper {
    id: u64,
    until: Duration,
    waker: Waker,
}

impl ManualClock {
    /// A clock that shows `wall` and has run for no time.
    pub fn new(wall: Timestamp) -> Self {
        let state = ManualState {
            wall,
            monotonic: Duration::ZERO,
            sleepers: Vec::new(),
            next_sleeper: 0,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Lets `span` pass, waking everybody whose wait ends within it.
    pub fn advance(&self, span: Duration) {
        let due = {
            let mut state = self.lock();
            state.monotonic += span;
            state.wall = state.wall + span;
            let now = state.monotonic;
            let (due, waiting) = std::mem::take(&mut state.sleepers)
                .into_iter()
                .partition(|s| s.until <= now);
            state.sleepers = waiting;
            let due: Vec<Sleeper> = due;
            due
        };
        for sleeper in due {
            sleeper.waker.wake();
        }
    }

    /// Sets the time of day without letting time pass, as an administrator or NTP would.
    pub fn jump_to(&self, wall: Timestamp) {
        self.lock().wall = wall;
    }

    /// How long until the next sleeper is due, if anybody sleeps.
    pub fn next_wake(&self) -> Option<Duration> {
        let state = self.lock();
        state
            .sleepers
            .iter()
            .map(|s| s.until.saturating_sub(state.monotonic))
            .min()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, ManualState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.lock().wall
    }

    fn monotonic(&self) -> Duration {
        self.lock().monotonic
    }

    fn sleep(&self, span: Duration) -> Sleep {
        let mut state = self.lock();
        let id = state.next_sleeper;
        state.next_sleeper += 1;
        let until = state.monotonic + span;
        Box::pin(ManualSleep {
            clock: self.clone(),
            id,
            until,
        })
    }
}

struct ManualSleep {
    clock: ManualClock,
    id: u64,
    until: Duration,
}

impl Future for ManualSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.clock.lock();
        if state.monotonic >= self.until {
            return Poll::Ready(());
        }
        let (id, until) = (self.id, self.until);
        state.sleepers.retain(|s| s.id != id);
        state.sleepers.push(Sleeper {
            id,
            until,
            waker: context.waker().clone(),
        });
        Poll::Pending
    }
}

impl Drop for ManualSleep {
    fn drop(&mut self) {
        let id = self.id;
        self.clock.lock().sleepers.retain(|s| s.id != id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_manual_sleep_ends_when_the_clock_is_moved_past_it() {
        let clock = ManualClock::new(Timestamp::from_millis(0));
        let mut sleep = clock.sleep(Duration::from_secs(10));
        assert!(std::future::poll_fn(|cx| Poll::Ready(sleep.as_mut().poll(cx).is_pending())).await);
        assert_eq!(clock.next_wake(), Some(Duration::from_secs(10)));
        clock.advance(Duration::from_secs(10));
        sleep.await;
        assert_eq!(clock.now(), Timestamp::from_millis(10_000));
    }

    #[tokio::test]
    async fn within_gives_up_at_its_deadline() {
        let clock = ManualClock::new(Timestamp::from_millis(0));
        let waiting = within(&clock, Duration::from_secs(1), std::future::pending::<()>());
        let mut waiting = pin!(waiting);
        assert!(
            std::future::poll_fn(|cx| Poll::Ready(waiting.as_mut().poll(cx).is_pending())).await
        );
        clock.advance(Duration::from_secs(1));
        assert_eq!(waiting.await, Err(Elapsed));
    }

    #[test]
    fn a_jump_of_the_wall_clock_lets_no_time_pass() {
        let clock = ManualClock::new(Timestamp::from_millis(0));
        clock.jump_to(Timestamp::from_millis(3_600_000));
        assert_eq!(clock.monotonic(), Duration::ZERO);
    }
}
