//! Keeping Graph's subscriptions as they are wanted: made, renewed in time, removed.
//!
//! A row is the wish, and comes first: with the clientState that Graph will send. Then Graph is asked. Whatever happens
//! between the two, the next try finds out what Graph has and takes it over.
//!
//! Where several nodes share the store, only the one that holds a row's shard asks Graph for it, so that no two ask for
//! different things at one time. A wish that comes to another node is written down, and waits for that one to act.
//!
//! | module | holds |
//! | --- | --- |
//! | `act` | one row: asks Graph for what the row wants |
//! | `elsewhere` | waits for another node to act on a row of its |
//! | `conflict` | Graph has such a subscription already: whose it is |
//! | `schedule` | when a row is looked at next |
//! | `advice` | what to tell people who can mend a refusal |

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};
use prometheus_client::metrics::gauge::Gauge;
use tidings_domain::{
    Clock, Entropy, Ids, Secret,
    clock::within,
    config::SubscribeConfig,
    ids::{ConnectionId, EnvironmentId, SubscriptionId},
    resource::ChangeTypes,
    shard::Shard,
    subscription::{Subscription, SubscriptionState},
};
use tidings_graph::{
    client::GraphClient,
    resource::{SubscriptionPath, table::Rich},
};
use tidings_storage::{
    Lease, Store, StoreError,
    record::{DueSubscription, SubscriptionUpdate},
};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{
    directory::{Change, Directory},
    fence::Fence,
    manage::ManageError,
    metrics::{Stage, SubscribeMetrics},
    wake::Wake,
};

mod act;
mod advice;
mod conflict;
mod elsewhere;
mod schedule;

#[cfg(test)]
mod tests;

/// The pause after the store could not be read, and the shortest between two looks at it.
const PAUSE: Duration = Duration::from_secs(1);
/// A loop that was not woken looks by itself this often: the time of day may have jumped.
const LOOK_ANYWAY: Duration = Duration::from_mins(1);
/// How long a stop waits for calls under way. What they do is found out at the next start.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Keeps Graph's subscriptions as they are wanted. Clones are the same stage.
#[derive(Clone, Debug)]
pub struct Subscribe {
    parts: Arc<SubscribeParts>,
    /// Who works on which row: the loop and people may want the same one.
    locks: Arc<Mutex<HashMap<SubscriptionId, Arc<tokio::sync::Mutex<()>>>>>,
}

/// What [`Subscribe`] works with.
#[derive(Debug)]
pub struct SubscribeParts {
    /// Where the rows are.
    pub store: Arc<dyn Store>,
    /// Is refreshed after each change.
    pub directory: Arc<Directory>,
    /// Asks Graph. Its time limit is replaced by the configured one.
    pub graph: GraphClient,
    /// Its time.
    pub clock: Arc<dyn Clock>,
    /// Makes clientStates.
    pub entropy: Arc<dyn Entropy>,
    /// Makes ids.
    pub ids: Arc<Ids>,
    /// What it counts.
    pub metrics: SubscribeMetrics,
    /// Its limits.
    pub config: SubscribeConfig,
    /// Under which URL Graph reaches this server.
    pub public_url: Url,
    /// Wakes it.
    pub wake: Wake,
    /// Tells its rows from those of other nodes.
    pub fence: Fence,
}

/// A subscription that somebody wants.
#[derive(Clone, Debug)]
pub struct NewSubscription {
    /// Where the connection has to live; `None` allows any environment.
    pub environment: Option<EnvironmentId>,
    /// Whose consent is to serve it.
    pub connection: ConnectionId,
    /// What to watch: `users/{id}/events`.
    pub resource: String,
    /// Which changes are wanted.
    pub change_types: ChangeTypes,
}

impl Subscribe {
    /// A stage made of these parts.
    pub fn new(parts: SubscribeParts) -> Self {
        let graph = parts.graph.with_timeout(parts.config.timeout.0);
        Self {
            parts: Arc::new(SubscribeParts { graph, ..parts }),
            locks: Arc::default(),
        }
    }

    /// Records the wish for a subscription and asks Graph for it at once. What comes back is the row after that: it may
    /// be `pending` with the reason, and is then tried again by itself, or `failed` with what to do.
    ///
    /// `Invalid` where the table of resources says no, `Conflict` if the connection has such a subscription.
    pub async fn request(&self, new: NewSubscription) -> Result<Subscription, ManageError> {
        let parts = &self.parts;
        let connection = parts
            .directory
            .connection(new.connection)
            .filter(|one| {
                new.environment
                    .is_none_or(|wanted| one.environment == wanted)
            })
            .ok_or_else(|| ManageError::Missing {
                what: format!("connection {}", new.connection),
            })?;
        let path = path(&new)?;
        let now = parts.clock.now();
        let shard = Shard::of_mailbox(connection.integration, connection.tenant_id, path.mailbox());
        let subscription = Subscription {
            id: parts.ids.next(),
            environment: connection.environment,
            integration: connection.integration,
            connection: connection.id,
            resource: path.canonical().to_owned(),
            kind: path.kind(),
            change_types: new.change_types,
            state: SubscriptionState::Pending,
            client_state: client_state(&*parts.entropy),
            graph_id: None,
            expires_at: None,
            due_at: now,
            failures: 0,
            last_error: None,
            created_at: now,
            renewed_at: None,
            lifecycle: None,
        };
        // Notifications may come before Graph's answer to the call that follows.
        let create = parts.store.create_subscription(subscription.clone(), shard);
        let change = Change::Subscription(subscription.id);
        parts.directory.change(change, create).await?;
        let asked = if parts.fence.holds(shard) {
            let _hint = parts.wake.at_the_end();
            self.act(subscription.id).await?
        } else {
            self.served_elsewhere(subscription.id).await?
        };
        Ok(asked.unwrap_or(subscription))
    }

    /// Removes a subscription at Graph and here; `false` if there is none. If Graph cannot be asked now, it stays as
    /// `deleting` and is removed by itself.
    pub async fn delete(&self, id: SubscriptionId) -> Result<bool, ManageError> {
        let parts = &self.parts;
        let Some(subscription) = self.mark_deleting(id).await? else {
            return Ok(false);
        };
        if self.is_ours(&subscription).await? {
            let _hint = parts.wake.at_the_end();
            self.act(id).await?;
        } else {
            self.removed_elsewhere(id).await?;
        }
        Ok(true)
    }

    /// Writes down that a subscription is to be removed, and gives it as it was; `None` if there is none.
    async fn mark_deleting(&self, id: SubscriptionId) -> Result<Option<Subscription>, StoreError> {
        let lock = self.lock(id);
        let _guard = lock.lock().await;
        let Some(subscription) = self.parts.store.subscription(id).await? else {
            return Ok(None);
        };
        let update = self.deleting(unchanged(&subscription));
        self.parts.store.update_subscription(update, None).await?;
        Ok(Some(subscription))
    }

    fn deleting(&self, update: SubscriptionUpdate) -> SubscriptionUpdate {
        SubscriptionUpdate {
            state: SubscriptionState::Deleting,
            due_at: self.parts.clock.now(),
            failures: 0,
            ..update
        }
    }

    /// Looks after all subscriptions until `stop`.
    pub async fn run(&self, stop: &CancellationToken) {
        let mut running = FuturesUnordered::new();
        let mut busy = HashSet::new();
        loop {
            let wait = match self.begin(&mut running, &mut busy).await {
                Ok(wait) => wait,
                Err(error) => {
                    tracing::warn!(%error, "due subscriptions cannot be read: it is tried again");
                    PAUSE
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                Some(id) = running.next(), if !running.is_empty() => {
                    busy.remove(&id);
                }
                () = self.parts.wake.wait() => {}
                () = self.parts.clock.sleep(wait) => {}
            }
            while let Some(Some(id)) = running.next().now_or_never() {
                busy.remove(&id);
            }
        }
        let rest = async { while running.next().await.is_some() {} };
        let _ = within(&*self.parts.clock, LAST_WORDS, rest).await;
    }

    /// Begins with as many due rows as may be under way, and says how long to wait for the next.
    async fn begin(
        &self,
        running: &mut FuturesUnordered<Looking>,
        busy: &mut HashSet<SubscriptionId>,
    ) -> Result<Duration, StoreError> {
        let parts = &self.parts;
        let room = parts.config.concurrency.max(1).saturating_sub(busy.len());
        if room == 0 {
            return Ok(LOOK_ANYWAY);
        }
        let now = parts.clock.now();
        // Those under way are still due in the store.
        let limit = u32::try_from(busy.len() + room).unwrap_or(u32::MAX);
        let due = parts.store.due_subscriptions(now, limit).await?;
        for DueSubscription {
            subscription,
            lease,
        } in due
        {
            if busy.len() < parts.config.concurrency.max(1) && busy.insert(subscription.id) {
                running.push(self.look_after(subscription.id, lease));
            }
        }
        let next = parts.store.next_due_subscription().await?;
        let wait = next.map_or(LOOK_ANYWAY, |due_at| now.until(due_at));
        Ok(wait.clamp(PAUSE, LOOK_ANYWAY))
    }

    fn look_after(&self, id: SubscriptionId, lease: Lease) -> Looking {
        let this = self.clone();
        Box::pin(async move {
            let acted = std::panic::AssertUnwindSafe(this.act_if_due(id, lease)).catch_unwind();
            let problem = match acted.await {
                Ok(Ok(())) => return id,
                Ok(Err(StoreError::Fenced { .. })) => {
                    // Should the store still show it as ours, it is not asked for again at once.
                    this.parts.clock.sleep(PAUSE).await;
                    return id;
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => "an error in the program".to_owned(),
            };
            tracing::error!(subscription.id = %id, problem, "a subscription could not be looked after");
            // The row is as due as before: without a pause it would be tried again at once.
            this.parts.clock.sleep(PAUSE * 10).await;
            id
        })
    }

    /// Does for a row what it wants now, if it is due; `Fenced` if it is another node's.
    async fn act_if_due(&self, id: SubscriptionId, lease: Lease) -> Result<(), StoreError> {
        let due = |row: &Subscription| row.due_at <= self.parts.clock.now();
        let acted = self.act_when(id, Some(lease), due).await;
        acted.map(|_| ())
    }

    /// Does for a row what it wants now, due or not, and gives it as it then is; `None` if it is gone.
    async fn act(&self, id: SubscriptionId) -> Result<Option<Subscription>, StoreError> {
        self.act_when(id, None, |_| true).await
    }

    async fn act_when(
        &self,
        id: SubscriptionId,
        lease: Option<Lease>,
        wanted: impl Fn(&Subscription) -> bool,
    ) -> Result<Option<Subscription>, StoreError> {
        let lock = self.lock(id);
        let _guard = lock.lock().await;
        let Some(row) = self.parts.store.subscription(id).await? else {
            return Ok(None);
        };
        if !wanted(&row) {
            return Ok(Some(row));
        }
        if let Some(lease) = lease.filter(|&lease| !self.parts.fence.allows(lease)) {
            let shard = lease.shard();
            return Err(StoreError::Fenced { shard });
        }
        let _counted = InFlight::begin(&self.parts.metrics.in_flight);
        let done = act::act(&self.parts, &row).await;
        let write = async {
            match done {
                act::Done::Changed(update) => self.record(update, lease).await,
                act::Done::Removed => self.parts.store.delete_subscription(id).await.map(|_| ()),
            }
        };
        let change = Change::Subscription(id);
        self.parts.directory.change(change, write).await?;
        self.parts.store.subscription(id).await
    }

    /// Records what was done, unless somebody has wished the row away meanwhile: then it is only the more to be removed.
    async fn record(
        &self,
        update: SubscriptionUpdate,
        lease: Option<Lease>,
    ) -> Result<(), StoreError> {
        let store = &self.parts.store;
        let wished_away = update.state != SubscriptionState::Deleting
            && store
                .subscription(update.id)
                .await?
                .is_some_and(|row| row.state == SubscriptionState::Deleting);
        let update = if wished_away {
            self.deleting(update)
        } else {
            update
        };
        let recorded = store.update_subscription(update, lease).await;
        if let (Err(StoreError::Fenced { .. }), Some(lease)) = (&recorded, lease) {
            self.parts.fence.refuse(lease, Stage::Subscribe);
        }
        recorded
    }

    async fn refresh(&self, id: SubscriptionId) {
        // It is on disk; the directory repeats a refresh that fails.
        let _ = self.parts.directory.refresh(Change::Subscription(id)).await;
    }

    fn lock(&self, id: SubscriptionId) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        Arc::clone(locks.entry(id).or_default())
    }
}

/// Counts as under way until it is dropped.
struct InFlight<'a>(&'a Gauge);

impl<'a> InFlight<'a> {
    fn begin(gauge: &'a Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

type Looking = std::pin::Pin<Box<dyn Future<Output = SubscriptionId> + Send>>;

/// The row as it is, to be changed in part.
fn unchanged(row: &Subscription) -> SubscriptionUpdate {
    SubscriptionUpdate {
        id: row.id,
        state: row.state,
        graph_id: row.graph_id.clone(),
        expires_at: row.expires_at,
        due_at: row.due_at,
        failures: row.failures,
        last_error: row.last_error.clone(),
        renewed_at: row.renewed_at,
        attended: row.lifecycle.map(|lifecycle| lifecycle.count),
        reconcile: None,
        events: Vec::new(),
    }
}

/// What is to be watched, if an app without a user can watch it.
fn path(new: &NewSubscription) -> Result<SubscriptionPath, ManageError> {
    let invalid = |pointer, detail: String| ManageError::Invalid { pointer, detail };
    let path = SubscriptionPath::parse(&new.resource)
        .map_err(|error| invalid("/resource", error.to_string()))?;
    path.check(new.change_types)
        .map_err(|error| invalid("/change_types", error.to_string()))?;
    let row = path.row();
    if path.owner() == Some("me") {
        return Err(invalid(
            "/resource",
            "`me` is the signed-in user, and this connection has none: write `users/{id}`"
                .to_owned(),
        ));
    }
    if row.rich == Rich::Required {
        return Err(invalid(
            "/resource",
            format!(
                "Graph tells of {} only in encrypted notifications, which are not supported yet",
                row.name
            ),
        ));
    }
    let users_only = row.permissions.application.is_empty()
        && !(row.permissions.delegated.is_empty() && row.permissions.personal.is_empty());
    if users_only {
        return Err(invalid(
            "/resource",
            format!(
                "Graph lets only signed-in users watch {}, and this connection is an app's",
                row.name
            ),
        ));
    }
    Ok(path)
}

/// 256 random bits as text, well within Graph's 128 characters.
fn client_state(entropy: &dyn Entropy) -> Secret {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    Secret::new(URL_SAFE_NO_PAD.encode(entropy.bytes::<32>()))
}
