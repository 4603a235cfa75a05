//! What other nodes did that concerns this one.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tidings_domain::{ids::WebhookId, shard::Shard};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{
    Shared,
    hints::{CHANNEL, Hint},
};
use crate::Signal;

/// So many signals wait at most; beyond, many of a kind become one that says "any".
const MOST: usize = 1_000;

/// The pause before listening is tried again.
const PAUSE: Duration = Duration::from_millis(500);

/// The signals that nobody has taken yet. Equal ones are one.
#[derive(Default)]
pub(super) struct Signals {
    waiting: Mutex<BTreeSet<Signal>>,
    wake: Notify,
}

impl Signals {
    pub(super) fn raise(&self, signal: Signal) {
        {
            let mut waiting = self.lock();
            waiting.insert(signal);
            if waiting.len() > MOST {
                let many = std::mem::take(&mut *waiting);
                waiting.extend(many.into_iter().map(|signal| match signal {
                    Signal::Changed(_) => Signal::ChangedSomehow,
                    Signal::Due(_) => Signal::Due(None),
                    other => other,
                }));
            }
        }
        self.wake.notify_one();
    }

    /// The next signal: first that shards changed hands, then what changes how work is done, then the work.
    pub(super) async fn next(&self) -> Signal {
        loop {
            let woken = self.wake.notified();
            if let Some(signal) = self.take() {
                return signal;
            }
            woken.await;
        }
    }

    fn take(&self) -> Option<Signal> {
        let mut waiting = self.lock();
        let signal = waiting
            .take(&Signal::Shards)
            .or_else(|| waiting.pop_first());
        if !waiting.is_empty() {
            // Another caller may wait for it.
            self.wake.notify_one();
        }
        signal
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<Signal>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Listens to what other nodes tell, until the store is closed. Whatever is missed is found by looking, later.
pub(super) async fn listen(
    shared: Arc<Shared>,
    connect: PgConnectOptions,
    stop: CancellationToken,
) {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .min_connections(0)
        .acquire_timeout(Duration::from_secs(2))
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_lazy_with(connect);
    while !stop.is_cancelled() {
        tokio::select! {
            () = stop.cancelled() => break,
            ended = listen_once(&shared, &pool) => if let Err(error) = ended {
                tracing::debug!(%error, "other nodes cannot be heard: it is tried again");
            }
        }
        tokio::select! {
            () = stop.cancelled() => break,
            () = shared.timer.sleep(PAUSE) => {}
        }
    }
    // Its connection may be in the middle of something; closing it is up to the database.
    drop(pool);
}

async fn listen_once(shared: &Shared, pool: &sqlx::PgPool) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    // What was told before is not heard now.
    shared.prod.notify_one();
    shared.signals.raise(Signal::Queued);
    shared.signals.raise(Signal::Due(None));
    shared.signals.raise(Signal::Reconcile);
    // `None` is a connection that broke; so is an error.
    while let Some(told) = listener.try_recv().await? {
        for word in told.payload().split(' ') {
            heard(shared, Hint::parse(word));
        }
    }
    Ok(())
}

fn heard(shared: &Shared, hint: Option<Hint<'_>>) {
    let held = shared.holdings.shards();
    match hint {
        Some(Hint::Look) => shared.prod.notify_one(),
        Some(Hint::Queued(shards)) if !shards.and(held).is_empty() => {
            shared.signals.raise(Signal::Queued);
        }
        Some(Hint::Reconcile(shards)) if !shards.and(held).is_empty() => {
            shared.signals.raise(Signal::Reconcile);
        }
        Some(Hint::DueAny(shards)) if !shards.and(held).is_empty() => {
            shared.signals.raise(Signal::Due(None));
        }
        Some(Hint::Due(ids)) => {
            for id in ids.split(',').filter_map(|id| id.parse().ok()) {
                let id: WebhookId = id;
                if held.contains(Shard::of_webhook(id)) {
                    shared.signals.raise(Signal::Due(Some(id)));
                }
            }
        }
        // For others, or told by a version that knows more than this one.
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use tidings_domain::{Ids, Timestamp, clock::ManualClock, entropy::SeededEntropy};

    use super::*;
    use crate::Changed;

    fn ids() -> Ids {
        let clock = ManualClock::new(Timestamp::default());
        Ids::new(Arc::new(clock), Arc::new(SeededEntropy::new(1)))
    }

    #[tokio::test]
    async fn equal_signals_are_one_and_shards_come_first() {
        let signals = Signals::default();
        let change = Signal::Changed(Changed::Webhook(ids().next()));
        for signal in [Signal::Queued, change, Signal::Queued, Signal::Shards] {
            signals.raise(signal);
        }
        assert_eq!(signals.next().await, Signal::Shards);
        assert_eq!(signals.next().await, change);
        assert_eq!(signals.next().await, Signal::Queued);
        assert_eq!(signals.take(), None);
    }

    #[tokio::test]
    async fn too_many_become_one_that_says_any() {
        let (signals, ids) = (Signals::default(), ids());
        for _ in 0..=MOST {
            signals.raise(Signal::Due(Some(ids.next())));
        }
        assert_eq!(signals.next().await, Signal::Due(None));
        assert_eq!(signals.take(), None);
    }
}
