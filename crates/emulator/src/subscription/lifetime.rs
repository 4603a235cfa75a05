//! How long subscriptions may live (Microsoft's "subscription resource type" page, and what the service really says).

use std::time::Duration;

use http::StatusCode;
use tidings_domain::{Timestamp, resource::ResourceKind};
use tidings_graph::resource::table::ResourceRow;

use crate::{Switches, api::GraphError, time};

/// Requests for less are raised to this.
const FLOOR: Duration = Duration::from_mins(45);

/// Teams resources that are to live longer need a lifecycle URL.
const LIFECYCLE_URL_BEYOND: Duration = Duration::from_hours(1);

/// What decides how long a subscription may live.
pub(super) struct Rule {
    /// The kind of resource.
    pub(super) kind: ResourceKind,
    /// The maximum, in minutes.
    pub(super) max_minutes: u32,
    /// Whether a long life needs a lifecycle URL.
    pub(super) lifecycle_url_needed: bool,
}

impl Rule {
    /// The rule for a row of the table, under switches that may replace its maximum.
    pub(super) fn of(row: &ResourceRow, rich: bool, switches: &Switches) -> Self {
        let real = match row.lifetime.max_rich_minutes {
            Some(max) if rich => max,
            _ => row.lifetime.max_minutes,
        };
        Self {
            kind: row.kind,
            max_minutes: switches
                .maxima_minutes
                .get(row.kind.as_str())
                .copied()
                .unwrap_or(real),
            lifecycle_url_needed: row.lifecycle_url_needed,
        }
    }
}

/// When a subscription ends that is asked at `now` to live until `asked`. `operation` is `Create` or `Update`.
pub(super) fn end(
    rule: &Rule,
    operation: &str,
    now: Timestamp,
    asked: Timestamp,
    lifecycle_url: bool,
) -> Result<Timestamp, GraphError> {
    let floor = now + FLOOR;
    if asked <= floor {
        return Ok(floor);
    }
    let longest = Duration::from_mins(u64::from(rule.max_minutes));
    if asked > now + longest {
        return Err(too_long(rule, operation, now, asked));
    }
    if rule.lifecycle_url_needed && !lifecycle_url && asked > now + LIFECYCLE_URL_BEYOND {
        return Err(GraphError::invalid(
            "lifecycleNotificationUrl is a required property for subscription creation on this resource when the \
             expirationDateTime value is set to greater than 1 hour.",
        ));
    }
    Ok(asked)
}

fn too_long(rule: &Rule, operation: &str, now: Timestamp, asked: Timestamp) -> GraphError {
    use ResourceKind as Kind;
    match rule.kind {
        // Outlook and the directory state their maximum in minutes; of the directory's message only the pattern is known.
        Kind::Contact | Kind::Event | Kind::Group | Kind::Message | Kind::User => GraphError::new(
            StatusCode::BAD_REQUEST,
            "ExtensionError",
            format!(
                "Subscription expiration can only be {} minutes in the future.",
                rule.max_minutes
            ),
        ),
        _ => {
            let distance = now.as_millis().saturating_sub(asked.as_millis());
            let reason = format!(
                "Expiration time '{}' ('{}' from now) is beyond allowed max '{}'.",
                time::seven_digits(asked, Some(0)),
                time::dotnet_span(distance),
                time::dotnet_span(i64::from(rule.max_minutes) * 60_000),
            );
            GraphError::extension(StatusCode::BAD_REQUEST, operation, "BadRequest", &reason)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_341_600_000);

    fn minutes(n: u64) -> Duration {
        Duration::from_mins(n)
    }

    const EVENT: Rule = Rule {
        kind: ResourceKind::Event,
        max_minutes: 10_070,
        lifecycle_url_needed: false,
    };

    const CHANNEL: Rule = Rule {
        kind: ResourceKind::Channel,
        max_minutes: 4_320,
        lifecycle_url_needed: true,
    };

    #[test]
    fn less_than_45_minutes_is_raised_to_45() {
        for asked in [NOW - minutes(5), NOW, NOW + minutes(44)] {
            assert_eq!(
                end(&EVENT, "Create", NOW, asked, false),
                Ok(NOW + minutes(45))
            );
        }
        assert_eq!(
            end(&EVENT, "Create", NOW, NOW + minutes(46), false),
            Ok(NOW + minutes(46))
        );
    }

    #[test]
    fn outlook_ends_at_10070_minutes() {
        assert!(end(&EVENT, "Create", NOW, NOW + minutes(10_070), false).is_ok());
        let error = end(&EVENT, "Create", NOW, NOW + minutes(10_071), false).unwrap_err();
        assert_eq!(error.code, "ExtensionError");
        assert_eq!(
            error.message,
            "Subscription expiration can only be 10070 minutes in the future."
        );
    }

    #[test]
    fn teams_says_it_in_its_own_words() {
        let asked = NOW + minutes(6 * 24 * 60);
        let error = end(&CHANNEL, "Create", NOW, asked, true).unwrap_err();
        assert_eq!(
            error.message,
            "Operation: Create; Exception: [Status Code: BadRequest; Reason: Expiration time \
             '2026-11-28T10:00:00.0000000+00:00' ('-6.00:00:00' from now) is beyond allowed max '3.00:00:00'.]"
        );
    }

    #[test]
    fn over_an_hour_teams_needs_a_lifecycle_url() {
        assert!(end(&CHANNEL, "Create", NOW, NOW + minutes(60), false).is_ok());
        assert!(end(&CHANNEL, "Create", NOW, NOW + minutes(61), true).is_ok());
        let error = end(&CHANNEL, "Create", NOW, NOW + minutes(61), false).unwrap_err();
        assert_eq!(error.status, StatusCode::BAD_REQUEST);
        assert!(error.message.contains("lifecycleNotificationUrl"));
    }
}
