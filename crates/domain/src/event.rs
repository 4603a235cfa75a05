//! A change as the app hears of it.

use bytes::Bytes;
use serde::Serialize;

use crate::{
    Timestamp,
    ids::{ConnectionId, EnvironmentId, EventId, NotificationId, SubscriptionId},
    trigger::Trigger,
};

/// A change as the app hears of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its id, the same in every delivery of it.
    pub id: EventId,
    /// Where it happened.
    pub environment: EnvironmentId,
    /// Whose data it is.
    pub connection: ConnectionId,
    /// The subscription that brought it; `None` for subscriptions made by hand.
    pub subscription: Option<SubscriptionId>,
    /// The notification that led to it; `None` where none did (it says what became of a subscription).
    pub notification: Option<NotificationId>,
    /// Which kind of event it is.
    pub trigger: Trigger,
    /// The changed item as a path: `users/{id}/events/{id}`; of an operational event the id of what it is about.
    pub subject: String,
    /// How much of the object is in the body.
    pub object_state: ObjectState,
    /// When it was made.
    pub created_at: Timestamp,
    /// The `CloudEvents` JSON that is delivered: the same bytes at every attempt.
    pub body: Bytes,
}

/// How much of the changed object is in an event's body, and if nothing, why.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectState {
    /// Graph says that it was deleted; nothing was fetched.
    Deleted,
    /// All of it, as Graph gave it.
    Fetched,
    /// Nothing: Graph refuses to give it to this app.
    Forbidden,
    /// Nothing: it had vanished when it was asked for.
    Gone,
    /// Nothing: it is an operational event, and there is no object. Its body says nothing of one.
    None,
    /// Nothing: it is larger than an event may be.
    TooLarge,
}

impl ObjectState {
    /// Every state.
    pub const ALL: [Self; 6] = [
        Self::Deleted,
        Self::Fetched,
        Self::Forbidden,
        Self::Gone,
        Self::None,
        Self::TooLarge,
    ];

    /// The state's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Fetched => "fetched",
            Self::Forbidden => "forbidden",
            Self::Gone => "gone",
            Self::None => "none",
            Self::TooLarge => "too_large",
        }
    }
}
