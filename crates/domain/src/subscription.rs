//! What Tidings wants from Graph, and the Graph subscription that serves it.

use std::{fmt, str::FromStr};

use serde::{Serialize, Serializer};

use crate::{
    Secret, Timestamp,
    ids::{ConnectionId, EnvironmentId, IntegrationId, PolicyId, SubscriptionId},
    resource::{ChangeTypes, ResourceKind},
};

/// A row of desired state: changes of these types to this resource are to reach us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Its id.
    pub id: SubscriptionId,
    /// Where it lives.
    pub environment: EnvironmentId,
    /// The integration of its connection.
    pub integration: IntegrationId,
    /// Whose consent serves it.
    pub connection: ConnectionId,
    /// The policy that made it and may remove it; `None` for one that somebody asked for.
    pub policy: Option<PolicyId>,
    /// What is watched, in canonical form: no leading slash, `users/{id}/events`.
    pub resource: String,
    /// The kind of what is watched.
    pub kind: ResourceKind,
    /// Which changes are wanted.
    pub change_types: ChangeTypes,
    /// Where it stands.
    pub state: SubscriptionState,
    /// What every notification of it must carry; random, known to Graph and us only.
    pub client_state: Secret,
    /// Graph's id (a GUID), once Graph has answered.
    pub graph_id: Option<String>,
    /// When Graph lets it lapse.
    pub expires_at: Option<Timestamp>,
    /// When the subscribe loop looks at it next.
    pub due_at: Timestamp,
    /// Failed tries since the last that succeeded.
    pub failures: u32,
    /// What the last failure was, for people.
    pub last_error: Option<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// Whether the app is told of what is there when Graph begins to serve it.
    pub deliver_existing: bool,
    /// When Graph last extended it.
    pub renewed_at: Option<Timestamp>,
    /// What Graph's lifecycle notifications said of it and has not been seen to.
    pub lifecycle: Option<Lifecycle>,
    /// When Graph was last asked to extend it, with whatever result.
    pub patched_at: Option<Timestamp>,
    /// Where Graph sends its notifications, as far as that is known.
    pub notification_url: Option<String>,
    /// Where Graph sends its lifecycle notifications, as far as that is known: only its making can say that.
    pub lifecycle_url: Option<String>,
    /// The subscription at Graph that it had before this one. What Graph still sends for that is still its.
    pub former: Option<Former>,
}

/// A subscription at Graph that another has replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Former {
    /// Graph's id.
    pub graph_id: String,
    /// When Graph no longer had it, or was asked to remove it.
    pub since: Timestamp,
}

/// What Graph's lifecycle notifications said of a subscription and has not been seen to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lifecycle {
    /// It, its token or its permission is about to end.
    pub reauthorize: bool,
    /// Graph has removed it.
    pub removed: bool,
    /// How many of them there were: whoever sees to it says up to which.
    pub count: u64,
}

macro_rules! states {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// Where a subscription stands.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum SubscriptionState {
            $($(#[$doc])* $name,)*
        }

        impl SubscriptionState {
            /// The state's word.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }

        impl FromStr for SubscriptionState {
            type Err = UnknownSubscriptionState;

            fn from_str(text: &str) -> Result<Self, UnknownSubscriptionState> {
                match text {
                    $($text => Ok(Self::$name),)*
                    _ => Err(UnknownSubscriptionState(text.to_owned())),
                }
            }
        }
    };
}

states! {
    /// Graph serves it.
    Active = "active";
    /// Another installation on the same app holds this resource and these change types.
    Conflict = "conflict";
    /// It is to be removed at Graph, then here.
    Deleting = "deleting";
    /// Its connection is disabled, and Graph does not serve it any more.
    Disabled = "disabled";
    /// Graph refuses it for good (a wrong resource, a missing permission): `last_error` says why.
    Failed = "failed";
    /// It is wanted, and Graph has not confirmed it yet.
    Pending = "pending";
}

/// A word that names no state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no state of a subscription")]
pub struct UnknownSubscriptionState(String);

impl fmt::Display for SubscriptionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for SubscriptionState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
