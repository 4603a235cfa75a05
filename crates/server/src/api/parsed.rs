//! Words of the domain in the parameters of requests.

use std::{fmt::Display, str::FromStr};

use serde::{Deserialize, Deserializer, de};
use tidings_domain::trigger::Trigger;

/// A `T` that a request writes as text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parsed<T>(pub(crate) T);

impl<'de, T> Deserialize<'de> for Parsed<T>
where
    T: FromStr,
    T::Err: Display,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(de::Error::custom)
    }
}

/// A trigger that a request names; a near miss is answered with the right name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TriggerName(Trigger);

impl From<TriggerName> for Trigger {
    fn from(name: TriggerName) -> Self {
        name.0
    }
}

impl<'de> Deserialize<'de> for TriggerName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Trigger::parse(&name).map(Self).map_err(de::Error::custom)
    }
}
