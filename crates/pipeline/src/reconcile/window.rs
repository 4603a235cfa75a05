//! The time that a calendar is looked at.
//!
//! Graph enumerates calendars only within a window, and binds the window to the links it gives. As time goes by the window
//! falls behind, and is made anew.

use std::time::Duration;

use tidings_domain::{Timestamp, config::ReconcileConfig};

/// How far a window may fall behind before it is made anew.
const SLIDE: Duration = Duration::from_hours(7 * 24);

/// The window around `now`.
pub(super) fn around(now: Timestamp, config: &ReconcileConfig) -> (Timestamp, Timestamp) {
    (now - config.calendar_past.0, now + config.calendar_future.0)
}

/// Whether a window still does at `now`.
pub(super) fn still_does(
    window: (Timestamp, Timestamp),
    now: Timestamp,
    config: &ReconcileConfig,
) -> bool {
    let wanted = around(now, config);
    wanted.0.since(window.0) < SLIDE
        && window.0.since(wanted.0) < SLIDE
        && wanted.1.since(window.1) < SLIDE
        && window.1.since(wanted.1) < SLIDE
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidings_domain::config::load;

    #[test]
    fn a_window_does_for_a_week() {
        let config = load(None, [], Vec::new()).unwrap().reconcile;
        let now = Timestamp::from_millis(1_800_000_000_000);
        let window = around(now, &config);
        assert!(window.0 < now && now < window.1);
        assert!(still_does(
            window,
            now + Duration::from_hours(6 * 24),
            &config
        ));
        assert!(!still_does(
            window,
            now + Duration::from_hours(8 * 24),
            &config
        ));
    }
}
