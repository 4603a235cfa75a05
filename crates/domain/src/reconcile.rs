//! Comparing what Graph has with what the app was told: where that stands for a subscription.

use std::{fmt, str::FromStr};

use serde::{Serialize, Serializer};

use crate::{Timestamp, ids::SubscriptionId};

/// Where reconciling a subscription stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconcile {
    /// Of which subscription.
    pub subscription: SubscriptionId,
    /// When the next round begins, or the one under way goes on.
    pub due_at: Timestamp,
    /// Why it was last asked for.
    pub reason: ReconcileReason,
    /// When it was last asked for: a round that began before is no answer to that.
    pub asked_at: Timestamp,
    /// Whether the first round tells the app of what is there already.
    pub deliver_existing: bool,
    /// When the round under way began; `None` between rounds.
    pub started_at: Option<Timestamp>,
    /// When the last round ended that saw everything. `None` before the first: then what is there is recorded, not told.
    pub finished_at: Option<Timestamp>,
    /// What the round under way, or else the last one, found that no notification had brought.
    pub finds: u64,
    /// Failed tries since the last that succeeded.
    pub failures: u32,
    /// What the last failure was, for people.
    pub last_error: Option<String>,
    /// That Graph has told of nothing for longer than it used to.
    pub silence: Option<Silence>,
    /// For how many more hours than usual Graph may tell of nothing: it has been so before, and nothing was found.
    pub patience: u32,
}

/// Graph has told of nothing for longer than it used to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence {
    /// Since when.
    pub since: Timestamp,
    /// Whether apps have been told, which they are once comparing has shown what there was to tell.
    pub told: bool,
}

/// A part of what a subscription watches that Graph enumerates by itself: a mail folder, or all of it (an empty name).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReconcileScope {
    /// Graph's id of the folder; empty where there is but one scope.
    pub name: String,
    /// Where to go on: Graph's own link. `None` begins from the start.
    pub link: Option<String>,
    /// The number of the last enumeration from the start, whole or under way.
    pub enumeration: u64,
    /// Whether that enumeration is still under way.
    pub enumerating: bool,
    /// The time that is looked at, from and to, where Graph wants that to be limited.
    pub window: Option<(Timestamp, Timestamp)>,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// Why a subscription is reconciled.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub enum ReconcileReason {
            $($(#[$doc])* $name,)*
        }

        impl ReconcileReason {
            /// Every one of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The reason's word.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }

        impl FromStr for ReconcileReason {
            type Err = UnknownReconcileReason;

            fn from_str(text: &str) -> Result<Self, UnknownReconcileReason> {
                match text {
                    $($text => Ok(Self::$name),)*
                    _ => Err(UnknownReconcileReason(text.to_owned())),
                }
            }
        }
    };
}

reasons! {
    /// Somebody asked for it.
    Asked = "asked";
    /// Graph began to serve it, for the first time or again.
    Created = "created";
    /// Graph says that it did not deliver some notifications.
    Missed = "missed";
    /// A notification came that names no item.
    Notified = "notified";
    /// We were away, or slow, for so long that Graph may have dropped notifications.
    Outage = "outage";
    /// It was time.
    Schedule = "schedule";
    /// Graph has told of nothing for longer than it used to.
    Silent = "silent";
}

/// A word that names no reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no reason to reconcile")]
pub struct UnknownReconcileReason(String);

impl fmt::Display for ReconcileReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for ReconcileReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
