//! Reconciling: what Graph has is compared with what the app was told, so that no change stays unknown for long.
//!
//! Graph drops notifications: when we are away or slow, when a subscription lapses, and sometimes for no reason at all.
//! So each subscription is reconciled from time to time, and whenever there is a reason to: Graph enumerates what it has, or
//! what has changed since it last did (delta queries), and each item is compared with what is known of it. What may be news
//! goes to enrich by the door through which notifications come. Enrich fetches it, compares again, and tells it, or finds
//! that a notification has told it already.
//!
//! | module | holds |
//! | --- | --- |
//! | `round` | one subscription: goes through all that Graph enumerates |
//! | `compare` | what is shown against what is known: what may be news |
//! | `key` | by which name an item is known |
//! | `find` | what may be news, on its way to enrich |
//! | `wanted` | which changes a subscription wants to be told |
//! | `silence`, `quiet` | notices subscriptions of which Graph tells nothing; the rule that decides |
//! | `trigger` | comparing what somebody names as Nango's users do |
//! | `window` | the time that a calendar is looked at |
//! | `schedule` | when a subscription is reconciled next |
//! | `absence`, `slowness` | notices that we were away, or slow |

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures_util::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};
use tidings_domain::{
    Clock, Entropy, Ids, Timestamp,
    clock::within,
    config::ReconcileConfig,
    ids::{ConnectionId, SubscriptionId},
    reconcile::{Reconcile as State, ReconcileReason},
};
use tidings_graph::{
    client::GraphClient,
    resource::{Enumeration, SubscriptionPath},
};
use tidings_storage::{
    Lease, Store, StoreError,
    record::{AskReconcile, DueReconcile, ReconcileUpdate, SubscriptionFilter},
};
use tokio_util::sync::CancellationToken;

use crate::{
    answers::Answers,
    credentials::Credentials,
    deliver::Hint,
    directory::Directory,
    fence::Fence,
    metrics::{ReconcileMetrics, Stage},
    wake::Wake,
};

mod absence;
mod compare;
mod find;
pub mod key;
mod quiet;
mod round;
mod schedule;
mod silence;
mod slowness;
pub mod trigger;
pub mod wanted;
mod window;

#[cfg(test)]
mod tests;

use round::{Round, Stopped};

/// The pause after the store could not be read, and the shortest between two looks at it.
const PAUSE: Duration = Duration::from_secs(1);
/// A loop that was not woken looks by itself this often: the time of day may have jumped.
const LOOK_ANYWAY: Duration = Duration::from_mins(1);
/// How long a stop waits for what is under way. It goes on at the next start where it was.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// A subscription whose connection is not known yet is looked at again after this.
const NOT_YET: Duration = Duration::from_mins(5);

/// Whether what a subscription watches can be reconciled.
pub fn covers(path: &SubscriptionPath) -> bool {
    !matches!(path.enumeration(), Enumeration::None { .. })
}

/// Compares what Graph has with what the app was told. Clones are the same stage.
#[derive(Clone, Debug)]
pub struct Reconcile {
    parts: Arc<ReconcileParts>,
}

/// What [`Reconcile`] works with.
#[derive(Debug)]
pub struct ReconcileParts {
    /// What is known, and where finds go.
    pub store: Arc<dyn Store>,
    /// Whose data it is and who asks for it.
    pub directory: Arc<Directory>,
    /// Asks Graph. Its time limit is replaced by the configured one.
    pub graph: GraphClient,
    /// Its time.
    pub clock: Arc<dyn Clock>,
    /// Its randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Makes ids.
    pub ids: Arc<Ids>,
    /// What it counts.
    pub metrics: ReconcileMetrics,
    /// Its limits.
    pub config: ReconcileConfig,
    /// Wakes it.
    pub wake: Wake,
    /// Is told of finds.
    pub enrich: Wake,
    /// Tells its subscriptions from those of other nodes.
    pub fence: Fence,
    /// Records what calls show of credentials.
    pub credentials: Credentials,
    /// How fast Graph is answered.
    pub answers: Answers,
    /// Is told which webhooks have new deliveries.
    pub deliver: Hint,
}

type Running = std::pin::Pin<Box<dyn Future<Output = Place> + Send>>;

/// What is looked through once at a time: Graph allows four calls at a time to a mailbox, and enrich makes three.
type Place = (Option<ConnectionId>, String);

impl Reconcile {
    /// A stage made of these parts.
    pub fn new(parts: ReconcileParts) -> Self {
        let graph = parts.graph.with_timeout(parts.config.timeout.0);
        Self {
            parts: Arc::new(ReconcileParts { graph, ..parts }),
        }
    }

    /// Has those of these subscriptions reconciled soon that can be, and says how many.
    pub async fn ask(
        &self,
        which: SubscriptionFilter,
        reason: ReconcileReason,
    ) -> Result<u64, StoreError> {
        self.ask_for(which, reason, self.parts.clock.now()).await
    }

    async fn ask_for(
        &self,
        which: SubscriptionFilter,
        reason: ReconcileReason,
        due_at: Timestamp,
    ) -> Result<u64, StoreError> {
        let ask = AskReconcile {
            reason,
            asked_at: self.parts.clock.now(),
            due_at,
            deliver_existing: false,
        };
        let _hint = self.parts.wake.at_the_end();
        self.parts.store.ask_reconcile(which, ask).await
    }

    /// Reconciles what is due until `stop`.
    pub async fn run(&self, stop: &CancellationToken) {
        let mut running: FuturesUnordered<Running> = FuturesUnordered::new();
        let mut busy = HashSet::new();
        loop {
            let wait = match self.begin(&mut running, &mut busy).await {
                Ok(wait) => wait,
                Err(error) => {
                    tracing::warn!(%error, "subscriptions to be reconciled cannot be read: it is tried again");
                    PAUSE
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                Some(place) = running.next(), if !running.is_empty() => {
                    busy.remove(&place);
                }
                () = self.parts.wake.wait() => {}
                () = self.parts.clock.sleep(wait) => {}
            }
            while let Some(Some(place)) = running.next().now_or_never() {
                busy.remove(&place);
            }
            self.parts
                .metrics
                .rounds_in_flight
                .set(i64::try_from(busy.len()).unwrap_or(0));
        }
        let rest = async { while running.next().await.is_some() {} };
        let _ = within(&*self.parts.clock, LAST_WORDS, rest).await;
        self.parts.metrics.rounds_in_flight.set(0);
    }

    /// Begins with as many as may be under way, and says how long to wait for the next.
    async fn begin(
        &self,
        running: &mut FuturesUnordered<Running>,
        busy: &mut HashSet<Place>,
    ) -> Result<Duration, StoreError> {
        let parts = &self.parts;
        let most = parts.config.concurrency;
        if busy.len() >= most {
            return Ok(LOOK_ANYWAY);
        }
        let now = parts.clock.now();
        // Those under way are still due in the store.
        let limit = u32::try_from(busy.len() + 4 * most).unwrap_or(u32::MAX);
        for DueReconcile { reconcile, lease } in parts.store.due_reconciles(now, limit).await? {
            let place = self.place(reconcile.subscription);
            if busy.len() < most && busy.insert(place.clone()) {
                running.push(self.turn(reconcile, lease, place));
            }
        }
        let next = parts.store.next_due_reconcile().await?;
        let wait = next.map_or(LOOK_ANYWAY, |due_at| now.until(due_at));
        Ok(wait.clamp(PAUSE, LOOK_ANYWAY))
    }

    /// The mailbox that a subscription watches, or itself if that lies in none.
    fn place(&self, id: SubscriptionId) -> Place {
        let entry = self.parts.directory.subscription(id);
        let mailbox = entry.as_ref().and_then(|entry| {
            let mailbox = entry.path.as_ref()?.mailbox()?;
            Some((Some(entry.connection), mailbox.to_ascii_lowercase()))
        });
        mailbox.unwrap_or_else(|| (None, id.to_string()))
    }

    fn turn(&self, state: State, lease: Lease, place: Place) -> Running {
        let this = self.clone();
        let id = state.subscription;
        Box::pin(async move {
            let turn = std::panic::AssertUnwindSafe(this.take_turn(state, lease)).catch_unwind();
            let problem = match turn.await {
                Ok(Ok(())) => return place,
                Ok(Err(StoreError::Fenced { .. })) => {
                    this.parts.fence.refuse(lease, Stage::Reconcile);
                    return place;
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => "an error in the program".to_owned(),
            };
            tracing::error!(subscription.id = %id, problem, "a subscription could not be reconciled");
            // It is as due as before: without a pause it would be tried again at once.
            this.parts.clock.sleep(PAUSE * 10).await;
            place
        })
    }

    /// Goes on with a subscription's round, and records where it is then.
    async fn take_turn(&self, state: State, lease: Lease) -> Result<(), StoreError> {
        let parts = &self.parts;
        if !parts.fence.allows(lease) {
            return Ok(());
        }
        let id = state.subscription;
        let began = state.started_at.unwrap_or_else(|| parts.clock.now());
        let mut found = match state.started_at {
            Some(_) => state.finds,
            None => 0,
        };
        let mut went = match Round::new(parts, &state, lease).await {
            Ok(mut round) => {
                let went = round.run().await;
                found += round.finds;
                went
            }
            Err(stopped) => Err(stopped),
        };
        if let Err(Stopped::Gone) = went
            && parts.store.subscription(id).await?.is_none()
        {
            went = Err(Stopped::Lost);
        }
        let update = match went {
            Ok(gone_scopes) => {
                // Before the round is over: should it fail, it is told by the next.
                self.tell_of_silence(&state, began, found).await?;
                let now = parts.clock.now();
                parts.metrics.round(true);
                if found > 0 {
                    tracing::info!(
                        subscription.id = %id,
                        reason = %state.reason,
                        finds = found,
                        "reconciling found what may be news"
                    );
                }
                ReconcileUpdate {
                    due_at: schedule::after_round(now, &state, &parts.config, &*parts.entropy),
                    answers: Some(began),
                    started_at: None,
                    finished_at: Some(now),
                    failures: 0,
                    last_error: None,
                    gone_scopes,
                    ..update(&state, found)
                }
            }
            Err(Stopped::Lost) => return Ok(()),
            Err(Stopped::Store(error)) if matches!(error, StoreError::Fenced { .. }) => {
                return Err(error);
            }
            Err(stopped) => {
                parts.metrics.round(false);
                let now = parts.clock.now();
                let failures = state.failures.saturating_add(1);
                let due_at = match &stopped {
                    Stopped::Gone => now + NOT_YET,
                    Stopped::Graph(error) => {
                        schedule::retry(now, failures, error.retry_after(), &*parts.entropy)
                    }
                    _ => schedule::retry(now, failures, None, &*parts.entropy),
                };
                tracing::warn!(
                    subscription.id = %id,
                    problem = %stopped,
                    "a round of reconciling was cut short: it goes on later"
                );
                ReconcileUpdate {
                    due_at,
                    started_at: Some(began),
                    failures,
                    last_error: Some(stopped.to_string()),
                    ..update(&state, found)
                }
            }
        };
        match parts.store.update_reconcile(update, lease).await {
            // The subscription was removed meanwhile.
            Err(StoreError::Missing { .. }) => Ok(()),
            recorded => recorded,
        }
    }
}

/// The state as it is, to be changed in part.
fn update(state: &State, finds: u64) -> ReconcileUpdate {
    ReconcileUpdate {
        subscription: state.subscription,
        due_at: state.due_at,
        answers: None,
        started_at: state.started_at,
        finished_at: state.finished_at,
        finds,
        failures: state.failures,
        last_error: state.last_error.clone(),
        gone_scopes: Vec::new(),
    }
}
