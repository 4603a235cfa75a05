//! Points in time.

use std::{
    fmt,
    ops::{Add, Sub},
    str::FromStr,
    time::Duration,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Milliseconds since 1970-01-01T00:00:00Z. Outside it is RFC 3339 in UTC.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Timestamp(i64);

/// A text that is no RFC 3339 time.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a time like 2026-11-22T10:00:00Z")]
pub struct InvalidTimestamp(String);

impl Timestamp {
    /// The moment `millis` after 1970-01-01T00:00:00Z.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970-01-01T00:00:00Z, rounded down.
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// The time from `earlier` to here; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The time from here to `later`; zero if `later` has passed.
    pub fn until(self, later: Self) -> Duration {
        later.since(self)
    }
}

impl From<jiff::Timestamp> for Timestamp {
    fn from(time: jiff::Timestamp) -> Self {
        Self(time.as_millisecond())
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)),
        )
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, span: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)),
        )
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(time) => write!(f, "{time:.3}"),
            Err(_) => write!(f, "{} ms since 1970", self.0),
        }
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    /// Takes any offset and any number of fraction digits; what is finer than a millisecond is cut.
    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        text.trim()
            .parse::<jiff::Timestamp>()
            .map(Self::from)
            .map_err(|_| InvalidTimestamp(text.chars().take(64).collect()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_graph_is_known_to_send_is_read() {
        // Forms seen in Microsoft's own examples of change notifications.
        for (text, utc) in [
            ("2016-03-19T22:11:09.952Z", "2016-03-19T22:11:09.952Z"),
            (
                "2022-01-02T03:12:18.2257768+05:30",
                "2022-01-01T21:42:18.225Z",
            ),
            (
                "2023-12-06T14:07:16.0603466-08:00",
                "2023-12-06T22:07:16.060Z",
            ),
            ("2016-08-26T23:08:37.00+00:00", "2016-08-26T23:08:37.000Z"),
            ("2022-11-07T14:00:00Z", "2022-11-07T14:00:00.000Z"),
        ] {
            assert_eq!(
                text.parse::<Timestamp>().map(|t| t.to_string()),
                Ok(utc.to_owned())
            );
        }
    }

    #[test]
    fn what_is_no_time_is_refused_with_the_text() {
        assert!(
            "tomorrow"
                .parse::<Timestamp>()
                .unwrap_err()
                .to_string()
                .contains("tomorrow")
        );
    }
}
