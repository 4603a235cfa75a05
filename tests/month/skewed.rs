//! A clock that passes time as another does, and shows another time of day.

use std::time::Duration;

use tidings_domain::{
    Clock, Timestamp,
    clock::{ManualClock, Sleep},
};

/// A clock that is a span ahead of another.
#[derive(Clone, Debug)]
pub(crate) struct Skewed {
    pub(crate) clock: ManualClock,
    pub(crate) ahead: Duration,
}

impl Clock for Skewed {
    fn now(&self) -> Timestamp {
        self.clock.now() + self.ahead
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }

    fn sleep(&self, span: Duration) -> Sleep {
        self.clock.sleep(span)
    }
}
