//! What other nodes did that concerns this one.

use tidings_domain::ids::{ConnectionId, EnvironmentId, IntegrationId, SubscriptionId, WebhookId};

/// Something that happened in the store without this node having done it. A hint only: each can come twice, or for
/// nothing.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Signal {
    /// A configured row was changed, made or removed.
    Changed(Changed),
    /// Changes may have been missed: everything that is configured is to be read again.
    ChangedSomehow,
    /// Deliveries of held shards may have become due: to this webhook, or to any.
    Due(Option<WebhookId>),
    /// Notifications of held shards are in the queue of enrich.
    Queued,
    /// Subscriptions of held shards may have to be reconciled.
    Reconcile,
    /// Other shards are held than before. What was read for those that are gone is to be forgotten, and the queues are
    /// to be read from the beginning for those that came.
    Shards,
}

/// A configured row.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Changed {
    /// A connection.
    Connection(ConnectionId),
    /// An environment.
    Environment(EnvironmentId),
    /// An integration.
    Integration(IntegrationId),
    /// A subscription.
    Subscription(SubscriptionId),
    /// A webhook.
    Webhook(WebhookId),
}
