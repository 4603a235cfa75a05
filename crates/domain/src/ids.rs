//! Typed ids: a prefix that says of what, and a ULID that sorts by time.

use std::{
    fmt,
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use ulid::Ulid;
use uuid::Uuid;

use crate::{Clock, Entropy, Timestamp};

/// A text that is no id of the wanted kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an id like `{prefix}_01J…`")]
pub struct InvalidId {
    text: String,
    prefix: &'static str,
}

/// An id that [`Ids`] can make.
pub trait Id: From<Ulid> {
    /// What stands before the underscore.
    const PREFIX: &'static str;
}

/// An id in its shortest form, as a store keeps it.
pub trait Compact: Sized {
    /// Its 128 bits, the highest byte first: ids sort alike in both forms.
    fn to_bytes(self) -> [u8; 16];
    /// The id with these bits.
    fn from_bytes(bytes: [u8; 16]) -> Self;
}

impl Compact for Uuid {
    fn to_bytes(self) -> [u8; 16] {
        self.into_bytes()
    }

    fn from_bytes(bytes: [u8; 16]) -> Self {
        Self::from_bytes(bytes)
    }
}

impl Compact for EnvironmentId {
    fn to_bytes(self) -> [u8; 16] {
        self.0.into_bytes()
    }

    fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name(Ulid);

        impl Id for $name {
            const PREFIX: &'static str = $prefix;
        }

        impl $name {
            /// When it was made, by the clock of who made it.
            pub fn made_at(self) -> Timestamp {
                Timestamp::from_millis(i64::try_from(self.0.timestamp_ms()).unwrap_or(i64::MAX))
            }
        }

        impl Compact for $name {
            fn to_bytes(self) -> [u8; 16] {
                self.0.to_bytes()
            }

            fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Ulid::from_bytes(bytes))
            }
        }

        impl From<Ulid> for $name {
            fn from(ulid: Ulid) -> Self {
                Self(ulid)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse(text, $prefix).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    )*};
}

ids! {
    /// An attempt: one HTTP try of a delivery.
    AttemptId = "att";
    /// A connection: one consent to an integration.
    ConnectionId = "conn";
    /// A delivery: one event on its way to one webhook.
    DeliveryId = "dlv";
    /// An event: a change as the app hears of it.
    EventId = "evt";
    /// An integration: one app registration in an environment.
    IntegrationId = "int";
    /// An API key.
    KeyId = "key";
    /// A notification: one item of one POST from Graph.
    NotificationId = "ntf";
    /// A policy: a wish for subscriptions to many resources.
    PolicyId = "pol";
    /// A subscription: what Tidings wants from Graph for a connection.
    SubscriptionId = "sub";
    /// A webhook: an app's destination.
    WebhookId = "whk";
}

/// An environment's id: a UUID, because it stands in the notification URL.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct EnvironmentId(pub Uuid);

impl fmt::Display for EnvironmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for EnvironmentId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        Uuid::from_str(text).map(Self)
    }
}

/// Makes ids that sort in the order in which they were made, also within one millisecond.
#[derive(Debug)]
pub struct Ids {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    last: Ulid,
    pool: [u8; POOL],
    used: usize,
}

/// Random bytes are asked for in stock: a call to the system for each id would cost more than all the rest of it.
const POOL: usize = 512;

impl State {
    fn random<const N: usize>(&mut self, entropy: &dyn Entropy) -> [u8; N] {
        if self.used + N > POOL {
            entropy.fill(&mut self.pool);
            self.used = 0;
        }
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.pool[self.used..self.used + N]);
        self.used += N;
        bytes
    }
}

impl Ids {
    /// A maker of ids from `clock` and `entropy`.
    pub fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        let state = State {
            last: Ulid::nil(),
            pool: [0; POOL],
            used: POOL,
        };
        Self {
            clock,
            entropy,
            state: Mutex::new(state),
        }
    }

    /// The next id.
    pub fn next<I: Id>(&self) -> I {
        let now = u64::try_from(self.clock.now().as_millis()).unwrap_or(0);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let next = if now > state.last.timestamp_ms() {
            Ulid::from_parts(now, u128::from_le_bytes(state.random(&*self.entropy)))
        } else {
            // Same millisecond, or a clock that was set back: count on from the last one, by a step nobody can guess.
            let step = u64::from_le_bytes(state.random(&*self.entropy)) >> 24;
            Ulid(state.last.0.saturating_add(1 + u128::from(step)))
        };
        state.last = next;
        I::from(next)
    }

    /// A random environment id (UUID version 4).
    pub fn environment(&self) -> EnvironmentId {
        EnvironmentId(uuid::Builder::from_random_bytes(self.entropy.bytes()).into_uuid())
    }
}

fn parse(text: &str, prefix: &'static str) -> Result<Ulid, InvalidId> {
    text.strip_prefix(prefix)
        .and_then(|rest| rest.strip_prefix('_'))
        .filter(|ulid| ulid.len() == ulid::ULID_LEN)
        .and_then(|ulid| Ulid::from_string(ulid).ok())
        .ok_or_else(|| InvalidId {
            text: text.chars().take(64).collect(),
            prefix,
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Timestamp, clock::ManualClock, entropy::SeededEntropy};

    fn ids() -> (ManualClock, Ids) {
        let clock = ManualClock::new(Timestamp::from_millis(1_700_000_000_000));
        (
            clock.clone(),
            Ids::new(Arc::new(clock), Arc::new(SeededEntropy::new(1))),
        )
    }

    #[test]
    fn ids_of_one_millisecond_sort_in_the_order_made() {
        let (_, ids) = ids();
        let made: Vec<EventId> = (0..1_000).map(|_| ids.next()).collect();
        assert!(made.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn a_clock_set_back_does_not_unsort_ids() {
        let (clock, ids) = ids();
        let before: EventId = ids.next();
        clock.jump_to(Timestamp::from_millis(1_600_000_000_000));
        assert!(ids.next::<EventId>() > before);
    }

    #[test]
    fn an_id_reads_back_and_another_kind_is_refused() {
        let (_, ids) = ids();
        let id: ConnectionId = ids.next();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(id.to_string().parse::<WebhookId>().is_err());
        assert!("conn_".parse::<ConnectionId>().is_err());
    }
}
