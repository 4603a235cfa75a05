//! For how long Graph is asked to let a subscription live.
//!
//! The table of resources says what Graph is known to allow. Should Graph allow less, because a limit was changed or
//! because its clock is minutes behind ours, its refusal says so, and less is asked for.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tidings_graph::{
    CallError,
    resource::table::{MIN_LIFETIME_MINUTES, ResourceRow},
};

/// What is asked for where the table does not know the resource.
const UNKNOWN: Duration = Duration::from_hours(1);
/// How far below a limit that Graph names we stay at most: clocks may differ by minutes. Of short lives it is a tenth.
const MARGIN: Duration = Duration::from_mins(10);

/// What Graph was found to allow since the start, where that is less than the table says.
#[derive(Debug, Default)]
pub(super) struct Lifetimes(Mutex<HashMap<&'static str, Duration>>);

impl Lifetimes {
    /// For how long to ask.
    pub(super) fn ask(&self, row: Option<&'static ResourceRow>) -> Duration {
        let Some(row) = row else {
            return UNKNOWN;
        };
        let found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        found
            .get(row.name)
            .copied()
            .unwrap_or_else(|| row.lifetime.ask())
    }

    /// Graph did not take `asked`: for how long to ask instead, now and from now on. `None` if that was not why.
    pub(super) fn less(
        &self,
        row: Option<&'static ResourceRow>,
        asked: Duration,
        refusal: &CallError,
    ) -> Option<Duration> {
        let less = less(asked, refusal)?;
        if let Some(row) = row {
            let mut found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            found.insert(row.name, less);
        }
        Some(less)
    }
}

fn less(asked: Duration, refusal: &CallError) -> Option<Duration> {
    let CallError::Rejected {
        status: 400,
        message,
        ..
    } = refusal
    else {
        return None;
    };
    if !message.to_ascii_lowercase().contains("expiration") {
        return None;
    }
    let shortest = Duration::from_mins(u64::from(MIN_LIFETIME_MINUTES));
    let allowed = in_minutes(message).or_else(|| in_days(message));
    let wanted = allowed.map(|allowed| allowed.saturating_sub(MARGIN.min(allowed / 10)));
    // A limit that is not understood, or that did not help: half of it, until it fits.
    let wanted = wanted.filter(|&less| less < asked).unwrap_or(asked / 2);
    let less = wanted.max(shortest);
    (less < asked).then_some(less)
}

/// The limit in "Subscription expiration can only be 10070 minutes in the future."
fn in_minutes(message: &str) -> Option<Duration> {
    let (before, _) = message.split_once(" minutes")?;
    let number = before.rsplit(' ').next()?;
    let minutes: u32 = number.parse().ok()?;
    Some(Duration::from_mins(u64::from(minutes)))
}

/// The limit in "Expiration time '…' ('…' from now) is beyond allowed max '3.00:00:00'."
fn in_days(message: &str) -> Option<Duration> {
    let (_, after) = message.split_once("allowed max '")?;
    let (span, _) = after.split_once('\'')?;
    let (days, clock) = span.split_once('.').unwrap_or(("0", span));
    let mut parts = clock.split(':').map(str::parse::<u32>);
    let (hours, minutes) = (parts.next()?.ok()?, parts.next()?.ok()?);
    let days: u32 = days.parse().ok()?;
    let minutes = (u64::from(days) * 24 + u64::from(hours)) * 60 + u64::from(minutes);
    Some(Duration::from_mins(minutes))
}

#[cfg(test)]
mod tests {
    use tidings_domain::resource::ResourceKind;
    use tidings_graph::resource::table::rows_of;

    use super::*;

    fn refusal(message: &str) -> CallError {
        CallError::Rejected {
            status: 400,
            code: "ExtensionError".to_owned(),
            message: message.to_owned(),
            request_id: None,
        }
    }

    #[test]
    fn a_limit_that_graph_names_is_kept_with_room_for_clocks_that_differ() {
        let mins = Duration::from_mins;
        for (message, asked, expected) in [
            (
                "Subscription expiration can only be 60 minutes in the future.",
                10_000,
                Some(54),
            ),
            (
                "Subscription expiration can only be 4230 minutes in the future.",
                10_000,
                Some(4_220),
            ),
            // Once more, since our clock is far ahead: half.
            (
                "Subscription expiration can only be 4230 minutes in the future.",
                4_220,
                Some(2_110),
            ),
            (
                "Subscription expiration can only be 60 minutes in the future.",
                54,
                Some(45),
            ),
            (
                "Subscription expiration can only be 60 minutes in the future.",
                45,
                None,
            ),
            (
                "Operation: Create; Exception: [Status Code: BadRequest; Reason: Expiration time 'x' ('y' from now) is beyond allowed max '3.00:00:00'.]",
                9_000,
                Some(4_310),
            ),
            (
                "Reason: Expiration time 'x' is beyond allowed max '01:00:00'.",
                4_200,
                Some(54),
            ),
            ("Expiration date is not to my liking.", 100, Some(50)),
            ("Resource not found for the segment.", 100, None),
        ] {
            assert_eq!(
                less(mins(asked), &refusal(message)),
                expected.map(mins),
                "{message}"
            );
        }
        assert_eq!(less(mins(100), &CallError::NotFound), None);
    }

    #[test]
    fn what_was_found_is_asked_for_from_then_on() {
        let lifetimes = Lifetimes::default();
        let event = rows_of(ResourceKind::Event).next();
        let refusal = refusal("Subscription expiration can only be 60 minutes in the future.");
        let asked = lifetimes.ask(event);
        assert_eq!(asked, Duration::from_mins(10_000));
        let less = lifetimes.less(event, asked, &refusal).unwrap();
        assert_eq!(lifetimes.ask(event), less);
        let user = rows_of(ResourceKind::User).next();
        assert_eq!(lifetimes.ask(user), Duration::from_mins(41_000));
    }
}
