//! Which node is to work on a notification.

use tidings_domain::{notification::Notification, shard::Shard};
use tidings_graph::resource::{ItemPath, SubscriptionPath};

/// The shard of a notification: that of its mailbox, so that the order of its items and Graph's limit on it have one
/// owner. What is held has not been believed yet, but its place is that of the mailbox it names.
pub fn of(notification: &Notification) -> Shard {
    let item = ItemPath::parse(&notification.resource).ok();
    // Lifecycle notifications name what is watched, not an item.
    let watched = match item {
        Some(_) => None,
        None => SubscriptionPath::parse(&notification.resource).ok(),
    };
    let mailbox = match (&item, &watched) {
        (Some(item), _) => item.mailbox(),
        (None, Some(watched)) => watched.mailbox(),
        (None, None) => None,
    };
    let tenant = notification.tenant_id.unwrap_or_default();
    Shard::of_mailbox(notification.integration, tenant, mailbox)
}
