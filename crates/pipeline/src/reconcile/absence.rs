//! Notices that we were away for so long, or so slow, that Graph may have dropped notifications.

use std::time::Duration;

use tidings_domain::{Timestamp, reconcile::ReconcileReason};
use tidings_storage::{StoreError, record::SubscriptionFilter};
use tokio_util::sync::CancellationToken;

use super::{
    Reconcile,
    silence::Walk,
    slowness::{Shown, Slowness},
};

/// How often it is recorded that we are here.
const BEAT: Duration = Duration::from_mins(1);
/// After an absence of this length everything is reconciled. Graph repeats what was not taken for up to four hours
/// ("Receive change notifications through webhooks"), but drops what comes while it takes the endpoint for dead, which it
/// judges by ten minutes.
const LONG: Duration = Duration::from_mins(10);
/// How far apart everything is compared because answers were slow. Should we end in the middle of the trouble, it is
/// compared when this has passed.
const APART: Duration = Duration::from_hours(1);

/// What is known of answers, and what is still to be asked for because of them.
#[derive(Debug, Default)]
pub(super) struct SlowAnswers {
    slowness: Slowness,
    /// When everything was compared last because of them.
    last: Option<Timestamp>,
    /// When everything is to be compared: the store could not be told yet.
    owed: Option<Timestamp>,
}

impl Reconcile {
    /// Records that we are here until `stop`, and has everything reconciled after a long absence or slow answers.
    pub async fn watch(&self, stop: &CancellationToken) {
        let (mut slow, mut walk) = (SlowAnswers::default(), Walk::default());
        loop {
            if self.beat().await {
                // What nobody was here to hear is no silence of Graph's.
                walk = Walk::default();
            }
            self.look_at_answers(&mut slow).await;
            self.look_for_silence(&mut walk).await;
            let rest = self.parts.clock.sleep(BEAT);
            if stop.run_until_cancelled(rest).await.is_none() {
                return;
            }
        }
    }

    /// Records that we are here; whether we were away for long before.
    pub(super) async fn beat(&self) -> bool {
        let now = self.parts.clock.now();
        let since = match self.parts.store.note_alive(now, LONG).await {
            Ok(Some(since)) => since,
            Ok(None) => return false,
            // While the store is away nothing is taken either: the next that is noted counts that too.
            Err(error) => {
                tracing::debug!(%error, "it could not be noted that we are here");
                return false;
            }
        };
        match self.ask_all(now).await {
            Ok(0) => {}
            Ok(count) => tracing::warn!(
                minutes = now.since(since).as_secs() / 60,
                count,
                "we were away: Graph may have dropped notifications, and all subscriptions are reconciled"
            ),
            Err(error) => {
                tracing::warn!(%error, "we were away, and it could not be asked for that subscriptions be reconciled: it is tried again");
                return true;
            }
        }
        if let Err(error) = self.parts.store.answer_absence(since).await {
            tracing::debug!(%error, "it could not be noted that an absence is answered: it is asked again");
        }
        true
    }

    pub(super) async fn look_at_answers(&self, slow: &mut SlowAnswers) {
        let parts = &self.parts;
        let now = parts.clock.now();
        match slow
            .slowness
            .look(parts.answers.take(), parts.clock.monotonic())
        {
            None => {}
            Some(Shown::Trouble) => {
                tracing::warn!(
                    "more than a tenth of the answers to Graph took over 3 s: it may drop notifications until they are faster"
                );
                slow.owed = Some(now + APART);
            }
            Some(Shown::Over) => {
                let due_at = slow.last.map_or(now, |last| now.max(last + APART));
                (slow.last, slow.owed) = (Some(due_at), Some(due_at));
            }
        }
        let Some(due_at) = slow.owed else {
            return;
        };
        match self.ask_all(due_at).await {
            Ok(count) => {
                slow.owed = None;
                tracing::info!(count, %due_at, "answers to Graph were slow: all subscriptions are reconciled");
            }
            Err(error) => {
                tracing::warn!(%error, "answers were slow, and it could not be asked for that subscriptions be reconciled: it is tried again");
            }
        }
    }

    async fn ask_all(&self, due_at: Timestamp) -> Result<u64, StoreError> {
        self.ask_for(SubscriptionFilter::All, ReconcileReason::Outage, due_at)
            .await
    }
}
