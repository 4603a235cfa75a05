//! The notification URL: what Graph talks to.
//!
//! The handshake is answered from the request alone. A POST of notifications is answered 202 after the commit and never
//! before, and 503 at once when the store cannot take it: Graph then sends it again, for four hours.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Response, StatusCode,
    header::{ALLOW, CONNECTION, CONTENT_TYPE, EXPECT, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS},
    request::Parts,
};
use http_body_util::{Either, Full};
use tidings_domain::{ids::EnvironmentId, integration::IntegrationKey, notification::Verdict};
use tidings_pipeline::{answers, gateway::Gateway, ingest::IngestError};

use crate::listen::{
    Answer,
    body::{self, Budget, Refused, Timed},
};

/// What every notification URL begins with.
pub(crate) const PREFIX: &str = "/webhook/";
/// What follows the integration's key in the URL of lifecycle notifications.
const LIFECYCLE: &str = "lifecycle";
/// The query parameter that makes a POST a handshake (Microsoft's "Receive change notifications through webhooks" page).
const TOKEN: &[u8] = b"validationToken";
/// The longest token that is answered, in bytes. Graph's have 117; anybody can send longer ones.
const LONGEST_TOKEN: usize = 2 * 1024;
/// When Graph, or whoever posts, is asked to come again.
const RETRY_SECONDS: &str = "5";

/// Answers for the notification URLs.
#[derive(Debug)]
pub(crate) struct Public {
    gateway: Arc<Gateway>,
    bodies: Arc<Budget>,
}

impl Public {
    pub(crate) fn new(gateway: Arc<Gateway>, bodies: Arc<Budget>) -> Self {
        Self { gateway, bodies }
    }

    /// Answers the request with this head and body; its path begins with [`PREFIX`].
    pub(crate) async fn answer(&self, head: &Parts, body: Timed) -> Answer {
        let Some((environment, key)) = head
            .uri
            .path()
            .strip_prefix(PREFIX)
            .and_then(read_destination)
        else {
            return self.refuse(StatusCode::NOT_FOUND, "there is no such notification URL");
        };
        if head.method != Method::POST {
            let mut answer = self.refuse(
                StatusCode::METHOD_NOT_ALLOWED,
                "notifications are sent by POST",
            );
            answer
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static("POST"));
            return answer;
        }
        if let Some(token) = head.uri.query().and_then(token) {
            return self.handshake(token);
        }
        let expects = head.headers.contains_key(EXPECT);
        let limit = self.gateway.config.ingest.max_body_bytes;
        let body = match body::read(body, limit, &self.bodies, expects).await {
            Ok(body) => body,
            Err(refused) => return self.refuse_body(&refused),
        };
        let began = self.gateway.clock.monotonic();
        // Should Graph give up meanwhile, this future is dropped: what it waited for counts all the same.
        let mut waiting = Waiting {
            gateway: &self.gateway,
            began,
            is_graph: None,
        };
        let (status, detail) = match self
            .gateway
            .ingest
            .receive(environment, key, body.bytes.clone())
            .await
        {
            Ok(receipt) => {
                let is_believed = |verdict: &Verdict| !verdict.is_rejection();
                waiting.is_graph = Some(receipt.verdicts.iter().any(is_believed));
                (StatusCode::ACCEPTED, String::new())
            }
            Err(error) => {
                waiting.is_graph = Some(matches!(error, IngestError::Busy(_)));
                let status = match &error {
                    IngestError::Busy(cause) => {
                        tracing::warn!(%cause, "notifications were not taken: Graph is asked to send them again");
                        StatusCode::SERVICE_UNAVAILABLE
                    }
                    IngestError::Malformed { .. } => StatusCode::BAD_REQUEST,
                    IngestError::TooMany => StatusCode::PAYLOAD_TOO_LARGE,
                    IngestError::UnknownDestination => StatusCode::NOT_FOUND,
                };
                (status, error.to_string())
            }
        };
        let took = self.gateway.clock.monotonic().saturating_sub(began);
        self.gateway.metrics.ingest.post(status.as_u16(), took);
        answer(status, detail)
    }

    /// The token as it was meant, and nothing that a browser could take for a page.
    fn handshake(&self, token: Vec<u8>) -> Answer {
        if token.len() > LONGEST_TOKEN {
            return self.refuse(StatusCode::BAD_REQUEST, "the validation token is too long");
        }
        self.gateway.metrics.ingest.handshake();
        text(StatusCode::OK, Bytes::from(token))
    }

    fn refuse_body(&self, refused: &Refused) -> Answer {
        let mut answer = match refused {
            Refused::Broken => self.refuse(StatusCode::BAD_REQUEST, "the body broke off"),
            Refused::NoRoom => self.refuse(
                StatusCode::SERVICE_UNAVAILABLE,
                "too many large bodies at once: send it again",
            ),
            Refused::TooSlow => {
                self.refuse(StatusCode::REQUEST_TIMEOUT, "the body did not come in time")
            }
            Refused::TooLarge => {
                self.refuse(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large")
            }
        };
        // What was not read of it would be taken for the next request.
        answer
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
        answer
    }

    fn refuse(&self, status: StatusCode, detail: &str) -> Answer {
        self.gateway.metrics.ingest.refused(status.as_u16());
        answer(status, detail.to_owned())
    }
}

/// Somebody waits for an answer to notifications; counted at the end if that is Graph.
struct Waiting<'a> {
    gateway: &'a Gateway,
    began: Duration,
    /// Whether it was Graph, as far as what it sent shows; `None` while it waits.
    is_graph: Option<bool>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let took = self.gateway.clock.monotonic().saturating_sub(self.began);
        // What strangers send neither makes answers slow nor hides that they are. Of whom did not wait it is not known:
        // it counts for the worse.
        if self.is_graph.unwrap_or(took > answers::SLOW) {
            self.gateway.answers.note(took);
        }
    }
}

/// An answer without a body, or with a sentence for whoever looks into it.
fn answer(status: StatusCode, detail: String) -> Answer {
    if detail.is_empty() {
        let mut answer = Response::new(Either::Left(Full::default()));
        *answer.status_mut() = status;
        return answer;
    }
    let mut answer = text(status, Bytes::from(detail + "\n"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        answer
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from_static(RETRY_SECONDS));
    }
    answer
}

fn text(status: StatusCode, body: Bytes) -> Answer {
    let mut answer = Response::new(Either::Left(Full::new(body)));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

/// `{environment}/{integration}`, with or without `/lifecycle`: the shape alone, whether or not they exist.
fn read_destination(destination: &str) -> Option<(EnvironmentId, &str)> {
    let mut parts = destination.split('/');
    let environment = parts.next().filter(|text| text.len() == 36)?.parse().ok()?;
    let key = parts.next()?;
    key.parse::<IntegrationKey>().ok()?;
    match (parts.next(), parts.next()) {
        (None | Some(LIFECYCLE), None) => Some((environment, key)),
        _ => None,
    }
}

/// The validation token of a query, decoded as a form is (a plus is a blank), byte for byte.
fn token(query: &str) -> Option<Vec<u8>> {
    query.split('&').find_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name) == TOKEN).then(|| decode(value))
    })
}

/// Decodes as `application/x-www-form-urlencoded` (WHATWG's URL standard): what is no `%` and two digits stays.
fn decode(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut place = 0;
    while let Some(&byte) = bytes.get(place) {
        place += 1;
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => match (hex(bytes.get(place)), hex(bytes.get(place + 1))) {
                (Some(high), Some(low)) => {
                    place += 2;
                    high << 4 | low
                }
                _ => b'%',
            },
            other => other,
        });
    }
    decoded
}

fn hex(byte: Option<&u8>) -> Option<u8> {
    let digit = char::from(*byte?).to_digit(16)?;
    u8::try_from(digit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_decoded_as_forms_are() {
        for (query, decoded) in [
            (
                "validationToken=Validation%3a+Testing",
                Some(&b"Validation: Testing"[..]),
            ),
            ("a=1&validationToken=x%2By%20z&b=2", Some(b"x+y z")),
            ("validation%54oken=x", Some(b"x")),
            ("validationToken=%", Some(b"%")),
            ("validationToken=%zz%4", Some(b"%zz%4")),
            ("validationToken=%ff%00", Some(b"\xff\0")),
            ("validationToken=%3Cscript%3E", Some(b"<script>")),
            ("validationToken=", Some(b"")),
            ("validationToken", Some(b"")),
            ("validationToken=one&validationToken=two", Some(b"one")),
            ("validationTokens=x", None),
            ("", None),
        ] {
            assert_eq!(token(query).as_deref(), decoded, "{query}");
        }
    }

    #[test]
    fn a_destination_has_the_shape_of_one() {
        let environment = "0d6e7a4e-5b3f-4f0a-9c61-7f7a4f0f6a11";
        for good in ["/mail", "/mail/lifecycle", "/microsoft-oauth2-cc"] {
            assert!(
                read_destination(&format!("{environment}{good}")).is_some(),
                "{good}"
            );
        }
        for bad in [
            "",
            "/",
            "/mail/",
            "/mail/x",
            "/Mail",
            "/mail/lifecycle/",
            "/mail/lifecycle/x",
            "/a%20b",
        ] {
            assert!(
                read_destination(&format!("{environment}{bad}")).is_none(),
                "{bad}"
            );
        }
        assert!(read_destination("0d6e7a4e5b3f4f0a9c617f7a4f0f6a11/mail").is_none());
    }
}
