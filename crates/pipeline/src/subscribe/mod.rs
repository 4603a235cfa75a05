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
//! | `due` | the loop: which of the due rows have their turn |
//! | `pace` | how fast a tenant's Graph is asked |
//! | `act` | one row: asks Graph for what the row wants |
//! | `company` | rows that have their turn together, and ask as one |
//! | `told` | the events of what becomes of a row |
//! | `lifetime` | for how long Graph is asked to let one live |
//! | `elsewhere` | waits for another node to act on a row of its |
//! | `conflict` | Graph has such a subscription already: whose it is |
//! | `schedule` | when a row is looked at next |
//! | `rest` | a row whose connection is disabled |
//! | `advice` | what to tell people who can mend a refusal |

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use prometheus_client::metrics::gauge::Gauge;
use tidings_domain::{
    Clock, Entropy, Ids, Secret, Timestamp,
    config::SubscribeConfig,
    connection::ConnectionIntent,
    ids::{ConnectionId, EnvironmentId, SubscriptionId},
    integration::Integration,
    resource::{ChangeType, ChangeTypes},
    shard::Shard,
    subscription::{Subscription, SubscriptionState},
};
use tidings_graph::{
    client::GraphClient,
    resource::{Enumeration, SubscriptionPath, table::Rich},
};
use tidings_storage::{Lease, Store, StoreError, record::SubscriptionUpdate};
use url::Url;

use crate::{
    credentials::Credentials,
    deliver::Hint,
    directory::{Change, Directory},
    fence::Fence,
    manage::{ManageError, integration::notification_url},
    metrics::{Stage, SubscribeMetrics},
    reconcile::wanted::Wanted,
    wake::Wake,
};

mod act;
mod advice;
mod company;
mod conflict;
mod due;
mod elsewhere;
mod lifetime;
mod pace;
mod rest;
mod schedule;
mod told;

#[cfg(test)]
mod tests;

pub(crate) use schedule::APART;

use company::Company;

/// Keeps Graph's subscriptions as they are wanted. Clones are the same stage.
#[derive(Clone, Debug)]
pub struct Subscribe {
    parts: Arc<SubscribeParts>,
    /// Who works on which row: the loop and people may want the same one.
    locks: Arc<Mutex<HashMap<SubscriptionId, Arc<tokio::sync::Mutex<()>>>>>,
    memory: Arc<Memory>,
    /// How many rows that had their turn with others and then go their own way may call Graph at one time.
    aside: Arc<tokio::sync::Semaphore>,
}

/// What the stage has learned since its start. Nothing of it is needed to go on.
#[derive(Debug, Default)]
struct Memory {
    pace: Mutex<pace::Pace>,
    lifetimes: lifetime::Lifetimes,
    /// Subscriptions are made anew for another public URL one after the other.
    replacing: tokio::sync::Mutex<()>,
    replacements: Mutex<schedule::Replacements>,
}

impl Memory {
    fn pace(&self) -> MutexGuard<'_, pace::Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the next of those can be made anew whose public URL has changed.
    fn replacement(&self, now: Timestamp) -> Timestamp {
        let replacements = self.replacements.lock();
        let mut replacements = replacements.unwrap_or_else(PoisonError::into_inner);
        replacements.next(now)
    }
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
    /// Records what calls show of credentials.
    pub credentials: Credentials,
    /// Is told which webhooks have new deliveries.
    pub deliver: Hint,
    /// Is given when something is to be reconciled.
    pub reconcile: Wake,
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
    /// Whether the app is to be told of what is there already, as if it were created now.
    pub deliver_existing: bool,
}

impl Subscribe {
    /// A stage made of these parts.
    pub fn new(parts: SubscribeParts) -> Self {
        let graph = parts.graph.with_timeout(parts.config.timeout.0);
        Self {
            aside: Arc::new(tokio::sync::Semaphore::new(parts.config.concurrency.max(1))),
            parts: Arc::new(SubscribeParts { graph, ..parts }),
            locks: Arc::default(),
            memory: Arc::default(),
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
        if connection.intent != ConnectionIntent::Kept {
            return Err(ManageError::Invalid {
                pointer: "/connection_id",
                detail: "this connection is disabled, or is being deleted: enable it first"
                    .to_owned(),
            });
        }
        let path = path(&new)?;
        let now = parts.clock.now();
        let shard = Shard::of_mailbox(connection.integration, connection.tenant_id, path.mailbox());
        let subscription = Subscription {
            id: parts.ids.next(),
            environment: connection.environment,
            integration: connection.integration,
            connection: connection.id,
            policy: None,
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
            deliver_existing: new.deliver_existing,
            lifecycle: None,
            patched_at: None,
            notification_url: None,
            lifecycle_url: None,
            former: None,
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

    /// Does for a row what it wants now, due or not, and gives it as it then is; `None` if it is gone.
    async fn act(&self, id: SubscriptionId) -> Result<Option<Subscription>, StoreError> {
        self.act_when(id, None, Company::none(), |_| true).await?;
        self.parts.store.subscription(id).await
    }

    /// The same, if the row is as `wanted`: for one that was read under `lease`, if that still holds (`Fenced` if not),
    /// and together with its `company`.
    async fn act_when(
        &self,
        id: SubscriptionId,
        lease: Option<Lease>,
        mut company: Company,
        wanted: impl Fn(&Subscription) -> bool,
    ) -> Result<(), StoreError> {
        let lock = self.lock(id);
        let _guard = if let Ok(guard) = lock.try_lock() {
            guard
        } else {
            // Whoever has it may be about to wait for Graph.
            company.leave();
            lock.lock().await
        };
        let row = self.parts.store.subscription(id).await?;
        let Some(row) = row.filter(wanted) else {
            return Ok(());
        };
        if let Some(lease) = lease.filter(|&lease| !self.parts.fence.allows(lease)) {
            let shard = lease.shard();
            return Err(StoreError::Fenced { shard });
        }
        let _counted = InFlight::begin(&self.parts.metrics.in_flight);
        let done = act::act(self, &row, &mut company).await;
        // It may not have asked at all.
        drop(company);
        let write = async {
            match done {
                act::Done::Changed(update) => self.record(*update, lease).await,
                act::Done::Removed => self.parts.store.delete_subscription(id).await.map(|_| ()),
            }
        };
        let change = Change::Subscription(id);
        self.parts.directory.change(change, write).await
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
        let deliveries = update.events.iter().flat_map(|new| &new.deliveries);
        let webhooks: Vec<_> = deliveries.map(|delivery| delivery.webhook).collect();
        let _reconciled = update.reconcile.map(|_| self.parts.reconcile.at_the_end());
        let recorded = store.update_subscription(update, lease).await;
        // A hint for nothing does no harm, and what is in doubt may be on disk.
        self.parts.deliver.webhooks(webhooks);
        if let (Err(StoreError::Fenced { .. }), Some(lease)) = (&recorded, lease) {
            self.parts.fence.refuse(lease, Stage::Subscribe);
        }
        recorded
    }

    async fn refresh(&self, id: SubscriptionId) {
        // It is on disk; the directory repeats a refresh that fails.
        let _ = self.parts.directory.refresh(Change::Subscription(id)).await;
    }

    /// Where Graph is to send the notifications of `integration`.
    fn notification_url(&self, integration: &Integration) -> Url {
        notification_url(&self.parts.public_url, integration)
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

/// The row as it is, to be changed in part. What was noted of it counts as seen to.
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
        patched_at: row.patched_at,
        notification_url: row.notification_url.clone(),
        lifecycle_url: row.lifecycle_url.clone(),
        former: row.former.clone(),
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
    check(&path, new.change_types, new.deliver_existing)?;
    Ok(path)
}

/// Checks that an app without a user can watch these changes of what a path names.
pub(crate) fn check(
    path: &SubscriptionPath,
    change_types: ChangeTypes,
    deliver_existing: bool,
) -> Result<(), ManageError> {
    let invalid = |pointer, detail: String| ManageError::Invalid { pointer, detail };
    path.check(change_types)
        .map_err(|error| invalid("/change_types", error.to_string()))?;
    let row = path.row();
    if deliver_existing {
        let exists = |detail: String| Err(invalid("/deliver_existing", detail));
        if let Enumeration::None { why } = path.enumeration() {
            return exists(format!("what exists cannot be found out: {why}"));
        }
        if !Wanted::new(path, change_types).has(ChangeType::Created) {
            return exists(
                "what exists is delivered as `created`: ask for that change type, too".to_owned(),
            );
        }
    }
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
    Ok(())
}

/// 256 random bits as text, well within Graph's 128 characters.
pub(crate) fn client_state(entropy: &dyn Entropy) -> Secret {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    Secret::new(URL_SAFE_NO_PAD.encode(entropy.bytes::<32>()))
}
