//! What came of an attempt, and what follows from it.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use tidings_domain::{
    Entropy, Timestamp,
    delivery::{AttemptOutcome, DeadReason},
    retry::RetrySchedule,
    webhook::DisabledReason,
};
use tidings_egress::{Answer, Cut, EgressError};
use tidings_graph::retry_after;
use tidings_storage::record::{AfterAttempt, HealthChange};

use super::{destination::Health, scheduler::Bearing};

/// What came of an attempt.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) kind: AttemptOutcome,
    pub(super) status: Option<u16>,
    /// What went wrong, for people.
    pub(super) error: Option<String>,
    /// The beginning of the answer's body.
    pub(super) answer: Bytes,
    /// How long the receiver asks us to wait.
    pub(super) retry_after: Option<Duration>,
}

/// When to try again, and when to stop.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) schedule: RetrySchedule,
    pub(super) disable_after: Duration,
}

/// An attempt that failed, as the rules look at it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tried {
    /// How many attempts there were, this one included.
    pub(super) attempts: u32,
    /// When it began.
    pub(super) started_at: Timestamp,
    /// When it ended.
    pub(super) ended_at: Timestamp,
}

impl Outcome {
    /// What the receiver's answer, or its lack, means. A receiver that says 2xx and then breaks off, or goes on for
    /// longer than we read, has taken the delivery; one that never comes to an end has not: the time limit covers the
    /// whole exchange.
    pub(super) fn of(sent: Result<Answer, EgressError>, now: Timestamp) -> Self {
        let answer = match sent {
            Ok(answer) => answer,
            Err(error) => return Self::without_answer(&error),
        };
        let status = answer.status;
        let (kind, error) = if status.is_success() && answer.cut == Some(Cut::Late) {
            let error = format!(
                "the webhook answered {status}, but its answer did not end within the time limit"
            );
            (AttemptOutcome::Timeout, Some(error))
        } else if status.is_success() {
            (AttemptOutcome::Success, None)
        } else if status.is_redirection() {
            let error = format!(
                "the webhook answered {status}, and redirects are not followed: set its URL to where it really is"
            );
            (AttemptOutcome::Redirect, Some(error))
        } else {
            let error = format!("the webhook answered {status}");
            (AttemptOutcome::Status, Some(error))
        };
        let retry_after = error
            .as_ref()
            .and_then(|_| retry_after::parse(&answer.headers, now));
        Self {
            kind,
            status: Some(status.as_u16()),
            error,
            answer: answer.body,
            retry_after,
        }
    }

    /// Nothing could be sent, because of us.
    pub(super) fn unsent(error: String) -> Self {
        Self {
            kind: AttemptOutcome::Protocol,
            status: None,
            error: Some(error),
            answer: Bytes::new(),
            retry_after: None,
        }
    }

    fn without_answer(error: &EgressError) -> Self {
        let kind = match error {
            EgressError::Connect { .. } | EgressError::InvalidRequest { .. } => {
                AttemptOutcome::Connect
            }
            EgressError::Dns { .. } => AttemptOutcome::Dns,
            EgressError::ForbiddenAddress { .. } => AttemptOutcome::ForbiddenAddress,
            EgressError::Protocol { .. } | EgressError::TooLarge { .. } => AttemptOutcome::Protocol,
            EgressError::Timeout { .. } => AttemptOutcome::Timeout,
            EgressError::Setup { .. } | EgressError::Tls { .. } => AttemptOutcome::Tls,
        };
        Self {
            kind,
            ..Self::unsent(error.to_string())
        }
    }

    pub(super) fn bearing(&self) -> Bearing {
        const STRAINED: [u16; 2] = [
            StatusCode::TOO_MANY_REQUESTS.as_u16(),
            StatusCode::SERVICE_UNAVAILABLE.as_u16(),
        ];
        match self.kind {
            AttemptOutcome::Success => Bearing::Well,
            AttemptOutcome::Timeout => Bearing::Strained,
            _ if self.status.is_some_and(|status| STRAINED.contains(&status)) => Bearing::Strained,
            _ => Bearing::Neutral,
        }
    }

    /// What becomes of the delivery and of the webhook. `health` is brought up to date.
    pub(super) fn consequences(
        &self,
        tried: Tried,
        health: &mut Health,
        rules: &Rules,
        entropy: &dyn Entropy,
    ) -> (AfterAttempt, HealthChange) {
        if self.kind == AttemptOutcome::Success {
            let change = match health.failing_since.take() {
                Some(_) => HealthChange::Healthy,
                None => HealthChange::None,
            };
            return (AfterAttempt::Delivered, change);
        }
        if let Some(reason) = self.disables(tried, health, rules) {
            health.disabled = true;
            // The delivery waits, whatever its schedule says, and goes out as soon as the webhook is enabled.
            let next = AfterAttempt::Retry(tried.ended_at);
            return (next, HealthChange::Disable(reason));
        }
        let change = if health.failing_since.is_none() {
            health.failing_since = Some(tried.started_at);
            HealthChange::Failing(tried.started_at)
        } else {
            HealthChange::None
        };
        let wait = rules
            .schedule
            .wait(tried.attempts, self.retry_after, entropy);
        let next = match wait {
            _ if health.disabled => AfterAttempt::Retry(tried.ended_at),
            Some(wait) => AfterAttempt::Retry(tried.ended_at + wait),
            None => AfterAttempt::Dead(DeadReason::Exhausted),
        };
        (next, change)
    }

    fn disables(&self, tried: Tried, health: &Health, rules: &Rules) -> Option<DisabledReason> {
        if health.disabled {
            return None;
        }
        if self.status == Some(StatusCode::GONE.as_u16()) {
            return Some(DisabledReason::Gone);
        }
        let since = health.failing_since?;
        (tried.ended_at.since(since) >= rules.disable_after).then_some(DisabledReason::Failing)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use tidings_domain::entropy::SeededEntropy;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
    const HEALTHY: Health = Health {
        failing_since: None,
        disabled: false,
    };

    fn rules() -> Rules {
        Rules {
            schedule: RetrySchedule::default(),
            disable_after: Duration::from_hours(5 * 24),
        }
    }

    fn answer(status: u16, retry_after: Option<&str>) -> Outcome {
        let mut headers = HeaderMap::new();
        if let Some(value) = retry_after {
            headers.insert("retry-after", value.parse().unwrap());
        }
        let answer = Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            body: Bytes::from_static(b"body"),
            cut: None,
        };
        Outcome::of(Ok(answer), NOW)
    }

    fn cut_answer(status: u16, cut: Cut) -> Outcome {
        let answer = Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: Bytes::from_static(b"beginning"),
            cut: Some(cut),
        };
        Outcome::of(Ok(answer), NOW)
    }

    fn consequences(
        outcome: &Outcome,
        attempts: u32,
        health: &mut Health,
    ) -> (AfterAttempt, HealthChange) {
        let tried = Tried {
            attempts,
            started_at: NOW,
            ended_at: NOW,
        };
        outcome.consequences(tried, health, &rules(), &SeededEntropy::new(1))
    }

    #[test]
    fn only_2xx_delivers() {
        for status in [200, 201, 202, 204, 299] {
            let (next, change) = consequences(&answer(status, None), 1, &mut HEALTHY.clone());
            assert_eq!(next, AfterAttempt::Delivered, "{status}");
            assert_eq!(change, HealthChange::None, "{status}");
        }
        for (status, kind) in [
            (101, AttemptOutcome::Status),
            (301, AttemptOutcome::Redirect),
            (304, AttemptOutcome::Redirect),
            (400, AttemptOutcome::Status),
            (404, AttemptOutcome::Status),
            (500, AttemptOutcome::Status),
            (999, AttemptOutcome::Status),
        ] {
            let outcome = answer(status, None);
            assert_eq!(outcome.kind, kind, "{status}");
            assert_eq!(outcome.status, Some(status));
            assert!(outcome.error.is_some());
            let (next, _) = consequences(&outcome, 1, &mut HEALTHY.clone());
            assert!(matches!(next, AfterAttempt::Retry(_)), "{status}");
        }
    }

    #[test]
    fn a_success_counts_when_its_body_ends_or_breaks_off_but_not_when_it_outlasts_the_limit() {
        for (status, cut, kind) in [
            (200, Cut::AtCap, AttemptOutcome::Success),
            (200, Cut::Broken, AttemptOutcome::Success),
            (200, Cut::Late, AttemptOutcome::Timeout),
            // These failed whatever follows, and say more than that they were slow.
            (410, Cut::Late, AttemptOutcome::Status),
            (302, Cut::Late, AttemptOutcome::Redirect),
        ] {
            let outcome = cut_answer(status, cut);
            assert_eq!(outcome.kind, kind, "{status} {cut:?}");
            assert_eq!(outcome.status, Some(status));
        }
        assert_eq!(cut_answer(200, Cut::Late).bearing(), Bearing::Strained);
    }

    #[test]
    fn retry_after_moves_the_next_attempt_within_limits() {
        let step = Duration::from_secs(4)..=Duration::from_secs(6);
        let second = |seconds| Duration::from_secs(seconds)..=Duration::from_secs(seconds);
        // RFC 9110 §10.2.3; the dates are 90 s behind and before NOW, in its three formats.
        let cases = [
            (None, step.clone()),
            (Some("90"), second(90)),
            (Some("3600"), second(3_600)),
            (Some("86400"), second(3_600)),
            (
                Some("99999999999999999999"),
                step.start().to_owned()..=Duration::from_hours(1),
            ),
            (Some("0"), step.clone()),
            (Some("-5"), step.clone()),
            (Some("soon"), step.clone()),
            (Some(""), step.clone()),
            (Some("Fri, 15 Jan 2027 08:01:30 GMT"), second(90)),
            (Some("Friday, 15-Jan-27 08:01:30 GMT"), second(90)),
            (Some("Fri Jan 15 08:01:30 2027"), second(90)),
            (Some("Fri, 15 Jan 2027 07:58:30 GMT"), step),
        ];
        for status in [429, 503, 500] {
            for (value, expected) in &cases {
                let outcome = answer(status, *value);
                let (next, _) = consequences(&outcome, 1, &mut HEALTHY.clone());
                let AfterAttempt::Retry(due) = next else {
                    panic!("{next:?}")
                };
                let wait = NOW.until(due);
                assert!(expected.contains(&wait), "{status} {value:?}: {wait:?}");
            }
        }
    }

    #[test]
    fn the_schedule_ends_with_death() {
        let outcome = answer(500, None);
        let (next, _) = consequences(&outcome, 9, &mut HEALTHY.clone());
        assert!(matches!(next, AfterAttempt::Retry(_)));
        let (next, _) = consequences(&outcome, 10, &mut HEALTHY.clone());
        assert_eq!(next, AfterAttempt::Dead(DeadReason::Exhausted));
    }

    #[test]
    fn gone_disables_once_and_holds_the_delivery() {
        for attempts in [1, 10] {
            let mut health = HEALTHY;
            let held = AfterAttempt::Retry(NOW);
            let gone = answer(410, Some("86400"));
            let expected = (held, HealthChange::Disable(DisabledReason::Gone));
            assert_eq!(consequences(&gone, attempts, &mut health), expected);
            // What was under way beside it is held too.
            let (next, change) = consequences(&gone, attempts, &mut health);
            assert_eq!(next, held);
            assert!(!matches!(change, HealthChange::Disable(_)));
        }
    }

    #[test]
    fn health_is_written_when_it_changes_and_only_then() {
        let mut health = HEALTHY;
        let (bad, good) = (answer(500, None), answer(200, None));
        assert_eq!(
            consequences(&bad, 1, &mut health).1,
            HealthChange::Failing(NOW)
        );
        assert_eq!(consequences(&bad, 1, &mut health).1, HealthChange::None);
        assert_eq!(consequences(&good, 1, &mut health).1, HealthChange::Healthy);
        assert_eq!(consequences(&good, 1, &mut health).1, HealthChange::None);
    }

    #[test]
    fn failing_for_five_days_disables() {
        let days = |days: u64| Duration::from_hours(days * 24);
        let outcome = answer(500, None);
        let mut health = Health {
            failing_since: Some(NOW - days(5) + Duration::from_millis(1)),
            ..HEALTHY
        };
        assert_eq!(consequences(&outcome, 2, &mut health).1, HealthChange::None);
        health.failing_since = Some(NOW - days(5));
        assert_eq!(
            consequences(&outcome, 10, &mut health),
            (
                AfterAttempt::Retry(NOW),
                HealthChange::Disable(DisabledReason::Failing)
            )
        );
    }

    #[test]
    fn only_what_fewer_attempts_at_a_time_may_help_is_strain() {
        assert_eq!(answer(200, None).bearing(), Bearing::Well);
        assert_eq!(answer(429, None).bearing(), Bearing::Strained);
        assert_eq!(answer(503, None).bearing(), Bearing::Strained);
        assert_eq!(answer(500, None).bearing(), Bearing::Neutral);
        let limit = Duration::from_secs(15);
        let late = Outcome::of(Err(EgressError::Timeout { limit }), NOW);
        assert_eq!(late.bearing(), Bearing::Strained);
    }
}
