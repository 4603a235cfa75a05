//! What is configured, in memory: every look-up of the hot paths without the store.
//!
//! It is an image of the store's rows, loaded at the start. Whoever changes a row does it in [`Directory::change`], which
//! reads the row again after the commit; [`crate::signals`] calls [`Directory::refresh`] after a change by another node.
//! Should that fail, or should nobody know whether there was a commit, [`Directory::run`] sees to it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard},
    time::Duration,
};

use tidings_domain::{
    Clock,
    connection::Connection,
    environment::Environment,
    ids::{ConnectionId, EnvironmentId, IntegrationId, SubscriptionId, WebhookId},
    integration::Integration,
    page::{Cursor, Listing, Page, PageLimit},
    trigger::Trigger,
    webhook::Webhook,
};
/// Which row has changed.
pub use tidings_storage::Changed as Change;
use tidings_storage::{Store, StoreError, record::KeyedHash};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::wake::Wake;

mod entry;
mod owed;
mod tables;

pub use entry::{GraphId, SubscriptionEntry};
use owed::Owed;
pub use tables::Tables;

/// How long a row that could not be read again waits for the next try.
const RETRY: Duration = Duration::from_secs(1);
/// How often a row is read again when nobody knows whether a change of it was committed: with [`RETRY`] between two
/// reads longer than a store goes on with a statement that nobody waits for any more, which is 5 s.
const LOOKS: u32 = 8;

/// The image of what is configured. Share it in an [`Arc`].
#[derive(Debug)]
pub struct Directory {
    store: Arc<dyn Store>,
    tables: RwLock<Tables>,
    /// One refresh at a time: of two that overlap, the one that read first might otherwise swap last.
    refreshing: tokio::sync::Mutex<()>,
    stale: Mutex<Stale>,
    stale_wake: Wake,
}

/// What has changed, or may have, and is to be read again.
#[derive(Debug, Default)]
struct Stale {
    /// How often each is to be read yet.
    rows: HashMap<Change, u32>,
    everything: bool,
}

impl Directory {
    /// Reads everything that is configured from `store`.
    pub async fn load(store: Arc<dyn Store>) -> Result<Self, StoreError> {
        Ok(Self {
            tables: RwLock::new(read_everything(&*store).await?),
            store,
            refreshing: tokio::sync::Mutex::default(),
            stale: Mutex::default(),
            stale_wake: Wake::new(),
        })
    }

    /// All tables at one moment, for several look-ups in a row. Let go of it soon: it holds up refreshes.
    pub fn tables(&self) -> RwLockReadGuard<'_, Tables> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// An environment.
    pub fn environment(&self, id: EnvironmentId) -> Option<Arc<Environment>> {
        self.tables().environment(id).cloned()
    }

    /// The integration with this key in this environment.
    pub fn integration(&self, environment: EnvironmentId, key: &str) -> Option<Arc<Integration>> {
        self.tables().integration(environment, key).cloned()
    }

    /// An integration.
    pub fn integration_by_id(&self, id: IntegrationId) -> Option<Arc<Integration>> {
        self.tables().integration_by_id(id).cloned()
    }

    /// A connection.
    pub fn connection(&self, id: ConnectionId) -> Option<Arc<Connection>> {
        self.tables().connection(id).cloned()
    }

    /// The connection of an integration to a tenant.
    pub fn connection_for_tenant(
        &self,
        integration: IntegrationId,
        tenant: Uuid,
    ) -> Option<Arc<Connection>> {
        self.tables()
            .connection_for_tenant(integration, tenant)
            .cloned()
    }

    /// A subscription.
    pub fn subscription(&self, id: SubscriptionId) -> Option<Arc<SubscriptionEntry>> {
        self.tables().subscription(id).cloned()
    }

    /// The subscription that Graph knows by this id.
    pub fn subscription_by_graph_id(&self, id: &str) -> Option<Arc<SubscriptionEntry>> {
        self.tables()
            .subscription_by_graph_id(&GraphId::new(id))
            .cloned()
    }

    /// The subscription with this clientState.
    pub fn subscription_by_client_state(&self, hash: KeyedHash) -> Option<Arc<SubscriptionEntry>> {
        self.tables().subscription_by_client_state(hash).cloned()
    }

    /// A webhook.
    pub fn webhook(&self, id: WebhookId) -> Option<Arc<Webhook>> {
        self.tables().webhook(id).cloned()
    }

    /// The webhooks that ask for `trigger` events of a connection, disabled ones included: their deliveries are held.
    pub fn webhooks_wanting(
        &self,
        environment: EnvironmentId,
        connection: ConnectionId,
        trigger: Trigger,
    ) -> Vec<Arc<Webhook>> {
        self.tables()
            .webhooks_wanting(environment, connection, trigger)
            .cloned()
            .collect()
    }

    /// Changes a row by `write`, and reads it again.
    ///
    /// Where it stays open whether the change was committed, because the store did not say so or because whoever asked
    /// has gone away half-way, [`Directory::run`] reads the row until that must have been decided. So no change that is
    /// on disk goes unnoticed here.
    pub async fn change<T>(
        &self,
        change: Change,
        write: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let mut owed = Owed::new(self, change, LOOKS);
        match write.await {
            Ok(written) => {
                // It is on disk: that it cannot be read again yet need not trouble whoever changed it.
                let _ = self.refresh(change).await;
                owed.settle();
                Ok(written)
            }
            Err(error) => {
                if !error.is_in_doubt() {
                    owed.settle();
                }
                Err(error)
            }
        }
    }

    /// Reads a row again after it was changed.
    ///
    /// The change is on disk already. So a failure here is repeated by [`Directory::run`], and whoever made the change
    /// need not do anything about it.
    pub async fn refresh(&self, change: Change) -> Result<(), StoreError> {
        let _one_at_a_time = self.refreshing.lock().await;
        // Taken before the read: what is found to be stale during it stays so.
        let looks = self.stale().rows.remove(&change).unwrap_or(1);
        let mut owed = Owed::new(self, change, looks);
        let read = self.read_again(change).await;
        match &read {
            Ok(()) => owed.looked(),
            Err(error) => {
                tracing::warn!(?change, %error, "a changed row cannot be read again yet: it is tried until it can");
            }
        }
        read
    }

    /// Reads everything again, after changes that nobody can name. Look-ups go on with what there was until then. A
    /// failure is repeated by [`Directory::run`].
    pub async fn reload(&self) -> Result<(), StoreError> {
        let _one_at_a_time = self.refreshing.lock().await;
        let read = read_everything(&*self.store).await;
        self.stale().everything = read.is_err();
        match read {
            Ok(mut tables) => {
                // What there was is taken apart after the look-ups have gone on.
                self.write(|old| std::mem::swap(old, &mut tables));
                Ok(())
            }
            Err(error) => {
                tracing::warn!(%error, "what is configured cannot be read again yet: it is tried until it can");
                self.stale_wake.wake();
                Err(error)
            }
        }
    }

    /// Reads what is stale, until `stop`, and tells `after` of each change that is known then; of `None` where
    /// everything may be another.
    pub async fn run(
        &self,
        clock: &dyn Clock,
        stop: &CancellationToken,
        after: impl Fn(Option<Change>) + Send + Sync,
    ) {
        loop {
            self.repeat(&after).await;
            let next = async {
                if !self.is_stale() {
                    self.stale_wake.wait().await;
                }
                // Whatever made the read fail is likely to last a moment.
                clock.sleep(RETRY).await;
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = next => {}
            }
        }
    }

    /// Reads once what is stale.
    async fn repeat(&self, after: &(impl Fn(Option<Change>) + Sync)) {
        if self.stale().everything {
            if self.reload().await.is_ok() {
                after(None);
            }
            return;
        }
        let rows: Vec<Change> = self.stale().rows.keys().copied().collect();
        for change in rows {
            match self.refresh(change).await {
                Ok(()) => after(Some(change)),
                // The others would only wait for the same.
                Err(error) if error.is_transient() => return,
                Err(_) => {}
            }
        }
    }

    fn is_stale(&self) -> bool {
        let stale = self.stale();
        stale.everything || !stale.rows.is_empty()
    }

    /// Has [`Directory::run`] read a row at least so often.
    fn owe(&self, change: Change, looks: u32) {
        let mut stale = self.stale();
        let owed = stale.rows.entry(change).or_default();
        *owed = looks.max(*owed);
        drop(stale);
        self.stale_wake.wake();
    }

    fn stale(&self) -> MutexGuard<'_, Stale> {
        self.stale.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read_again(&self, change: Change) -> Result<(), StoreError> {
        match change {
            Change::Environment(_) => {
                let environments = self.store.environments().await?;
                self.write(|tables| tables.set_environments(environments));
            }
            Change::Integration(_) => {
                let integrations = with_hashes(&*self.store, self.store.integrations().await?);
                self.write(|tables| tables.set_integrations(integrations));
            }
            Change::Connection(id) => {
                let connection = self.store.connection(id).await?;
                self.write(|tables| tables.set_connection(id, connection));
            }
            Change::Subscription(id) => {
                let subscription = self.store.subscription(id).await?;
                let entry = subscription.map(|one| SubscriptionEntry::new(&one, &*self.store));
                self.write(|tables| tables.set_subscription(id, entry));
            }
            Change::Webhook(id) => {
                let webhook = self.store.webhook(id).await?;
                self.write(|tables| tables.set_webhook(id, webhook));
            }
        }
        Ok(())
    }

    fn write(&self, change: impl FnOnce(&mut Tables)) {
        change(&mut self.tables.write().unwrap_or_else(PoisonError::into_inner));
    }
}

async fn read_everything(store: &dyn Store) -> Result<Tables, StoreError> {
    let mut tables = Tables::default();
    tables.set_environments(store.environments().await?);
    tables.set_integrations(with_hashes(store, store.integrations().await?));

    let mut after = None;
    loop {
        let listing = store.connections(None, page(after)).await?;
        after = each(listing, |one| tables.set_connection(one.id, Some(one)));
        if after.is_none() {
            break;
        }
    }
    loop {
        let listing = store.webhooks(None, page(after)).await?;
        after = each(listing, |one| tables.set_webhook(one.id, Some(one)));
        if after.is_none() {
            break;
        }
    }
    loop {
        let listing = store.subscriptions(None, None, page(after)).await?;
        after = each(listing, |one| {
            tables.set_subscription(one.id, Some(SubscriptionEntry::new(&one, store)));
        });
        if after.is_none() {
            break;
        }
    }
    Ok(tables)
}

fn with_hashes(store: &dyn Store, integrations: Vec<Integration>) -> Vec<(Integration, KeyedHash)> {
    integrations
        .into_iter()
        .map(|integration| {
            let hash = store.hash_client_state(integration.webhook_secret.expose());
            (integration, hash)
        })
        .collect()
}

fn page(after: Option<Cursor>) -> Page {
    let limit = PageLimit::new(PageLimit::MAX).expect("invariant: the largest limit is one");
    Page { after, limit }
}

fn each<T>(listing: Listing<T>, take: impl FnMut(T)) -> Option<Cursor> {
    listing.items.into_iter().for_each(take);
    listing.next
}

#[cfg(test)]
mod tests;
