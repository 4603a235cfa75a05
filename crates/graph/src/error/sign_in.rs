//! Errors of the token endpoint.

use http::{HeaderMap, StatusCode};
use tidings_domain::Timestamp;

use super::{CallError, CredentialScope};
use crate::{retry_after, throttle::Throttle, wire::token::TokenErrorAnswer};

/// AADSTS numbers, whom they concern, and what to do (Microsoft's "authentication and authorization error codes" page).
const KNOWN: &[(u32, CredentialScope, &str)] = &[
    (
        7_000_215,
        CredentialScope::App,
        "The client secret is wrong: give the secret's value, not its id.",
    ),
    (
        7_000_222,
        CredentialScope::App,
        "The client secret has expired: make a new one in the app registration and set it here.",
    ),
    (
        700_027,
        CredentialScope::App,
        "The app's certificate is not the registered one.",
    ),
    (
        700_016,
        CredentialScope::Tenant,
        "The app is not known in this tenant: an administrator of it has to consent first.",
    ),
    (
        7_000_229,
        CredentialScope::Tenant,
        "The app has no service principal in this tenant: an administrator of it has to consent first.",
    ),
    (
        7_000_112,
        CredentialScope::Tenant,
        "The app is disabled in this tenant.",
    ),
    (
        90_002,
        CredentialScope::Tenant,
        "There is no such tenant: check its id.",
    ),
    (
        65_001,
        CredentialScope::Tenant,
        "Consent is missing: an administrator of the tenant has to consent to the app.",
    ),
];

/// Reads a refusal of the token endpoint as what it means: our credentials are broken for all, or for this tenant, or
/// the same may work later.
pub fn classify_token_error(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> CallError {
    let answer: TokenErrorAnswer = serde_json::from_slice(body).unwrap_or_default();
    let said = first_line(&answer.error_description);
    let retry_after = retry_after::parse(headers, now);
    if status == StatusCode::TOO_MANY_REQUESTS {
        return CallError::Throttled {
            retry_after,
            throttle: Throttle::default(),
        };
    }
    let unknown_cause = answer.error.is_empty();
    if status.is_server_error()
        || answer.error == "temporarily_unavailable"
        || (unknown_cause && status == StatusCode::REQUEST_TIMEOUT)
    {
        return CallError::Unavailable {
            detail: format!("the sign-in answered {status}: {said}"),
            retry_after,
        };
    }
    if let Some((code, scope, advice)) = KNOWN
        .iter()
        .find(|(code, ..)| answer.error_codes.contains(code) || is_number_in(*code, said))
    {
        return CallError::Credentials {
            scope: *scope,
            code: Some(*code),
            message: format!("{advice} (AADSTS{code})"),
        };
    }
    if unknown_cause {
        // Not an answer of the sign-in: a proxy, or a URL that leads elsewhere. It says nothing of the credentials.
        return CallError::Unavailable {
            detail: format!(
                "the sign-in URL answers token requests with {status} and no error of a sign-in: check it"
            ),
            retry_after,
        };
    }
    let scope = match answer.error.as_str() {
        "invalid_client" | "invalid_scope" | "invalid_resource" | "unsupported_grant_type" => {
            CredentialScope::App
        }
        _ => CredentialScope::Tenant,
    };
    CallError::Credentials {
        scope,
        code: answer.error_codes.first().copied(),
        message: format!("The sign-in refuses ({}): {said}", answer.error),
    }
}

/// The description without the lines for Microsoft's support, which differ each time.
fn first_line(description: &str) -> &str {
    let line = description.lines().next().unwrap_or_default().trim();
    line.char_indices()
        .nth(500)
        .map_or(line, |(end, _)| &line[..end])
}

fn is_number_in(code: u32, description: &str) -> bool {
    description
        .strip_prefix("AADSTS")
        .and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next())
        .is_some_and(|number| number.parse() == Ok(code))
}
