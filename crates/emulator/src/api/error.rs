//! Graph's error envelope (Microsoft's "error responses" page; messages as seen in the field).

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use serde_json::json;

use super::call::Trace;
use crate::time;

/// An error as Graph answers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GraphError {
    /// The HTTP status.
    pub(crate) status: StatusCode,
    /// The stable word.
    pub(crate) code: Cow<'static, str>,
    /// The text for people.
    pub(crate) message: String,
    /// The value of `Location`.
    pub(crate) location: Option<String>,
    /// The value of `Retry-After`.
    pub(crate) retry_after: Option<String>,
}

impl GraphError {
    /// An error with this status, code and message.
    pub(crate) fn new(
        status: StatusCode,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            status,
            code: code.into(),
            message: message.into(),
            location: None,
            retry_after: None,
        }
    }

    /// 400 with code `InvalidRequest`.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "InvalidRequest", message)
    }

    /// 401 for a missing, broken or expired token.
    pub(crate) fn token(message: impl Into<String>) -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "InvalidAuthenticationToken",
            message,
        )
    }

    /// 403 for a permission that the token lacks.
    pub(crate) fn forbidden() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "Authorization_RequestDenied",
            "Insufficient privileges to complete the operation.",
        )
    }

    /// 404 for an item that does not exist in a mailbox.
    pub(crate) fn item_not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "ErrorItemNotFound",
            "The specified object was not found in the store.",
        )
    }

    /// 404 for a user that does not exist.
    pub(crate) fn user_not_found(name: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "Request_ResourceNotFound",
            format!(
                "Resource '{name}' does not exist or one of its queried reference-property objects are not present."
            ),
        )
    }

    /// 404 for a subscription that does not exist or has expired.
    pub(crate) fn subscription_not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "ResourceNotFound",
            "The object was not found.",
        )
    }

    /// What the front door says when the workload refuses (`Operation: …; Exception: […]`).
    pub(crate) fn extension(
        status: StatusCode,
        operation: &str,
        status_name: &str,
        reason: &str,
    ) -> Self {
        Self::new(
            status,
            "ExtensionError",
            format!(
                "Operation: {operation}; Exception: [Status Code: {status_name}; Reason: {reason}]"
            ),
        )
    }

    /// 429.
    pub(crate) fn throttled(retry_after: Option<String>) -> Self {
        Self {
            retry_after,
            ..Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "TooManyRequests",
                "Please retry again later.",
            )
        }
    }

    /// The whole answer.
    pub(crate) fn into_response(self, trace: &Trace) -> Response<Full<Bytes>> {
        let mut inner = json!({
            "date": time::bare(trace.now),
            "request-id": trace.request_id,
            "client-request-id": trace.client_request_id(),
        });
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            inner["code"] = "429".into();
            inner["message"] = "Please retry after".into();
            inner["status"] = "429".into();
        }
        let body =
            json!({"error": {"code": self.code, "message": self.message, "innerError": inner}});
        let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        for (name, value) in [
            (header::LOCATION, self.location),
            (header::RETRY_AFTER, self.retry_after),
        ] {
            if let Some(value) = value.and_then(|text| HeaderValue::from_str(&text).ok()) {
                headers.insert(name, value);
            }
        }
        response
    }
}
