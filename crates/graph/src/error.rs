//! What a call to Graph or to its sign-in can fail with.
//!
//! Read from the status first, then from the code; messages are for people and may change at any time (Microsoft's
//! "error responses and resource types" page).

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use tidings_domain::Timestamp;

use crate::{retry_after, throttle::Throttle};

mod body;
mod sign_in;

#[cfg(test)]
mod tests;

pub use body::ErrorBody;
pub use sign_in::classify_token_error;

/// What a call failed with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Another subscription with the same resource and change types exists.
    #[error("Graph has such a subscription already: {message}")]
    Conflict {
        /// Its id, if the message tells it.
        existing: Option<String>,
        /// What Graph said.
        message: String,
    },
    /// Sign-in, or Graph at once after it, refuses the credentials.
    #[error("{message}")]
    Credentials {
        /// For whom.
        scope: CredentialScope,
        /// The AADSTS number.
        code: Option<u32>,
        /// What the sign-in said and what to do.
        message: String,
    },
    /// Graph refuses this to this app.
    #[error("Graph refuses: {message} ({code}; request-id {})", .request_id.as_deref().unwrap_or("unknown"))]
    Forbidden {
        /// Why.
        reason: ForbiddenReason,
        /// Graph's code.
        code: String,
        /// What Graph said.
        message: String,
        /// For Microsoft's support.
        request_id: Option<String>,
    },
    /// There is no such thing (any more).
    #[error("Graph has no such thing")]
    NotFound,
    /// Graph does not take the request as it is; repeating it changes nothing.
    #[error("Graph does not take the request ({status} {code}): {message} (request-id {})", .request_id.as_deref().unwrap_or("unknown"))]
    Rejected {
        /// The status.
        status: u16,
        /// Graph's code.
        code: String,
        /// What Graph said.
        message: String,
        /// For Microsoft's support.
        request_id: Option<String>,
    },
    /// Too many calls: wait before the next.
    #[error("Graph asks for fewer calls")]
    Throttled {
        /// For how long, if Graph said.
        retry_after: Option<Duration>,
        /// Which limit it is, as far as Graph said.
        throttle: Throttle,
    },
    /// The answer is larger than the caller's limit.
    #[error("the answer is too large")]
    TooLarge,
    /// No answer, or none that can be used. It may work later.
    #[error("Graph or its sign-in cannot be reached: {detail}")]
    Unavailable {
        /// What happened.
        detail: String,
        /// How long to wait, if the server said.
        retry_after: Option<Duration>,
    },
}

/// For whom credentials are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialScope {
    /// For every tenant: the app's own secret or configuration is wrong.
    App,
    /// For this tenant: no consent, no such app or tenant there.
    Tenant,
}

/// Why Graph refuses with 403.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForbiddenReason {
    /// Another reason.
    Other,
    /// The app lacks a permission.
    Permission,
    /// There are too many subscriptions.
    Quota,
}

impl CallError {
    /// Whether the same call may succeed later without anybody changing anything.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Throttled { .. } | Self::Unavailable { .. })
    }

    /// How long the server asked to wait.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after, .. } | Self::Unavailable { retry_after, .. } => {
                *retry_after
            }
            _ => None,
        }
    }

    /// Whether Graph says that it could not reach our notification URL while it made or changed a subscription.
    pub fn is_failed_handshake(&self) -> bool {
        // The code has changed over the years (`InvalidRequest`, `ValidationError`), the beginning of the text has not.
        matches!(self, Self::Rejected { message, .. } if message.starts_with("Subscription validation request"))
    }

    pub(crate) fn unavailable(detail: impl Into<String>) -> Self {
        Self::Unavailable {
            detail: detail.into(),
            retry_after: None,
        }
    }
}

/// Reads an answer that is no success as what it means.
pub fn classify(status: StatusCode, headers: &HeaderMap, body: &[u8], now: Timestamp) -> CallError {
    let retry_after = retry_after::parse(headers, now);
    let ErrorBody {
        code,
        message,
        request_id,
    } = ErrorBody::parse(body).unwrap_or_default();
    let request_id = request_id.or_else(|| {
        let id = headers.get("request-id")?.to_str().ok()?;
        Some(id.chars().take(64).collect())
    });
    match status.as_u16() {
        401 => CallError::Credentials {
            scope: CredentialScope::Tenant,
            code: None,
            message: format!(
                "Graph does not accept the token it was sent: {message} (request-id {})",
                request_id.as_deref().unwrap_or("unknown")
            ),
        },
        403 => CallError::Forbidden {
            reason: forbidden_reason(&code, &message),
            code,
            message,
            request_id,
        },
        404 | 410 => CallError::NotFound,
        409 => CallError::Conflict {
            existing: body::find_guid(&message).map(str::to_owned),
            message,
        },
        429 => CallError::Throttled {
            retry_after,
            throttle: Throttle::parse(headers),
        },
        // 408 and 425 say themselves that the same may work later; 424 is a part of a batch that waited for another one,
        // which failed; 509 is Graph's bandwidth limit.
        408 | 424 | 425 | 500..=599 => CallError::Unavailable {
            detail: format!(
                "it answered {status} {code} {message} (request-id {})",
                request_id.as_deref().unwrap_or("unknown")
            ),
            retry_after,
        },
        status => CallError::Rejected {
            status,
            code,
            message,
            request_id,
        },
    }
}

fn forbidden_reason(code: &str, message: &str) -> ForbiddenReason {
    let message = message.to_ascii_lowercase();
    let is = |known: &str| code.eq_ignore_ascii_case(known);
    if message.contains("maximum number of subscriptions") || is("quotaLimitReached") {
        ForbiddenReason::Quota
    } else if message.contains("insufficient privileges")
        || is("Authorization_RequestDenied")
        || is("AccessDenied")
        || is("ErrorAccessDenied")
    {
        ForbiddenReason::Permission
    } else {
        ForbiddenReason::Other
    }
}
