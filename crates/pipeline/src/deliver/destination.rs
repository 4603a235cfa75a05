//! A webhook as attempts need it: its URL, its keys, how it fares.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tidings_domain::{
    Timestamp,
    ids::WebhookId,
    webhook::{Webhook, WebhookState},
};

use crate::{
    directory::Directory,
    signature::{InvalidSecret, SigningKey},
};

/// A webhook, prepared for many attempts.
#[derive(Debug)]
pub(super) struct Destination {
    pub(super) webhook: Arc<Webhook>,
    pub(super) key: Result<SigningKey, InvalidSecret>,
    health: Mutex<Health>,
}

/// How a webhook fares. In memory it is ahead of its row, so that of several attempts that fail at one time only the
/// first writes that it is failing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Health {
    /// Since when every attempt has failed.
    pub(super) failing_since: Option<Timestamp>,
    /// Whether an attempt has led to its being disabled.
    pub(super) disabled: bool,
}

impl Destination {
    fn new(webhook: Arc<Webhook>) -> Self {
        Self {
            key: SigningKey::new(&webhook.secret),
            health: Mutex::new(Health {
                failing_since: webhook.failing_since,
                disabled: false,
            }),
            webhook,
        }
    }

    pub(super) fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The webhooks that were sent to.
#[derive(Debug, Default)]
pub(super) struct Destinations(HashMap<WebhookId, Arc<Destination>>);

impl Destinations {
    /// The webhook as the directory has it now; `None` if it is gone or takes no deliveries.
    pub(super) fn find(
        &mut self,
        directory: &Directory,
        id: WebhookId,
    ) -> Option<Arc<Destination>> {
        let current = directory
            .webhook(id)
            .filter(|webhook| webhook.state == WebhookState::Active);
        let Some(current) = current else {
            self.0.remove(&id);
            return None;
        };
        let known = match self.0.entry(id) {
            Entry::Occupied(known) if Arc::ptr_eq(&known.get().webhook, &current) => {
                known.into_mut()
            }
            Entry::Occupied(mut changed) => {
                changed.insert(Arc::new(Destination::new(current)));
                changed.into_mut()
            }
            Entry::Vacant(new) => new.insert(Arc::new(Destination::new(current))),
        };
        (!known.health().disabled).then(|| Arc::clone(known))
    }
}
