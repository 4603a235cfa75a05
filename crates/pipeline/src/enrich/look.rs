//! Asking Graph for a changed item: what the answer means.

use std::time::Duration;

use tidings_domain::{Timestamp, event::ObjectState, resource::ChangeType};
use tidings_graph::{CallError, client::Fetched, throttle::ThrottleScope};

use super::{
    backlog::Work,
    breaker::{Contact, Whose},
    event::Found,
};
use crate::{metrics::FetchResult, version};

/// What Graph does not have is asked for again after these waits, if it was created just now: its own parts learn of a
/// creation one after the other.
const NOT_FOUND_WAITS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];
/// What "just now" is.
const JUST_CREATED: Duration = Duration::from_secs(10);
/// Another version than the notification's is looked at once more after this wait, then taken.
const OTHER_VERSION_WAIT: Duration = Duration::from_secs(2);
/// A request that Graph does not take as it is has been tried often enough after so many failures.
const REJECTED_FAILURES: u32 = 4;

/// What comes of a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// Enough for an event.
    Found(Found),
    /// The same again soon; it is no failure.
    LookAgain(Duration),
    /// It failed and is tried again, the later the more often it failed.
    PutOff {
        /// For how long the server asked to be left alone.
        retry_after: Option<Duration>,
    },
}

/// Makes sense of the answer to a GET.
pub(super) fn judge(work: &mut Work, answer: Result<Fetched, CallError>, now: Timestamp) -> Seen {
    let Work {
        queued,
        merged,
        not_found,
        other_version_seen,
    } = work;
    let notification = &merged.last().unwrap_or(queued).notification;
    let change = notification.change_type.unwrap_or(ChangeType::Updated);
    // A version that could not be fetched is the one that the notification names.
    let version = notification.etag.as_deref().map(version::named);
    let without_object = |change, state| {
        Seen::Found(Found {
            change,
            state,
            object: None,
            version,
        })
    };
    match answer {
        Ok(Fetched { object, etag, .. }) => {
            let other_version =
                matches!((&etag, &notification.etag), (Some(found), Some(told)) if found != told);
            if other_version && !*other_version_seen && change != ChangeType::Deleted {
                *other_version_seen = true;
                return Seen::LookAgain(OTHER_VERSION_WAIT);
            }
            // A deletion that is only claimed, and did not happen: what is there is told of.
            let change = match change {
                ChangeType::Deleted => ChangeType::Updated,
                change => change,
            };
            let version = match etag {
                Some(etag) => version::named(&etag),
                None => version::of_content(&object),
            };
            Seen::Found(Found {
                change,
                state: ObjectState::Fetched,
                object: Some(object),
                version: Some(version),
            })
        }
        Err(CallError::NotFound) => {
            if change == ChangeType::Deleted {
                return without_object(change, ObjectState::Deleted);
            }
            let just_created =
                change == ChangeType::Created && now.since(notification.received_at) < JUST_CREATED;
            match NOT_FOUND_WAITS.get(*not_found) {
                Some(&wait) if just_created => {
                    *not_found += 1;
                    Seen::LookAgain(wait)
                }
                _ => without_object(change, ObjectState::Gone),
            }
        }
        Err(CallError::Forbidden { .. }) => without_object(change, ObjectState::Forbidden),
        Err(CallError::TooLarge) => without_object(change, ObjectState::TooLarge),
        Err(CallError::Rejected { .. } | CallError::Conflict { .. })
            if queued.failures >= REJECTED_FAILURES =>
        {
            without_object(change, ObjectState::Forbidden)
        }
        Err(error) => Seen::PutOff {
            retry_after: error.retry_after(),
        },
    }
}

/// What an answer shows of the tenant's Graph. `whole` if all items of the call failed so.
pub(super) fn contact(
    answer: &Result<Fetched, CallError>,
    whole: bool,
    in_mailbox: bool,
) -> Contact {
    match answer {
        Ok(fetched) => match fetched.throttle.limit_percent {
            Some(percent) => Contact::Near(percent),
            None => Contact::Answered,
        },
        Err(CallError::Throttled {
            retry_after,
            throttle,
        }) => {
            let whose = match throttle.whose() {
                Some(ThrottleScope::App) => Whose::App,
                // Outlook counts calls by mailbox, and does not say so.
                None if in_mailbox && !whole => Whose::Mailbox,
                Some(ThrottleScope::Tenant) | None => Whose::Tenant,
            };
            Contact::Throttled(whose, *retry_after)
        }
        Err(CallError::Credentials { .. }) => Contact::Broken,
        Err(error) if error.is_transient() => Contact::Failed(error.retry_after()),
        _ => Contact::Answered,
    }
}

/// How an answer is counted.
pub(super) fn counted(answer: &Result<Fetched, CallError>) -> FetchResult {
    match answer {
        Ok(_) => FetchResult::Fetched,
        Err(CallError::NotFound) => FetchResult::NotFound,
        Err(CallError::Forbidden { .. }) => FetchResult::Forbidden,
        Err(CallError::TooLarge) => FetchResult::TooLarge,
        Err(CallError::Throttled { .. }) => FetchResult::Throttled,
        Err(CallError::Credentials { .. }) => FetchResult::Credentials,
        Err(_) => FetchResult::Failed,
    }
}
