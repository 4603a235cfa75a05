//! How far the queue of enrich has been read.
//!
//! Places come from a sequence, and several writers commit in another order than they took their places: a place below
//! one that was read may become visible later. No wait is long enough to exclude that (a server can stand still for a
//! minute between the two), so it is not guessed but known: each writer gets its transaction id before its first place.
//! From time to time the reader gets an id of its own. When all transactions with lower ids have ended, whoever may still
//! commit has got its places after that moment, and so above every place that had been read by then. That is the floor:
//! between it and the cursor, and only there, is looked for what was committed late.

use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

/// How often the reader gets a transaction id.
const SAMPLE: Duration = Duration::from_millis(200);

/// How far one reader has come.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// How often the database had gone on from an earlier state when it began: places mean the same only as long as that
    /// does not happen again.
    turns: u64,
    /// Every place up to here that was visible when it was read has been given to the reader.
    cursor: i64,
    /// No place up to here can be committed any more.
    floor: i64,
    /// The highest place that was ever read.
    highest: i64,
    /// Places between floor and cursor that were given, and are not done yet.
    given: BTreeSet<i64>,
    /// Transaction ids, each with the highest place that had been read before it was got.
    samples: VecDeque<(i64, i64)>,
    sampled_at: Option<Duration>,
}

/// What is to be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Places above this and up to `after` may have been committed late …
    pub(super) floor: i64,
    /// … all but these.
    pub(super) given: Vec<i64>,
    /// Places above this are new.
    pub(super) after: i64,
}

impl Reading {
    /// From the beginning, after the database has gone on from an earlier state so often.
    pub(super) fn since(turns: u64) -> Self {
        Self {
            turns,
            ..Self::default()
        }
    }

    pub(super) const fn turns(&self) -> u64 {
        self.turns
    }

    /// Whether it is time for a transaction id; if so, the highest place read so far, to be given back with it.
    pub(super) fn wants_sample(&mut self, now: Duration) -> Option<i64> {
        let due = self
            .sampled_at
            .is_none_or(|at| now.saturating_sub(at) >= SAMPLE);
        if !due {
            return None;
        }
        self.sampled_at = Some(now);
        Some(self.highest)
    }

    /// The highest place that was ever read.
    pub(super) const fn highest(&self) -> i64 {
        self.highest
    }

    /// A transaction id was got after `highest` had been read.
    pub(super) fn sampled(&mut self, id: i64, highest: i64) {
        self.samples.push_back((id, highest));
    }

    /// What the reader that knows everything up to `after` is to be given.
    pub(super) fn wanted(&mut self, after: i64) -> Wanted {
        if after < self.cursor {
            // It begins again from there, and has forgotten what came behind.
            self.given.split_off(&(after + 1));
        } else if after > self.cursor {
            // It knows more than it was given here: nothing can be said of what lies below.
            self.floor = 0;
            self.samples.clear();
        }
        self.cursor = after;
        Wanted {
            floor: self.floor.min(after),
            given: self.given.range(..=after).copied().collect(),
            after,
        }
    }

    /// These places were given, from a snapshot in which all transactions below `oldest` had ended. `complete` unless
    /// some of what was late had no room.
    pub(super) fn given(&mut self, places: &[i64], oldest: i64, complete: bool) {
        if let Some(&last) = places.iter().max() {
            self.highest = self.highest.max(last);
            self.cursor = self.cursor.max(last);
        }
        self.given.extend(places);
        if !complete {
            return;
        }
        while let Some(&(id, highest)) = self.samples.front()
            && id < oldest
        {
            self.floor = self.floor.max(highest);
            self.samples.pop_front();
        }
        self.given = self.given.split_off(&(self.floor + 1));
    }

    /// A place has left the queue.
    pub(super) fn finished(&mut self, place: i64) {
        self.given.remove(&place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(reading: &mut Reading, after: i64) -> Wanted {
        reading.wanted(after)
    }

    #[test]
    fn what_is_late_is_looked_for_until_nobody_can_commit_it_any_more() {
        let mut reading = Reading::default();
        read(&mut reading, 0);
        reading.given(&[1, 2, 4], 100, true);
        // Somebody with the id 101 holds place 3. The reader gets the id 105.
        let highest = reading.wants_sample(Duration::ZERO).unwrap();
        reading.sampled(105, highest);
        let wanted = read(&mut reading, 4);
        assert_eq!((wanted.floor, wanted.given), (0, vec![1, 2, 4]));
        reading.given(&[5], 101, true);
        let wanted = read(&mut reading, 5);
        assert_eq!(wanted.floor, 0, "101 has not ended");
        // Now it has.
        reading.given(&[3], 106, true);
        let wanted = read(&mut reading, 5);
        assert_eq!((wanted.floor, wanted.given), (4, vec![5]));
    }

    #[test]
    fn whoever_begins_again_is_given_everything_again() {
        let mut reading = Reading::default();
        read(&mut reading, 0);
        reading.given(&[1, 2, 3], 10, true);
        let wanted = read(&mut reading, 0);
        assert_eq!((wanted.floor, wanted.given, wanted.after), (0, vec![], 0));
        reading.given(&[1, 2], 10, true);
        assert_eq!(read(&mut reading, 2).given, [1, 2]);
    }

    #[test]
    fn a_place_that_is_done_need_not_be_remembered() {
        let mut reading = Reading::default();
        read(&mut reading, 0);
        reading.given(&[1, 2], 10, true);
        reading.finished(1);
        assert_eq!(read(&mut reading, 2).given, [2]);
    }

    #[test]
    fn what_had_no_room_keeps_the_floor_down() {
        let mut reading = Reading::default();
        read(&mut reading, 0);
        reading.given(&[1, 2, 9], 10, true);
        let highest = reading.wants_sample(Duration::ZERO).unwrap();
        reading.sampled(11, highest);
        read(&mut reading, 9);
        reading.given(&[3], 20, false);
        assert_eq!(read(&mut reading, 9).floor, 0);
    }

    #[test]
    fn ids_are_got_from_time_to_time() {
        let mut reading = Reading::default();
        assert!(reading.wants_sample(Duration::ZERO).is_some());
        assert!(reading.wants_sample(SAMPLE / 2).is_none());
        assert!(reading.wants_sample(SAMPLE).is_some());
    }
}
