//! Every subscription, found by id, by what it watches, and by what must not stand twice.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use tidings_domain::{Timestamp, resource::ChangeTypes};
use uuid::Uuid;

use super::{
    Subscription, Watch,
    quota::{Exceeded, Limits},
};

/// Every subscription.
#[derive(Debug, Default)]
pub(crate) struct Book {
    shelf: RwLock<Shelf>,
}

#[derive(Debug, Default)]
struct Shelf {
    by_id: HashMap<Uuid, Arc<Subscription>>,
    by_watch: HashMap<Watch, Vec<Uuid>>,
    by_combination: HashMap<Combination, Uuid>,
    by_end: BTreeSet<(Timestamp, Uuid)>,
    limits: Limits,
}

/// What may stand only once: app, tenant, resource and changes. The URL is no part of it.
type Combination = (Uuid, Uuid, String, ChangeTypes);

/// Why a subscription is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// This one stands for the same.
    Duplicate(Uuid),
    /// There are too many.
    Quota(Exceeded),
}

impl Book {
    /// Whether `candidate` would be taken now.
    pub(crate) fn check(&self, candidate: &Subscription, now: Timestamp) -> Result<(), Refused> {
        let mut shelf = self.write();
        shelf.expire(now);
        shelf.check(candidate)
    }

    /// Takes a subscription, checked once more.
    pub(crate) fn insert(
        &self,
        subscription: Subscription,
        now: Timestamp,
    ) -> Result<Arc<Subscription>, Refused> {
        let mut shelf = self.write();
        shelf.expire(now);
        shelf.check(&subscription)?;
        let subscription = Arc::new(subscription);
        shelf.put(Arc::clone(&subscription));
        Ok(subscription)
    }

    /// A living subscription.
    pub(crate) fn get(&self, id: Uuid, now: Timestamp) -> Option<Arc<Subscription>> {
        let shelf = self.read();
        shelf
            .by_id
            .get(&id)
            .filter(|subscription| subscription.expires_at > now)
            .cloned()
    }

    /// Changes a living subscription.
    pub(crate) fn update(
        &self,
        id: Uuid,
        now: Timestamp,
        change: impl FnOnce(&mut Subscription),
    ) -> Option<Arc<Subscription>> {
        let mut shelf = self.write();
        shelf.expire(now);
        let mut subscription = Subscription::clone(shelf.by_id.get(&id)?);
        change(&mut subscription);
        shelf.take(id);
        let subscription = Arc::new(subscription);
        shelf.put(Arc::clone(&subscription));
        Some(subscription)
    }

    /// Removes a living subscription.
    pub(crate) fn remove(&self, id: Uuid, now: Timestamp) -> Option<Arc<Subscription>> {
        let mut shelf = self.write();
        shelf.expire(now);
        shelf.take(id)
    }

    /// The living subscriptions of an app in a tenant, by id.
    pub(crate) fn of(&self, app: Uuid, tenant: Uuid, now: Timestamp) -> Vec<Arc<Subscription>> {
        let mut found = self.all(now);
        found.retain(|one| one.app == app && one.tenant == tenant);
        found
    }

    /// Every living subscription, by id.
    pub(crate) fn all(&self, now: Timestamp) -> Vec<Arc<Subscription>> {
        let mut all: Vec<_> = self
            .read()
            .by_id
            .values()
            .filter(|subscription| subscription.expires_at > now)
            .cloned()
            .collect();
        all.sort_unstable_by_key(|subscription| subscription.id);
        all
    }

    /// The living subscriptions that watch any of `watches`.
    pub(crate) fn watching(&self, watches: &[Watch], now: Timestamp) -> Vec<Arc<Subscription>> {
        let shelf = self.read();
        watches
            .iter()
            .filter_map(|watch| shelf.by_watch.get(watch))
            .flatten()
            .filter_map(|id| shelf.by_id.get(id))
            .filter(|subscription| subscription.expires_at > now)
            .cloned()
            .collect()
    }

    /// How many there may be.
    pub(crate) fn limits(&self) -> Limits {
        self.read().limits.clone()
    }

    /// Sets how many there may be.
    pub(crate) fn set_limits(&self, limits: Limits) {
        self.write().limits = limits;
    }

    fn read(&self) -> RwLockReadGuard<'_, Shelf> {
        self.shelf.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Shelf> {
        self.shelf.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    fn check(&self, candidate: &Subscription) -> Result<(), Refused> {
        if let Some(&id) = self.by_combination.get(&combination(candidate)) {
            return Err(Refused::Duplicate(id));
        }
        self.limits
            .check(candidate, &self.by_id.values())
            .map_err(Refused::Quota)
    }

    fn put(&mut self, subscription: Arc<Subscription>) {
        let id = subscription.id;
        self.by_watch
            .entry(subscription.watch)
            .or_default()
            .push(id);
        self.by_combination.insert(combination(&subscription), id);
        self.by_end.insert((subscription.expires_at, id));
        self.by_id.insert(id, subscription);
    }

    fn take(&mut self, id: Uuid) -> Option<Arc<Subscription>> {
        let subscription = self.by_id.remove(&id)?;
        if let Some(ids) = self.by_watch.get_mut(&subscription.watch) {
            ids.retain(|other| *other != id);
        }
        self.by_combination.remove(&combination(&subscription));
        self.by_end.remove(&(subscription.expires_at, id));
        Some(subscription)
    }

    fn expire(&mut self, now: Timestamp) {
        while let Some(&(end, id)) = self.by_end.first() {
            if end > now {
                return;
            }
            self.take(id);
        }
    }
}

fn combination(subscription: &Subscription) -> Combination {
    (
        subscription.app,
        subscription.tenant,
        subscription.normal_resource.clone(),
        subscription.change_types,
    )
}
