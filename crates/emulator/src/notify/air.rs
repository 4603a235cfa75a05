//! What is under way, and what only waits for its time. A test that drives the clock by hand needs to know: when it moves the clock
//! while a POST is under way, that POST times out.

use std::{
    collections::BTreeSet,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

use crate::world::World;

/// Everything that is under way, or waits.
#[derive(Debug, Default)]
pub(super) struct Air {
    state: Mutex<State>,
    /// Something has ended, or has begun to wait.
    news: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// POSTs, also those that wait.
    posts: usize,
    /// POSTs and timers that do not wait.
    flying: usize,
    /// Until when those wait that do.
    naps: BTreeSet<(Duration, u64)>,
    next: u64,
}

/// A POST or a timer while it lives, which begins before its task runs: whoever makes a change and then waits until all is quiet
/// waits for its POST.
pub(crate) struct Flight {
    world: Arc<World>,
    is_post: bool,
}

/// A flight while it waits for its time.
struct Nap<'a> {
    air: &'a Air,
    key: (Duration, u64),
}

impl Air {
    /// How many POSTs there are.
    pub(super) fn posts(&self) -> usize {
        self.lock().posts
    }

    fn is_quiet(&self, now: Duration) -> bool {
        let state = self.lock();
        // Whoever's time has come is about to go on, even if its task has not run yet.
        state.flying == 0 && state.naps.first().is_none_or(|&(until, _)| until > now)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until nothing happens any more unless time goes on.
pub(crate) async fn quiet(world: &World) {
    let air = &world.notifier.air;
    loop {
        let mut news = pin!(air.news.notified());
        news.as_mut().enable();
        if air.is_quiet(world.clock.monotonic()) {
            return;
        }
        news.await;
    }
}

impl Flight {
    /// Counts a POST.
    pub(super) fn post(world: &Arc<World>) -> Self {
        Self::begin(world, true)
    }

    /// Counts something that may lead to a POST when its time comes.
    pub(super) fn timer(world: &Arc<World>) -> Self {
        Self::begin(world, false)
    }

    fn begin(world: &Arc<World>, is_post: bool) -> Self {
        let mut state = world.notifier.air.lock();
        state.flying += 1;
        state.posts += usize::from(is_post);
        drop(state);
        Self {
            world: Arc::clone(world),
            is_post,
        }
    }

    /// Waits for `span`.
    pub(crate) async fn sleep(&self, span: Duration) {
        let air = &self.world.notifier.air;
        let key = {
            let mut state = air.lock();
            let key = (self.world.clock.monotonic() + span, state.next);
            state.next += 1;
            state.flying -= 1;
            state.naps.insert(key);
            key
        };
        let nap = Nap { air, key };
        air.news.notify_waiters();
        self.world.clock.sleep(span).await;
        drop(nap);
    }
}

impl Drop for Nap<'_> {
    fn drop(&mut self) {
        let mut state = self.air.lock();
        state.naps.remove(&self.key);
        state.flying += 1;
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let air = &self.world.notifier.air;
        let mut state = air.lock();
        state.flying -= 1;
        state.posts -= usize::from(self.is_post);
        drop(state);
        air.news.notify_waiters();
    }
}
