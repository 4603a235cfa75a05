//! One item of one POST from Graph, with its verdict.

use std::{fmt, str::FromStr};

use bytes::Bytes;
use serde::{Serialize, Serializer};
use uuid::Uuid;

use crate::{
    Timestamp,
    ids::{ConnectionId, EnvironmentId, IntegrationId, NotificationId, SubscriptionId},
    resource::ChangeType,
};

/// One item of one POST from Graph, or a change that reconciling found, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// Its id: ours, since Graph's is optional.
    pub id: NotificationId,
    /// Whose notification URL it came to.
    pub environment: EnvironmentId,
    /// Whose notification URL it came to.
    pub integration: IntegrationId,
    /// Who told of it.
    pub origin: Origin,
    /// When its POST had been read, or when it was found.
    pub received_at: Timestamp,
    /// What was made of it.
    pub verdict: Verdict,
    /// The connection it was matched to.
    pub connection: Option<ConnectionId>,
    /// The subscription of ours it belongs to; `None` for subscriptions made by hand.
    pub subscription: Option<SubscriptionId>,
    /// Graph's subscription id, as sent.
    pub graph_subscription_id: Option<String>,
    /// The tenant it claims, if that was a GUID.
    pub tenant_id: Option<Uuid>,
    /// What happened to the resource; `None` in lifecycle notifications.
    pub change_type: Option<ChangeType>,
    /// What happened to the subscription; `None` in change notifications.
    pub lifecycle_event: Option<LifecycleEvent>,
    /// The changed item as a path in canonical form (`users/{id}/events/{id}`), or what was sent where that cannot be
    /// read.
    pub resource: String,
    /// The etag of the changed item, if the notification has one.
    pub etag: Option<String>,
    /// The item's JSON as sent, without its clientState.
    pub item: Bytes,
}

macro_rules! words {
    ($(#[$enum_doc:meta])* $enum:ident, $error:ident, $what:literal: $($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        $(#[$enum_doc])*
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub enum $enum {
            $($(#[$doc])* $name,)*
        }

        impl $enum {
            /// Every one of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The word for it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }

        impl fmt::Display for $enum {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        #[doc = concat!("A word that names no ", $what, ".")]
        #[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
        #[error("`{0}` is no {what}", what = $what)]
        pub struct $error(String);

        impl FromStr for $enum {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, $error> {
                Self::ALL
                    .iter()
                    .copied()
                    .find(|one| one.as_str().eq_ignore_ascii_case(text))
                    .ok_or_else(|| $error(text.chars().take(64).collect()))
            }
        }

        impl Serialize for $enum {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}

words! {
    /// What was made of a notification.
    Verdict, UnknownVerdict, "verdict":
    /// It passed every check and leads to an event.
    Accepted = "accepted";
    /// It passed every check, and an equal one had been accepted before.
    Duplicate = "duplicate";
    /// No subscription matches yet; it waits some seconds for one that is just being made.
    Held = "held";
    /// It is no notification: a member is missing or unreadable.
    Malformed = "malformed";
    /// Neither a subscription of ours nor one made by hand matches it.
    UnknownSubscription = "unknown_subscription";
    /// The subscription is known, but its clientState is another one.
    WrongClientState = "wrong_client_state";
    /// The subscription is known, but belongs to another tenant.
    WrongTenant = "wrong_tenant";
}

impl Verdict {
    /// Whether it ends the matter without an event. Anyone can cause these, so they are kept within a limit.
    pub const fn is_rejection(self) -> bool {
        matches!(
            self,
            Self::Malformed
                | Self::UnknownSubscription
                | Self::WrongClientState
                | Self::WrongTenant
        )
    }
}

words! {
    /// Who told of a change.
    Origin, UnknownOrigin, "origin":
    /// Graph, by a notification.
    Notification = "notification";
    /// Nobody: it was found by comparing.
    Reconcile = "reconcile";
    /// Nobody: it was there before the subscription, and is told because somebody wants that.
    Existing = "existing";
    /// Graph, by a notification that does not name the item (drives, lists): it was found by comparing, at once.
    Unnamed = "unnamed";
}

words! {
    /// What happened to a subscription (Microsoft's "lifecycle notifications" page).
    LifecycleEvent, UnknownLifecycleEvent, "lifecycle event":
    /// Some notifications were not delivered.
    Missed = "missed";
    /// The subscription, its token or its permission is about to end.
    ReauthorizationRequired = "reauthorizationRequired";
    /// Graph removed the subscription.
    SubscriptionRemoved = "subscriptionRemoved";
}
