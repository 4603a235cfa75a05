//! How complete notifications were: which changes Graph told of, and which were only found by comparing.

use std::{iter::Sum, ops::Add};

use crate::{Timestamp, ids::SubscriptionId};

/// How a change became known.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum How {
    /// By a notification that came in time, or of which nobody can say when it should have come.
    OnTime,
    /// By a notification that came later than Microsoft says that it comes.
    Late,
    /// By comparing: no notification had come.
    Found,
}

/// Changes that became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Of which subscription.
    pub subscription: SubscriptionId,
    /// When they became known.
    pub at: Timestamp,
    /// How.
    pub how: How,
    /// How many.
    pub count: u64,
}

/// How many changes became known, by how they did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Completeness {
    /// By a notification in time.
    pub on_time: u64,
    /// By a late notification.
    pub late: u64,
    /// By comparing.
    pub found: u64,
}

impl Completeness {
    /// So many that became known in one way.
    pub fn of(how: How, count: u64) -> Self {
        let mut counts = Self::default();
        match how {
            How::OnTime => counts.on_time = count,
            How::Late => counts.late = count,
            How::Found => counts.found = count,
        }
        counts
    }

    /// Of how many hundredths of all changes Graph told, in time or late; `None` where there were none.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a share of so many changes needs no more digits"
    )]
    pub fn percent(self) -> Option<f64> {
        let told = self.on_time + self.late;
        let all = told + self.found;
        (all > 0).then(|| told as f64 * 100.0 / all as f64)
    }
}

impl Add for Completeness {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            on_time: self.on_time + other.on_time,
            late: self.late + other.late,
            found: self.found + other.found,
        }
    }
}

impl Sum for Completeness {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Add::add)
    }
}

/// A day in UTC, by its number since 1970-01-01.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Day(pub i64);

impl Day {
    /// The day of a moment.
    pub fn of(at: Timestamp) -> Self {
        Self(at.as_seconds().div_euclid(86_400))
    }

    /// When it begins.
    pub fn start(self) -> Timestamp {
        Timestamp::from_millis(self.0.saturating_mul(86_400_000))
    }
}

/// What became known of a subscription's changes on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayCounts {
    /// Of which subscription.
    pub subscription: SubscriptionId,
    /// When.
    pub day: Day,
    /// How many, and how.
    pub counts: Completeness,
    /// In which hours Graph told of a change: the lowest bit is the first hour of the day.
    pub hours: u32,
}

/// The hour of the day as the bit of [`DayCounts::hours`]; none for what Graph did not tell.
pub fn hour_bit(at: Timestamp, how: How) -> u32 {
    match how {
        How::Found => 0,
        How::OnTime | How::Late => 1 << (at.as_seconds().rem_euclid(86_400) / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_and_an_hour_are_those_of_utc() {
        let at: Timestamp = "2026-11-22T23:59:59.999Z".parse().unwrap();
        assert_eq!(Day::of(at).start(), "2026-11-22T00:00:00Z".parse().unwrap());
        assert_eq!(hour_bit(at, How::Late), 1 << 23);
        assert_eq!(hour_bit(at, How::Found), 0);
        assert_eq!(Day::of(Timestamp::from_millis(-1)), Day(-1));
    }

    #[test]
    fn what_graph_told_of_is_complete_also_where_it_was_late() {
        let counts = Completeness::of(How::OnTime, 2) + Completeness::of(How::Late, 1);
        assert_eq!(counts.percent(), Some(100.0));
        let counts: Completeness = [counts, Completeness::of(How::Found, 1)].into_iter().sum();
        assert_eq!(counts.percent(), Some(75.0));
        assert_eq!(Completeness::default().percent(), None);
    }
}
