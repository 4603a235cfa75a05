//! What was found of an item against what the app knows of it: whether it is told, as what, and what the app knows then.

use std::sync::Arc;

use tidings_domain::{
    event::ObjectState,
    ids::SubscriptionId,
    notification::{Notification, Origin},
    resource::{ChangeType, ResourceKind},
};
use tidings_graph::resource::ItemPath;
use tidings_storage::{
    StoreError,
    record::{KnownItem, Told, Version},
};

use super::{EnrichParts, event::Found};
use crate::{
    directory::SubscriptionEntry,
    reconcile::{self, key, wanted::Wanted},
};

/// What follows from what was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Weighed {
    /// What is told; `None` if the app knows it already, or did not ask for it.
    pub(super) tell: Option<Found>,
    /// What the app knows then.
    pub(super) told: Option<Told>,
}

/// Weighs what was found of the item at `path`.
pub(super) async fn weigh(
    parts: &EnrichParts,
    notification: &Notification,
    path: &ItemPath,
    found: Found,
) -> Result<Weighed, StoreError> {
    let Some((subscription, wanted)) = covered(parts, notification) else {
        return Ok(Weighed {
            tell: Some(found),
            told: None,
        });
    };
    let item = key::of(path);
    let is_find = notification.origin != Origin::Notification;
    let asks = is_find
        || !wanted.is_told(ChangeType::Created)
        || parts.finds.are_recent(parts, subscription).await?;
    let known = if asks {
        known(parts, subscription, item, is_find).await?
    } else {
        Known::NotAsked
    };
    let claimed = notification.change_type.unwrap_or(found.change);
    let has_window = path.kind() == ResourceKind::Event;
    Ok(known.judge(subscription, item, wanted, claimed, has_window, found))
}

/// The subscription that brought it, if what it watches is reconciled, and what it asks for.
fn covered(parts: &EnrichParts, notification: &Notification) -> Option<(SubscriptionId, Wanted)> {
    let entry: Arc<SubscriptionEntry> = parts.directory.subscription(notification.subscription?)?;
    let path = entry.path.as_deref()?;
    reconcile::covers(path).then(|| (entry.id, Wanted::new(path, entry.change_types)))
}

async fn known(
    parts: &EnrichParts,
    subscription: SubscriptionId,
    item: &str,
    is_find: bool,
) -> Result<Known, StoreError> {
    let items = vec![item.to_owned()];
    let found = parts.store.known_items(subscription, items).await?.pop();
    if is_find {
        return Ok(Known::Find(found));
    }
    // Before the first round has ended, what is not known may have been there for long.
    let state = parts.store.reconcile(subscription).await?;
    Ok(match state.and_then(|state| state.finished_at) {
        Some(_) => Known::Notified(found),
        None => Known::NotAsked,
    })
}

/// What the app knows of an item.
#[derive(Debug)]
enum Known {
    /// It does not matter.
    NotAsked,
    /// Graph has notified of it: it is told, but perhaps by a better word than Graph has.
    Notified(Option<KnownItem>),
    /// Nobody has notified of it: it is told only if the app does not know it.
    Find(Option<KnownItem>),
}

impl Known {
    fn judge(
        self,
        subscription: SubscriptionId,
        item: &str,
        wanted: Wanted,
        claimed: ChangeType,
        has_window: bool,
        found: Found,
    ) -> Weighed {
        let gone = matches!(found.state, ObjectState::Deleted | ObjectState::Gone);
        let told = |present| {
            Some(Told {
                subscription,
                item: item.to_owned(),
                present,
            })
        };
        let is_find = matches!(self, Self::Find(_));
        let version = if is_find {
            found.version.map(Version::found)
        } else {
            found.version
        };
        let then = told((!gone).then_some(version));
        let before = match &self {
            Self::NotAsked => {
                return Weighed {
                    tell: Some(found),
                    told: then,
                };
            }
            Self::Notified(before) | Self::Find(before) => before.as_ref(),
        };
        let before = before.filter(|item| item.told);
        let same = |item: &KnownItem| match (item.version, found.version) {
            (Some(before), Some(now)) => before.is(now),
            _ => false,
        };
        let was_found = |item: &KnownItem| item.version.is_some_and(Version::was_found);
        match before {
            // A comparison was faster than Graph's notification of it, which was on its way for hours, perhaps.
            Some(before) if !is_find && !gone && was_found(before) && same(before) => Weighed {
                tell: None,
                told: None,
            },
            // It is as it was, and was looked at only because an enumeration did not show it. What left the window of a
            // calendar would be looked at again and again: the next notification of it makes it known again.
            Some(before) if is_find && !gone && same(before) => Weighed {
                tell: None,
                told: (claimed == ChangeType::Deleted && has_window)
                    .then(|| told(None))
                    .flatten(),
            },
            // Nobody has been told that it exists.
            None if is_find && gone => Weighed {
                tell: None,
                told: then,
            },
            before => {
                let change = match (before, gone) {
                    (_, true) if is_find || !wanted.is_told(ChangeType::Deleted) => {
                        ChangeType::Deleted
                    }
                    (None, false) if is_find || !wanted.is_told(ChangeType::Created) => {
                        ChangeType::Created
                    }
                    (Some(_), false) if is_find => ChangeType::Updated,
                    _ => found.change,
                };
                let state = match found.state {
                    ObjectState::Gone if change == ChangeType::Deleted => ObjectState::Deleted,
                    state => state,
                };
                let found = Found {
                    change,
                    state,
                    ..found
                };
                Weighed {
                    tell: (!is_find || wanted.has(change)).then_some(found),
                    told: then,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
