//! Errors of the sign-in (Microsoft's "OAuth 2.0 client credentials flow" page and the AADSTS codes seen in the field).

use http::StatusCode;
use serde_json::{Value, json};
use tidings_domain::Timestamp;
use uuid::Uuid;

use crate::time;

/// Why no token is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SignInError {
    /// The app is disabled in this tenant.
    AppDisabled {
        /// The client id as sent.
        app: String,
    },
    /// The app is not known in this tenant.
    AppNotFound {
        /// The client id as sent.
        app: String,
        /// The tenant as sent.
        tenant: String,
    },
    /// The secret has expired.
    ExpiredSecret {
        /// The client id as sent.
        app: String,
    },
    /// The secret is wrong.
    InvalidSecret {
        /// The client id as sent.
        app: String,
    },
    /// The scope is not `https://graph.microsoft.com/.default`.
    InvalidScope {
        /// The scope as sent.
        scope: String,
    },
    /// A parameter is missing.
    Missing {
        /// Its name.
        parameter: &'static str,
    },
    /// The app's own object is missing in this tenant.
    NoServicePrincipal {
        /// The client id as sent.
        app: String,
        /// The tenant as sent.
        tenant: String,
    },
    /// Nobody has consented to the app in this tenant.
    NotConsented {
        /// The client id as sent.
        app: String,
    },
    /// Another error, set as a fault.
    Other {
        /// The number after `AADSTS`.
        code: u32,
    },
    /// There is no such tenant.
    TenantNotFound {
        /// The tenant as sent.
        tenant: String,
    },
    /// Another grant than client credentials.
    UnsupportedGrant {
        /// The grant as sent.
        grant: String,
    },
}

impl SignInError {
    /// The number after `AADSTS`.
    pub(crate) fn code(&self) -> u32 {
        match self {
            Self::AppDisabled { .. } => 7_000_112,
            Self::AppNotFound { .. } => 700_016,
            Self::ExpiredSecret { .. } => 7_000_222,
            Self::InvalidSecret { .. } => 7_000_215,
            Self::InvalidScope { .. } => 70_011,
            Self::Missing { .. } => 900_144,
            Self::NoServicePrincipal { .. } => 7_000_229,
            Self::NotConsented { .. } => 65_001,
            Self::Other { code } => *code,
            Self::TenantNotFound { .. } => 90_002,
            Self::UnsupportedGrant { .. } => 70_003,
        }
    }

    /// The HTTP status: 401 where the app's own credential is at fault, else 400.
    pub(crate) fn status(&self) -> StatusCode {
        match self.code() {
            7_000_215 | 7_000_222 | 700_027 => StatusCode::UNAUTHORIZED,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    fn word(&self) -> &'static str {
        match self.code() {
            7_000_215 | 7_000_222 | 700_027 => "invalid_client",
            700_016 | 7_000_229 | 7_000_112 => "unauthorized_client",
            70_011 => "invalid_scope",
            70_003 => "unsupported_grant_type",
            65_001 => "invalid_grant",
            _ => "invalid_request",
        }
    }

    fn message(&self) -> String {
        match self {
            Self::AppDisabled { app } => format!("Application '{app}' is disabled."),
            Self::ExpiredSecret { app } => {
                format!("The provided client secret keys for app '{app}' are expired.")
            }
            Self::NoServicePrincipal { app, tenant } => format!(
                "The client application {app} is missing service principal in the tenant {tenant}."
            ),
            Self::NotConsented { app } => {
                format!("The administrator has not consented to use the application '{app}'.")
            }
            Self::AppNotFound { app, tenant } => format!(
                "Application with identifier '{app}' was not found in the directory '{tenant}'."
            ),
            Self::InvalidSecret { app } => format!(
                "Invalid client secret provided. Ensure the secret being sent in the request is the client secret \
                 value, not the client secret ID, for a secret added to app '{app}'."
            ),
            Self::InvalidScope { scope } => format!(
                "The provided value for the input parameter 'scope' is not valid. The scope {scope} is not valid."
            ),
            Self::Missing { parameter } => {
                format!("The request body must contain the following parameter: '{parameter}'.")
            }
            Self::Other { code } => format!("The emulator was told to answer with error {code}."),
            Self::TenantNotFound { tenant } => {
                format!(
                    "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID."
                )
            }
            Self::UnsupportedGrant { grant } => {
                format!("The app requested an unsupported grant type '{grant}'.")
            }
        }
    }

    /// The JSON of the answer.
    pub(crate) fn body(&self, now: Timestamp, trace: Uuid, correlation: Uuid) -> Value {
        let (code, timestamp) = (self.code(), time::blank(now));
        json!({
            "error": self.word(),
            "error_description": format!(
                "AADSTS{code}: {}\r\nTrace ID: {trace}\r\nCorrelation ID: {correlation}\r\nTimestamp: {timestamp}",
                self.message()
            ),
            "error_codes": [code],
            "timestamp": timestamp,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": format!("https://login.microsoftonline.com/error?code={code}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_entras() {
        let error = SignInError::InvalidSecret { app: "a1".into() };
        let (trace, correlation) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let body = error.body(
            Timestamp::from_millis(1_452_305_532_000),
            trace,
            correlation,
        );
        assert_eq!(error.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(body["error"], "invalid_client");
        assert_eq!(body["error_codes"], json!([7_000_215]));
        assert_eq!(body["timestamp"], "2016-01-09 02:12:12Z");
        let text = body["error_description"].as_str().unwrap();
        assert!(text.starts_with("AADSTS7000215: Invalid client secret provided."));
        assert!(text.ends_with("\r\nTimestamp: 2016-01-09 02:12:12Z"));
        assert!(text.contains(&format!(
            "\r\nTrace ID: {trace}\r\nCorrelation ID: {correlation}\r\n"
        )));
    }
}
