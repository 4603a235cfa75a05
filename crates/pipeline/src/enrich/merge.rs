//! Notifications of one item that one fetch and one event answer.
//!
//! Someone edits an event, and Graph sends three updates; a program does, and it sends a hundred. Those that wait for the
//! same item, of one subscription and one kind of change, are told by one event, with the state that was fetched after
//! the last of them was received. So none is lost: what came after the fetch began waits for the next one.
//!
//! The last of them leads to the event. If the program dies before the others have left the queue, they lead to one more.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use tidings_domain::{
    config::EnrichConfig,
    notification::{Notification, Origin, Verdict},
    resource::ChangeType,
};

/// The most notifications that one event answers: it names them.
pub(super) const MOST: usize = 100;

/// Which notifications are merged.
#[derive(Clone, Debug, Default)]
pub(super) struct Merging {
    changes: Vec<ChangeType>,
    /// For how long after a fetch of an item began the next update of it waits for others.
    pub(super) window: Duration,
}

impl Merging {
    pub(super) fn new(config: &EnrichConfig) -> Self {
        Self {
            changes: config.coalesce.clone(),
            window: config.coalesce_window.0,
        }
    }

    /// What a notification has in common with those that it can be merged with.
    pub(super) fn like(&self, notification: &Notification) -> Like {
        let Some(change) = notification.change_type else {
            return Like::NOTHING;
        };
        let can = notification.verdict == Verdict::Accepted
            && notification.origin == Origin::Notification
            && notification.lifecycle_event.is_none()
            && self.changes.contains(&change);
        if !can {
            return Like::NOTHING;
        }
        let mut hasher = DefaultHasher::new();
        notification.connection.hash(&mut hasher);
        notification.subscription.hash(&mut hasher);
        notification.resource.hash(&mut hasher);
        Like::new(hasher.finish(), change)
    }
}

/// A number of what notifications are of and what they tell; those that really are alike are found out from their data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Like(u64);

impl Like {
    /// Like no other.
    pub(super) const NOTHING: Self = Self(0);

    fn new(of: u64, change: ChangeType) -> Self {
        let change = match change {
            ChangeType::Created => 1,
            ChangeType::Updated => 2,
            ChangeType::Deleted => 3,
        };
        Self((of & !3) | change)
    }

    pub(super) fn is_something(self) -> bool {
        self != Self::NOTHING
    }

    /// Whether one may be told before the other though it came later: the same sort of change, told to two subscriptions.
    pub(super) fn may_pass(self, other: Self) -> bool {
        other.is_something() && self.0 & 3 == other.0 & 3
    }
}

/// Whether two notifications tell the same of the same.
pub(super) fn are_alike(one: &Notification, other: &Notification) -> bool {
    let alike = |one: &Notification| {
        one.verdict == Verdict::Accepted
            && one.origin == Origin::Notification
            && one.lifecycle_event.is_none()
    };
    alike(one)
        && alike(other)
        && one.connection == other.connection
        && one.subscription == other.subscription
        && one.change_type == other.change_type
        && one.resource == other.resource
}
