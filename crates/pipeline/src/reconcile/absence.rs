//! Notices that we were away for so long that Graph may have dropped notifications.

use std::time::Duration;

use tidings_domain::reconcile::ReconcileReason;
use tidings_storage::record::SubscriptionFilter;
use tokio_util::sync::CancellationToken;

use super::Reconcile;

/// How often it is recorded that we are here.
const BEAT: Duration = Duration::from_mins(1);
/// After an absence of this length everything is reconciled. Graph repeats what was not taken for up to four hours
/// ("Receive change notifications through webhooks"), but drops what comes while it takes the endpoint for dead, which it
/// judges by ten minutes.
const LONG: Duration = Duration::from_mins(10);

impl Reconcile {
    /// Records that we are here until `stop`, and has everything reconciled after a long absence.
    pub async fn watch(&self, stop: &CancellationToken) {
        loop {
            self.beat().await;
            let rest = self.parts.clock.sleep(BEAT);
            if stop.run_until_cancelled(rest).await.is_none() {
                return;
            }
        }
    }

    pub(super) async fn beat(&self) {
        let now = self.parts.clock.now();
        let last = match self.parts.store.note_alive(now).await {
            Ok(last) => last,
            // While the store is away nothing is taken either: the next that is noted counts that too.
            Err(error) => {
                tracing::debug!(%error, "it could not be noted that we are here");
                return;
            }
        };
        let Some(away) = last.map(|last| now.since(last)).filter(|&away| away > LONG) else {
            return;
        };
        match self
            .ask(SubscriptionFilter::All, ReconcileReason::Outage)
            .await
        {
            Ok(0) => {}
            Ok(count) => tracing::warn!(
                minutes = away.as_secs() / 60,
                count,
                "we were away: Graph may have dropped notifications, and all subscriptions are reconciled"
            ),
            Err(error) => tracing::error!(
                %error,
                "we were away, and it could not be asked for that subscriptions be reconciled: use `tidings subscription reconcile --all`"
            ),
        }
    }
}
