//! What is answered when something cannot be done: problem details (RFC 9457) with a stable code.
//!
//! [`Code`] is the whole list. Programs go by `code`; `detail` is for people and may be worded anew at any time.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use tidings_graph::CallError;
use tidings_pipeline::manage::ManageError;
use tidings_storage::StoreError;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $word:literal, $status:ident, $title:literal;)*) => {
        /// What kind of problem it is. Words never change their meaning; new ones may come.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code's word.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }

            /// The HTTP status that goes with it.
            pub const fn status(self) -> StatusCode {
                match self {
                    $(Self::$name => StatusCode::$status,)*
                }
            }

            /// A short text for people, the same for every problem of this code.
            pub const fn title(self) -> &'static str {
                match self {
                    $(Self::$name => $title,)*
                }
            }
        }
    };
}

codes! {
    /// The body is larger than 1 MiB.
    BodyTooLarge = "body_too_large", PAYLOAD_TOO_LARGE, "The body is too large";
    /// Something with the same name, key or meaning exists already.
    Conflict = "conflict", CONFLICT, "It exists already";
    /// Sign-in refuses the credentials of the integration, or has no consent of the tenant.
    CredentialsRefused = "credentials_refused", UNPROCESSABLE_ENTITY, "The credentials are refused";
    /// The key's scope or environment does not allow this.
    Forbidden = "forbidden", FORBIDDEN, "This key may not do that";
    /// Graph or its sign-in refuses what was asked of it.
    GraphRefused = "graph_refused", UNPROCESSABLE_ENTITY, "Graph refuses this";
    /// Graph or its sign-in cannot be reached, or asks to wait.
    GraphUnavailable = "graph_unavailable", BAD_GATEWAY, "Graph is unavailable";
    /// It cannot be removed while something else needs it.
    InUse = "in_use", CONFLICT, "It is still in use";
    /// Something is wrong inside this server; its log says what.
    Internal = "internal", INTERNAL_SERVER_ERROR, "Something is wrong inside this server";
    /// The body is not the JSON that is expected here; `pointer` says which member.
    InvalidBody = "invalid_body", BAD_REQUEST, "The body is not what is expected here";
    /// A query parameter or a header is unknown or has a wrong value.
    InvalidParameter = "invalid_parameter", BAD_REQUEST, "A parameter is not what is expected here";
    /// The path exists, but not with this method; `Allow` says with which.
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, "The method is not allowed here";
    /// There is nothing here, or nothing that this key may see.
    NotFound = "not_found", NOT_FOUND, "There is nothing here";
    /// What is watched cannot be compared with what Graph has, or not yet.
    NotReconciled = "not_reconciled", CONFLICT, "It is not reconciled";
    /// The store takes nothing new for now: busy, full or out of order.
    StoreUnavailable = "store_unavailable", SERVICE_UNAVAILABLE, "The store is unavailable";
    /// There is no API key in the request, or one that does not exist.
    Unauthorized = "unauthorized", UNAUTHORIZED, "A valid API key is needed";
    /// The body is not sent as JSON.
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "The body must be JSON";
}

/// How long to wait before the store is asked again: its group commits take milliseconds and a full disk takes longer,
/// but a management call a second costs it nothing.
const STORE_RETRY_AFTER: Duration = Duration::from_secs(1);

/// What cannot be done, and why.
#[derive(Debug)]
pub struct Problem {
    code: Code,
    detail: String,
    pointer: Option<String>,
    retry_after: Option<Duration>,
    cause: Option<String>,
}

impl Problem {
    /// A problem, told to people by `detail`: what is wrong and what to do.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            pointer: None,
            retry_after: None,
            cause: None,
        }
    }

    /// There is no `what`, or none that the caller may see: the same answer for both, so that nobody learns what exists.
    pub fn not_found(what: impl std::fmt::Display) -> Self {
        Self::new(
            Code::NotFound,
            format!("there is no {what} in this environment"),
        )
    }

    /// Something is wrong inside: `cause` goes to the log, never to the caller.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        let mut problem = Self::new(
            Code::Internal,
            "this is not your fault; the server's log says more under this request's id",
        );
        problem.cause = Some(cause.to_string());
        problem
    }

    /// As `From<ManageError>`, for removals: what they meet is something that still hangs on what is to be removed.
    pub fn in_use(error: ManageError, detail: &str) -> Self {
        match error {
            ManageError::Conflict { .. } => Self::new(Code::InUse, detail),
            other => other.into(),
        }
    }

    /// Which member of the body is meant, as a JSON pointer (RFC 6901).
    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>) -> Self {
        self.pointer = Some(pointer.into());
        self
    }

    /// When to try again.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// What kind of problem it is.
    pub fn code(&self) -> Code {
        self.code
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict { what } => {
                Self::new(Code::Conflict, format!("{what} exists already"))
            }
            StoreError::Missing { what } => Self::not_found(what),
            StoreError::InvalidCursor => Self::new(
                Code::InvalidParameter,
                "cursor: this is no cursor of this list: take `next_cursor` of the page before as it is",
            ),
            StoreError::Full => Self::new(
                Code::StoreUnavailable,
                "the disk of the data folder is full: make room there, nothing else is needed",
            )
            .retry_after(STORE_RETRY_AFTER),
            // Another node has just taken the work over: asked again, it knows.
            StoreError::Fenced { .. } | StoreError::Overloaded => {
                Self::new(Code::StoreUnavailable, "the store is busy: try again")
                    .retry_after(STORE_RETRY_AFTER)
            }
            error @ StoreError::Unavailable { .. } => {
                let mut problem = Self::new(
                    Code::StoreUnavailable,
                    "the store cannot be read or written: try again",
                )
                .retry_after(STORE_RETRY_AFTER);
                problem.cause = Some(error.to_string());
                problem
            }
            error @ (StoreError::Corrupt { .. } | StoreError::Poison { .. }) => {
                Self::internal(error)
            }
        }
    }
}

impl From<CallError> for Problem {
    fn from(error: CallError) -> Self {
        let code = match &error {
            CallError::Credentials { .. } => Code::CredentialsRefused,
            CallError::Throttled { .. } | CallError::Unavailable { .. } => Code::GraphUnavailable,
            CallError::Conflict { .. }
            | CallError::Forbidden { .. }
            | CallError::NotFound
            | CallError::Rejected { .. }
            | CallError::TooLarge => Code::GraphRefused,
        };
        Self {
            retry_after: error.retry_after(),
            ..Self::new(code, error.to_string())
        }
    }
}

impl From<ManageError> for Problem {
    fn from(error: ManageError) -> Self {
        match error {
            ManageError::Conflict { what } => StoreError::Conflict { what }.into(),
            ManageError::Graph(error) => error.into(),
            ManageError::Invalid { pointer, detail } => {
                Self::new(Code::InvalidBody, detail).at(pointer)
            }
            ManageError::Missing { what } => Self::not_found(what),
            ManageError::Store(error) => error.into(),
        }
    }
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'a str,
    status: u16,
    code: &'a str,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<&'a str>,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.code.status();
        if let Some(cause) = &self.cause {
            tracing::error!(code = self.code.as_str(), cause, "a request failed");
        }
        let body = Body {
            kind: format!("urn:tidings:problem:{}", self.code.as_str()),
            title: self.code.title(),
            status: status.as_u16(),
            code: self.code.as_str(),
            detail: &self.detail,
            pointer: self.pointer.as_deref(),
        };
        let body = serde_json::to_vec(&body).expect("invariant: a problem is texts and a number");
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        match self.code {
            // RFC 6750 §3 names both challenges.
            Code::Unauthorized => {
                headers.insert(
                    header::WWW_AUTHENTICATE,
                    HeaderValue::from_static(r#"Bearer realm="tidings""#),
                );
            }
            Code::Forbidden => {
                headers.insert(
                    header::WWW_AUTHENTICATE,
                    HeaderValue::from_static(
                        r#"Bearer realm="tidings", error="insufficient_scope", scope="admin""#,
                    ),
                );
            }
            _ => {}
        }
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use tidings_graph::throttle::Throttle;

    use super::*;

    async fn json(problem: Problem) -> serde_json::Value {
        let body = axum::body::to_bytes(problem.into_response().into_body(), 1 << 20)
            .await
            .unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    #[test]
    fn no_two_codes_share_a_word_and_each_is_an_error() {
        let mut words: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Code::ALL.len());
        for code in Code::ALL {
            assert!(
                code.status().is_client_error() || code.status().is_server_error(),
                "{code:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_problem_has_the_members_of_the_standard_and_the_code() {
        let problem = Problem::new(Code::InvalidBody, "missing field `url`").at("/url");
        assert_eq!(
            json(problem).await,
            serde_json::json!({
                "type": "urn:tidings:problem:invalid_body",
                "title": "The body is not what is expected here",
                "status": 400,
                "code": "invalid_body",
                "detail": "missing field `url`",
                "pointer": "/url",
            })
        );
    }

    #[test]
    fn every_passing_trouble_of_the_store_says_when_to_come_back() {
        let detail = || "disk I/O error in /var/lib/tidings".to_owned();
        for error in [
            StoreError::Full,
            StoreError::Overloaded,
            StoreError::Unavailable { detail: detail() },
        ] {
            assert!(error.is_transient());
            let response = Problem::from(error).into_response();
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(response.headers()[header::RETRY_AFTER], "1");
        }
    }

    #[tokio::test]
    async fn what_went_wrong_inside_is_not_told() {
        for error in [
            StoreError::Corrupt {
                detail: "row 7 of /secret/path".to_owned(),
            },
            StoreError::Poison {
                detail: "row 7 of /secret/path".to_owned(),
            },
            StoreError::Unavailable {
                detail: "row 7 of /secret/path".to_owned(),
            },
        ] {
            let told = json(Problem::from(error)).await.to_string();
            assert!(!told.contains("/secret/path"), "{told}");
        }
    }

    #[test]
    fn what_graph_refuses_and_what_it_cannot_do_now_are_told_apart() {
        let wait = Some(Duration::from_millis(1_500));
        for (error, status, retry_after) in [
            (CallError::NotFound, StatusCode::UNPROCESSABLE_ENTITY, None),
            (
                CallError::Throttled {
                    retry_after: wait,
                    throttle: Throttle::default(),
                },
                StatusCode::BAD_GATEWAY,
                Some("2"),
            ),
            (
                CallError::Unavailable {
                    detail: "no route".to_owned(),
                    retry_after: None,
                },
                StatusCode::BAD_GATEWAY,
                None,
            ),
        ] {
            let response = Problem::from(ManageError::Graph(error)).into_response();
            assert_eq!(response.status(), status);
            let told = response.headers().get(header::RETRY_AFTER);
            assert_eq!(told.map(|value| value.to_str().unwrap()), retry_after);
        }
    }
}
