//! How fast a tenant's Graph is asked for items.
//!
//! Most limits are not known, and Graph says nothing while there is room: so nothing is slowed down by itself. From 80 % of
//! a limit on some services say how much of it is used (`x-ms-throttle-limit-percentage`); then we go down to what 80 % is,
//! before anything is refused. Where Graph does refuse, it is left alone for as long as it says, and half as much is asked
//! for after that. Either way the pace rises again by a tenth each second.

use std::time::Duration;

/// The span over which what was asked is counted: that of the limits that Graph tells of (Microsoft's "throttling limits"
/// page, "Identity and access": units per 10 seconds).
const WINDOW: Duration = Duration::from_secs(10);
/// How much of a limit we use once Graph tells of it, in percent: it tells from here on.
const WANTED: u16 = 80;
/// The slowest, in items a second.
const SLOWEST: f64 = 1.0;
/// How much faster it becomes each second.
const GROWTH: f64 = 1.1;
/// From so many items a second on nothing is limited any more: the largest budget that Microsoft states for an app in a
/// tenant is 8,000 units in 10 seconds.
const FREE: f64 = 1_000.0;
/// How long a tenant or mailbox is left alone that refuses and does not say for how long.
const REFUSED: Duration = Duration::from_secs(10);
/// The longest that one is left alone without being asked whether that is still so.
const LONGEST: Duration = Duration::from_mins(10);

/// How long whoever refuses is left alone.
pub(super) fn rest(asked: Option<Duration>) -> Duration {
    asked.unwrap_or(REFUSED).min(LONGEST)
}

/// The pace of one tenant. Times are monotonic.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    /// How much was asked within the window, what was before forgotten little by little.
    asked: f64,
    asked_at: Duration,
    limit: Option<Limit>,
    paused_until: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Limit {
    per_second: f64,
    since: Duration,
    /// What may be asked at once.
    room: f64,
    room_at: Duration,
}

impl Pace {
    /// How many items may be asked for now.
    pub(super) fn room(&mut self, now: Duration) -> usize {
        if now < self.paused_until {
            return 0;
        }
        let Some(limit) = &mut self.limit else {
            return usize::MAX;
        };
        let per_second = limit.at(now);
        if per_second >= FREE {
            self.limit = None;
            return usize::MAX;
        }
        limit.fill(now);
        // Nobody has more than a second's worth, so that it is small and not negative.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at least 0 and at most 1,000"
        )]
        let room = limit.room as usize;
        room
    }

    /// When there is room for one, if there is none now.
    pub(super) fn next(&mut self, now: Duration) -> Duration {
        let begin = self.paused_until.max(now);
        match &self.limit {
            None => begin,
            Some(limit) => {
                let lacking = (1.0 - limit.room).max(0.0);
                // A little later, so that there is one for sure.
                let wait = Duration::from_secs(1).mul_f64(lacking / limit.at(now));
                begin + wait + Duration::from_millis(1)
            }
        }
    }

    /// So many were asked for.
    pub(super) fn asked(&mut self, items: usize, now: Duration) {
        self.asked = self.asked_by(now) + f64::from(u32::try_from(items).unwrap_or(u32::MAX));
        self.asked_at = now;
        if let Some(limit) = &mut self.limit {
            limit.room -= f64::from(u32::try_from(items).unwrap_or(u32::MAX));
        }
    }

    /// Graph says how much of a limit is used, in percent.
    pub(super) fn near(&mut self, percent: u16, now: Duration) {
        if percent >= WANTED {
            self.slow_to(f64::from(WANTED) / f64::from(percent), now);
        }
    }

    /// Graph refuses, and wants to be left alone until then.
    pub(super) fn refused(&mut self, until: Duration, now: Duration) {
        self.slow_to(0.5, now);
        self.paused_until = self.paused_until.max(until);
        if let Some(limit) = &mut self.limit {
            limit.room = 0.0;
            limit.room_at = self.paused_until;
            limit.since = self.paused_until;
        }
    }

    /// Graph refuses the whole app, and wants to be left alone until then: what this tenant does has no part in it.
    pub(super) fn pause(&mut self, until: Duration) {
        self.paused_until = self.paused_until.max(until);
    }

    /// Whether there is nothing to remember.
    pub(super) fn is_fresh(&self, now: Duration) -> bool {
        now >= self.paused_until
            && self.limit.is_none_or(|limit| limit.at(now) >= FREE)
            && now.saturating_sub(self.asked_at) > WINDOW * 3
    }

    fn slow_to(&mut self, part: f64, now: Duration) {
        let wanted = (self.asked_by(now) / WINDOW.as_secs_f64() * part).max(SLOWEST);
        if wanted >= FREE {
            return;
        }
        let (room, room_at) = match &mut self.limit {
            Some(limit) if limit.at(now) <= wanted => return,
            Some(limit) => {
                limit.fill(now);
                (limit.room.min(wanted), limit.room_at)
            }
            None => (0.0, now),
        };
        self.limit = Some(Limit {
            per_second: wanted,
            since: now,
            room,
            room_at,
        });
    }

    fn asked_by(&self, now: Duration) -> f64 {
        let since = now.saturating_sub(self.asked_at);
        self.asked * (-since.as_secs_f64() / WINDOW.as_secs_f64()).exp()
    }
}

impl Limit {
    fn at(&self, now: Duration) -> f64 {
        let seconds = now.saturating_sub(self.since).as_secs_f64();
        self.per_second * GROWTH.powf(seconds.min(1_000.0))
    }

    fn fill(&mut self, now: Duration) {
        let seconds = now.saturating_sub(self.room_at).as_secs_f64();
        let per_second = self.at(now);
        self.room = (self.room + seconds * per_second).min(per_second.max(1.0));
        self.room_at = self.room_at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Asks for all that there is room for, ten times a second, and gives how many that were.
    fn asks(pace: &mut Pace, from: Duration, seconds: u64, most: usize) -> usize {
        let mut all = 0;
        for tenth in 0..seconds * 10 {
            let now = from + Duration::from_millis(100 * tenth);
            let items = pace.room(now).min(most);
            pace.asked(items, now);
            all += items;
        }
        all
    }

    #[test]
    fn nothing_is_slowed_down_that_graph_says_nothing_about() {
        let mut pace = Pace::default();
        assert_eq!(asks(&mut pace, at(0), 10, 50), 5_000);
        pace.near(79, at(10));
        assert_eq!(asks(&mut pace, at(10), 10, 50), 5_000);
    }

    #[test]
    fn near_a_limit_it_goes_down_to_four_fifths_of_it_and_then_up_again() {
        let mut pace = Pace::default();
        // About 200 a second, which is 120 % of the limit.
        asks(&mut pace, at(0), 60, 20);
        pace.near(120, at(60));
        let per_second = asks(&mut pace, at(60), 1, 20);
        assert!((110..=145).contains(&per_second), "{per_second}");
        // What is said in the next moment says no more.
        pace.near(120, at(61));
        let per_second = asks(&mut pace, at(61), 1, 20);
        assert!((100..=150).contains(&per_second), "{per_second}");
        let later = asks(&mut pace, at(67), 1, 20);
        assert!(later > per_second + 30, "{later}");
        assert_eq!(asks(&mut pace, at(120), 1, 20), 200);
        assert!(pace.is_fresh(at(160)));
    }

    #[test]
    fn whoever_refuses_is_left_alone_and_then_asked_for_half() {
        let mut pace = Pace::default();
        asks(&mut pace, at(0), 60, 10);
        pace.refused(at(67), at(60));
        // Others that were under way are refused too: that is nothing new.
        pace.refused(at(66), at(60));
        assert_eq!(asks(&mut pace, at(60), 7, 10), 0);
        assert!(pace.next(at(61)) >= at(67));
        let per_second = asks(&mut pace, at(67), 1, 10);
        assert!((40..=60).contains(&per_second), "{per_second}");
    }

    #[test]
    fn the_slowest_is_one_a_second_and_the_time_of_the_next_is_right() {
        let mut pace = Pace::default();
        pace.asked(1, at(0));
        pace.near(180, at(0));
        assert_eq!(pace.room(at(0)), 0);
        let next = pace.next(at(0));
        assert!(next <= Duration::from_millis(1_010), "{next:?}");
        assert_eq!(pace.room(next), 1);
        assert!(!pace.is_fresh(next));
    }

    #[test]
    fn nobody_is_left_alone_for_ever() {
        assert_eq!(rest(None), REFUSED);
        assert_eq!(rest(Some(at(3))), at(3));
        assert_eq!(rest(Some(Duration::from_hours(24))), LONGEST);
    }
}
