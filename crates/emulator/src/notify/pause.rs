//! Delivery pauses while a subscription is not authorized (Microsoft's "Receive change notifications through webhooks" page,
//! section on access tokens, and its "lifecycle notifications" page): what changes meanwhile is held for up to 4 hours, or
//! lost. The two pages differ, so a switch decides.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tidings_domain::Timestamp;
use uuid::Uuid;

use super::{Outgoing, lifecycle::tell_missed, route};
use crate::{ledger::Loss, subscription::Subscription, switches::Pause, world::World};

/// Notifications that wait until their subscription is authorized again.
#[derive(Debug, Default)]
pub(super) struct Held(Mutex<HashMap<Uuid, Vec<Waiting>>>);

#[derive(Debug)]
struct Waiting {
    since: Timestamp,
    json: String,
}

impl Held {
    /// How many wait for a subscription.
    pub(super) fn count(&self, subscription: Uuid) -> usize {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.get(&subscription).map_or(0, Vec::len)
    }
}

/// Whether notifications for a subscription are not sent now.
pub(crate) fn is_paused(world: &World, subscription: &Subscription, now: Timestamp) -> bool {
    let switches = world.switches();
    if switches.pause == Pause::Never {
        return false;
    }
    let grace = Duration::from_secs(switches.pause_grace_seconds);
    let delay = Duration::from_secs(switches.revocation_seconds);
    now >= subscription.token_expires_at + grace
        || world
            .troubles
            .refusal(subscription.tenant, subscription.app, now, delay)
            .is_some()
}

/// Keeps an item back, or lets it be lost.
pub(super) fn keep(world: &Arc<World>, item: Outgoing, now: Timestamp) {
    if world.switches().pause == Pause::Lose {
        // Nothing tells of these: only a delta query shows them.
        world.ledger.lost(Loss::Paused, 1);
        return;
    }
    let held = &world.notifier.held.0;
    let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
    held.entry(item.subscription).or_default().push(Waiting {
        since: now,
        json: item.json,
    });
}

/// Sends what waited for a subscription that is authorized again. What has waited too long is lost.
pub(crate) fn release(world: &Arc<World>, subscription: &Subscription) {
    let now = world.clock.now();
    if is_paused(world, subscription, now) {
        return;
    }
    let waited = {
        let held = &world.notifier.held.0;
        let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
        held.remove(&subscription.id).unwrap_or_default()
    };
    let longest = world.delivery().give_up();
    let (sent, lost): (Vec<_>, Vec<_>) = waited
        .into_iter()
        .partition(|waiting| waiting.since + longest >= now);
    if !lost.is_empty() {
        world.ledger.lost(Loss::HeldTooLong, lost.len());
        tell_missed(world, [subscription.id]);
    }
    let items = sent
        .into_iter()
        .map(|waiting| Outgoing {
            json: waiting.json,
            ..Outgoing::to(subscription)
        })
        .collect();
    route::take(world, items);
}

/// Forgets what waits for a subscription that is gone.
pub(crate) fn forget(world: &World, subscription: Uuid) {
    let held = &world.notifier.held.0;
    let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(waiting) = held.remove(&subscription) {
        world.ledger.lost(Loss::Paused, waiting.len());
    }
}
