//! Notices that Graph was answered so slowly that it may have dropped notifications.
//!
//! Graph judges the host that it posts to by the answers of ten minutes: where more than 10 % take over 3 s it delays what
//! comes, and where more than 15 % take over 10 s it drops what comes for ten minutes (Microsoft's "Receive change
//! notifications through webhooks" page). From here the two cannot be told apart for sure: who gave up after 10 s is one
//! whom we did not answer. So from the lower limit on everything is compared, once, when the trouble is over.

use std::time::Duration;

use crate::answers::Answered;

/// By how much time Graph judges.
const WINDOW: Duration = Duration::from_mins(10);
/// More than one in so many answers has to be slow.
const ONE_IN: u64 = 10;

/// What has been seen so far.
#[derive(Debug, Default)]
pub(super) struct Slowness {
    /// When the time began by which is judged, on the monotonic clock.
    since: Option<Duration>,
    answered: Answered,
    trouble: bool,
}

/// What a look shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// Many answers are slow, and were not before.
    Trouble,
    /// Answers are as fast as they should be again.
    Over,
}

impl Slowness {
    /// Takes note of what was answered up to `now`.
    pub(super) fn look(&mut self, answered: Answered, now: Duration) -> Option<Shown> {
        let since = *self.since.get_or_insert(now);
        self.answered.all += answered.all;
        self.answered.slow += answered.slow;
        if now.saturating_sub(since) < WINDOW {
            return None;
        }
        let Answered { all, slow } = std::mem::take(&mut self.answered);
        self.since = Some(now);
        // What Graph does not send while it drops shows nothing.
        if all == 0 {
            return None;
        }
        let is_trouble = slow * ONE_IN > all;
        let was_trouble = std::mem::replace(&mut self.trouble, is_trouble);
        match (was_trouble, is_trouble) {
            (false, true) => Some(Shown::Trouble),
            (true, false) => Some(Shown::Over),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_over_when_answers_are_fast_again_and_said_once() {
        let mut slowness = Slowness::default();
        let mut minutes = 0;
        let mut ten_minutes = |all, slow| {
            let mut shown = Vec::new();
            for minute in 0..10 {
                let answered = if minute == 0 {
                    Answered { all, slow }
                } else {
                    Answered::default()
                };
                minutes += 1;
                shown.extend(slowness.look(answered, Duration::from_mins(minutes)));
            }
            shown
        };
        ten_minutes(0, 0);
        assert_eq!(ten_minutes(100, 10), [], "10 % is not more than 10 %");
        assert_eq!(ten_minutes(100, 11), [Shown::Trouble]);
        assert_eq!(ten_minutes(100, 90), []);
        assert_eq!(ten_minutes(0, 0), [], "Graph drops");
        assert_eq!(ten_minutes(10, 0), [Shown::Over]);
        assert_eq!(ten_minutes(10, 0), []);
    }
}
