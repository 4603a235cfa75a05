//! The validation of notification URLs (Microsoft's "Receive change notifications through webhooks" page, section on
//! validation; wire form as seen in the field in 2024).

use std::{fmt::Write as _, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use tidings_egress::{Answer, EgressError, OnCap, Request};
use url::Url;
use uuid::Uuid;

use crate::{api::GraphError, world::World};

/// How long an endpoint has.
const LIMIT: Duration = Duration::from_secs(10);

/// How much of an answer is read: the token is 117 bytes, so anything near this is wrong anyway.
const ANSWER_CAP: usize = 4_096;

/// Asks `url` to prove that it wants notifications. `request` is the id of the call that led here.
pub(super) async fn validate(world: &World, url: &Url, request: Uuid) -> Result<(), GraphError> {
    let token = format!(
        "Validation: Testing client application reachability for subscription Request-Id: {request}"
    );
    let mut headers = HeaderMap::new();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    // An empty body is still a body: the service's client says so.
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    let answer = world
        .egress
        .send(Request {
            method: Method::POST,
            url: with_token(url, &token),
            headers,
            body: Bytes::new(),
            deadline: LIMIT,
            answer_cap: ANSWER_CAP,
            on_cap: OnCap::Fail,
        })
        .await;
    judge(&token, answer)
}

/// The URL with the token behind the query it has.
fn with_token(url: &Url, token: &str) -> Url {
    let encoded = encode(token);
    let mut url = url.clone();
    let query = match url.query() {
        None | Some("") => format!("validationToken={encoded}"),
        Some(query) => format!("{query}&validationToken={encoded}"),
    };
    url.set_query(Some(&query));
    url
}

/// The form encoding of .NET: `+` for a blank, lower-case hexadecimal.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        match byte {
            b' ' => encoded.push('+'),
            b'0'..=b'9'
            | b'A'..=b'Z'
            | b'a'..=b'z'
            | b'-'
            | b'_'
            | b'.'
            | b'!'
            | b'*'
            | b'('
            | b')' => {
                encoded.push(char::from(byte));
            }
            _ => {
                let _ = write!(encoded, "%{byte:02x}");
            }
        }
    }
    encoded
}

fn judge(token: &str, answer: Result<Answer, EgressError>) -> Result<(), GraphError> {
    let failed = |code, message: &str| {
        let message = format!("Subscription validation request {message}");
        Err(GraphError::new(StatusCode::BAD_REQUEST, code, message))
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(EgressError::Timeout { .. }) => return failed("InvalidRequest", "timed out."),
        Err(EgressError::TooLarge { .. }) => {
            return failed(
                "ValidationError",
                "failed. Response must exactly match validationToken query parameter.",
            );
        }
        Err(_) => {
            return failed(
                "ValidationError",
                "failed. Notification endpoint must respond with 200 OK to validation request.",
            );
        }
    };
    if answer.status != StatusCode::OK {
        return failed(
            "ValidationError",
            &format!(
                "failed. HTTP status code is '{}'. Notification endpoint must respond with 200 OK to validation \
                 request.",
                dotnet_name(answer.status)
            ),
        );
    }
    let media_type = answer
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(str::trim);
    if !media_type.is_some_and(|media_type| media_type.eq_ignore_ascii_case("text/plain")) {
        // The page demands the type; how the service words its refusal is not known.
        return failed(
            "ValidationError",
            "failed. Response must have content type text/plain.",
        );
    }
    if answer.body != token.as_bytes() {
        return failed(
            "ValidationError",
            "failed. Response must exactly match validationToken query parameter.",
        );
    }
    Ok(())
}

/// A status as .NET's `HttpStatusCode` calls it: the reason phrase without blanks, or the number.
fn dotnet_name(status: StatusCode) -> String {
    status.canonical_reason().map_or_else(
        || status.as_str().to_owned(),
        |reason| reason.chars().filter(char::is_ascii_alphanumeric).collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_written_as_the_service_writes_it() {
        let token = "Validation: Testing client application reachability for subscription Request-Id: 25460109-0e8b-4521-8090-dd691b407ed8";
        let url = with_token(&Url::parse("https://app.example/hook").unwrap(), token);
        assert_eq!(
            url.as_str(),
            "https://app.example/hook?validationToken=Validation%3a+Testing+client+application+reachability+for+\
             subscription+Request-Id%3a+25460109-0e8b-4521-8090-dd691b407ed8"
        );
        let url = with_token(
            &Url::parse("https://app.example/hook?a=1&b=%20").unwrap(),
            token,
        );
        assert!(
            url.query()
                .unwrap()
                .starts_with("a=1&b=%20&validationToken=Validation%3a+")
        );
    }

    #[test]
    fn statuses_have_dotnet_names() {
        assert_eq!(dotnet_name(StatusCode::BAD_REQUEST), "BadRequest");
        assert_eq!(
            dotnet_name(StatusCode::INTERNAL_SERVER_ERROR),
            "InternalServerError"
        );
        assert_eq!(dotnet_name(StatusCode::from_u16(599).unwrap()), "599");
    }
}
