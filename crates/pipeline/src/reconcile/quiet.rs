//! Whether a subscription has been quiet for longer than it used to be: the rule that decides.
//!
//! Hour by hour, back from now to the last change that Graph told of, each hour without one is held against the same hour of
//! the weeks before (up to four). One that had changes in all of them counts as one hour of silence, one that had some in fewer
//! weeks for less, and one that had none in half of them or more for nothing: so nights, weekends and quiet mailboxes do not
//! count, whatever time zone they live in. Nor do hours in which nobody was here to hear anything. When enough has added up,
//! that is silence.
//!
//! With `w` weeks of which `a` had changes, the chance of an hour without any is taken to be `(w - a + 1) / (w + 2)` (Laplace's
//! rule of succession), and its weight is the logarithm of that in relation to that of an hour with changes in all weeks.

use std::collections::HashMap;

use tidings_domain::{
    Timestamp,
    completeness::{Day, DayCounts},
};

/// How many weeks are looked back at.
pub(super) const WEEKS: i64 = 4;
const HOURS_A_WEEK: i64 = 7 * 24;

/// What a look at a subscription's past shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// It has not been silent for long, or nobody can say.
    Nothing,
    /// Graph has told of a change in this hour or the one before.
    Lively,
    /// Graph has told of nothing since then, and would have.
    Silent(Timestamp),
}

/// What is enough for silence.
#[derive(Clone, Copy, Debug)]
pub(super) struct Enough {
    /// So many hours that used to have changes.
    pub(super) hours: u32,
    /// After so many weeks.
    pub(super) weeks: u32,
    /// From when on somebody was here.
    pub(super) present_since: Timestamp,
}

/// Looks at a subscription whose changes became known on `days`, in their order.
pub(super) fn look(days: &[DayCounts], now: Timestamp, enough: Enough) -> Shown {
    let Some(first) = days.first() else {
        return Shown::Nothing;
    };
    let past = Past {
        hours: days.iter().map(|day| (day.day, day.hours)).collect(),
        first: hour(first.day.start()),
    };
    let (current, present) = (hour(now), hour(enough.present_since));
    if past.had_changes(current) || past.had_changes(current - 1) {
        return Shown::Lively;
    }
    let (mut silence, mut at) = (0.0, current - 1);
    while !past.had_changes(at) {
        let Some(weight) = past.weight(at, enough.weeks) else {
            return Shown::Nothing;
        };
        if at > present {
            silence += weight;
        }
        at -= 1;
    }
    // Sums of logarithms are not exact.
    if silence + 1e-6 >= f64::from(enough.hours) {
        Shown::Silent(Timestamp::from_millis((at + 1) * 3_600_000))
    } else {
        Shown::Nothing
    }
}

struct Past {
    hours: HashMap<Day, u32>,
    /// The first hour that is known.
    first: i64,
}

impl Past {
    fn had_changes(&self, at: i64) -> bool {
        let hours = self.hours.get(&Day(at.div_euclid(24)));
        hours.is_some_and(|hours| hours >> at.rem_euclid(24) & 1 == 1)
    }

    /// For how many hours of silence an hour without changes counts; `None` if it was not watched for so many weeks before.
    fn weight(&self, at: i64, weeks: u32) -> Option<f64> {
        let known = ((at - self.first) / HOURS_A_WEEK).min(WEEKS);
        if known < i64::from(weeks.max(1)) {
            return None;
        }
        let active = (1..=known)
            .filter(|week| self.had_changes(at - week * HOURS_A_WEEK))
            .count();
        let (known, active) = (i32::try_from(known).ok()?, i32::try_from(active).ok()?);
        if 2 * active <= known {
            return Some(0.0);
        }
        let surprise = |active: i32| (f64::from(known + 2) / f64::from(known - active + 1)).ln();
        Some(surprise(active) / surprise(known))
    }
}

fn hour(at: Timestamp) -> i64 {
    at.as_seconds().div_euclid(3_600)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tidings_domain::completeness::{Completeness, How};

    use super::*;

    /// Counts of the hours for which `had_changes` says so by the day of the week, Monday being 0, and the hour; from a
    /// Monday on.
    fn days(count: i64, had_changes: impl Fn(i64, i64, u32) -> bool) -> Vec<DayCounts> {
        let monday = Day::of("2026-11-02T00:00:00Z".parse().unwrap());
        let mut days = Vec::new();
        for number in 0..count {
            let hours = (0..24).filter(|&hour| had_changes(number / 7, number % 7, hour));
            let hours: u32 = hours.map(|hour| 1 << hour).sum();
            if hours > 0 || number == 0 {
                days.push(DayCounts {
                    subscription: "sub_01J00000000000000000000000".parse().unwrap(),
                    day: Day(monday.0 + number),
                    counts: Completeness::of(How::OnTime, 1),
                    hours,
                });
            }
        }
        days
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn look(days: &[DayCounts], now: Timestamp, hours: u32, weeks: u32) -> Shown {
        let enough = Enough {
            hours,
            weeks,
            present_since: Timestamp::default(),
        };
        super::look(days, now, enough)
    }

    fn office(_: i64, day: i64, hour: u32) -> bool {
        day < 5 && (8..17).contains(&hour)
    }

    #[test]
    fn nights_and_weekends_are_no_silence() {
        // Three weeks of office hours, and from Friday evening on every hour until Monday morning.
        let days = days(19, office);
        let mut now = at("2026-11-20T18:30:00Z");
        while now < at("2026-11-23T08:00:00Z") {
            assert_eq!(look(&days, now, 6, 2), Shown::Nothing, "{now}");
            now = now + Duration::from_hours(1);
        }
        // Monday goes by, and nothing comes.
        let since = Shown::Silent(at("2026-11-20T17:00:00Z"));
        assert_eq!(
            look(&days, at("2026-11-23T13:59:00Z"), 6, 2),
            Shown::Nothing
        );
        assert_eq!(look(&days, at("2026-11-23T14:01:00Z"), 6, 2), since);
        // Whoever has more patience waits into the next day.
        assert_eq!(
            look(&days, at("2026-11-23T23:01:00Z"), 12, 2),
            Shown::Nothing
        );
        assert_eq!(look(&days, at("2026-11-24T11:01:00Z"), 12, 2), since);
    }

    #[test]
    fn what_nobody_was_here_to_hear_is_no_silence() {
        let days = days(19, office);
        let look = |present_since, now| {
            let enough = Enough {
                hours: 6,
                weeks: 2,
                present_since: at(present_since),
            };
            super::look(&days, at(now), enough)
        };
        let (back, later) = ("2026-11-23T11:10:00Z", "2026-11-24T08:50:00Z");
        assert_eq!(look(back, later), Shown::Nothing, "five hours of Monday");
        let since = Shown::Silent(at("2026-11-20T17:00:00Z"));
        assert_eq!(look(back, "2026-11-24T09:10:00Z"), since);
    }

    #[test]
    fn who_has_little_history_is_never_silent() {
        let days = days(10, office);
        assert_eq!(
            look(&days, at("2026-11-12T16:30:00Z"), 6, 2),
            Shown::Nothing
        );
        assert_eq!(look(&[], at("2026-11-12T16:30:00Z"), 6, 2), Shown::Nothing);
    }

    #[test]
    fn a_change_now_and_then_makes_nothing_of_its_absence() {
        // One hour of each day, another one each time.
        let rare = |week: i64, day: i64, hour: u32| i64::from(hour) == (week * 5 + day * 3) % 24;
        let days = days(28, rare);
        let mut now = at("2026-11-30T03:00:00Z");
        for _ in 0..14 * 24 {
            assert_eq!(look(&days, now, 6, 2), Shown::Nothing, "{now}");
            now = now + Duration::from_hours(1);
        }
    }

    #[test]
    fn hours_with_changes_in_some_weeks_count_for_less() {
        // The third week was a holiday.
        let days = days(26, |week, day, hour| week != 2 && office(week, day, hour));
        let silent = |now| look(&days, at(now), 6, 2) != Shown::Nothing;
        assert!(
            !silent("2026-11-30T15:30:00Z"),
            "seven hours are not enough"
        );
        assert!(silent("2026-12-01T10:30:00Z"));
    }

    #[test]
    fn a_change_in_this_hour_ends_it() {
        let mut days = days(19, office);
        days.push(DayCounts {
            day: Day::of(at("2026-11-23T00:00:00Z")),
            hours: 1 << 15,
            ..days[0]
        });
        assert_eq!(look(&days, at("2026-11-23T15:10:00Z"), 6, 2), Shown::Lively);
        assert_eq!(look(&days, at("2026-11-23T16:10:00Z"), 6, 2), Shown::Lively);
    }
}
