//! Which node is to work on a notification.

use tidings_domain::{notification::Notification, shard::Shard};
use tidings_graph::resource::{ItemPath, SubscriptionPath};

/// The shard of a notification: that of its mailbox, so that the order of its items and Graph's limit on it have one
/// owner. What is held has not been believed yet, but its place is that of the mailbox it names.
pub fn of(notification: &Notification) -> Shard {
    let mailbox = mailbox_of(&notification.resource);
    let tenant = notification.tenant_id.unwrap_or_default();
    Shard::of_mailbox(notification.integration, tenant, mailbox.as_deref())
}

/// The mailbox, or whatever else a resource begins with, that an item or what is watched lies in.
pub fn mailbox_of(resource: &str) -> Option<String> {
    if let Ok(item) = ItemPath::parse(resource) {
        return item.mailbox().map(str::to_owned);
    }
    // Lifecycle notifications name what is watched, not an item.
    let watched = SubscriptionPath::parse(resource).ok()?;
    watched.mailbox().map(str::to_owned)
}
