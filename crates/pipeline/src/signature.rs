//! How deliveries are signed, and how a receiver checks that.
//!
//! Two schemes, both HMAC-SHA256, on every delivery: that of the Standard Webhooks specification (over
//! `id.timestamp.body`, which also tells old copies), and a plain one over the body alone that any language checks in
//! one line.

use std::time::Duration;

use aws_lc_rs::{constant_time, hmac};
use base64::{
    Engine as _,
    alphabet::STANDARD as ALPHABET,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use http::{HeaderMap, HeaderName, HeaderValue};
use tidings_domain::{Secret, Timestamp, ids::EventId};

/// The event's id: the same at every attempt, so that a receiver can tell repetitions.
pub const ID: HeaderName = HeaderName::from_static("webhook-id");
/// When the attempt was made, in seconds since 1970.
pub const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
/// `v1,` and base64, one or more of them with blanks between.
pub const STANDARD_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
/// Lower-case hex.
pub const PLAIN_SIGNATURE: HeaderName = HeaderName::from_static("x-tidings-signature");

/// How far a timestamp may be from the receiver's time. The specification leaves it open; its libraries use this.
pub const TOLERANCE: Duration = Duration::from_mins(5);

/// What stands before the base64 of a secret.
const PREFIX: &str = "whsec_";

/// Both keys of a webhook's secret, ready for use.
#[derive(Clone)]
pub struct SigningKey {
    standard: hmac::Key,
    plain: hmac::Key,
}

/// A secret that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a webhook's secret is `whsec_` and base64, as it was shown when the webhook was created")]
pub struct InvalidSecret;

/// The signatures of one attempt, as header values.
#[derive(Clone, Debug)]
pub struct Signatures {
    /// For [`ID`].
    pub id: HeaderValue,
    /// For [`TIMESTAMP`].
    pub timestamp: HeaderValue,
    /// For [`STANDARD_SIGNATURE`].
    pub standard: HeaderValue,
    /// For [`PLAIN_SIGNATURE`].
    pub plain: HeaderValue,
}

/// Which signatures a delivery carries. All of them are right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Whether it has that of Standard Webhooks.
    pub standard: bool,
    /// Whether it has the plain one.
    pub plain: bool,
}

/// Why a delivery is not to be believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unverified {
    /// A header that the scheme needs is missing, or no text.
    #[error("the header `{0}` is missing or no text")]
    Header(HeaderName),
    /// There is no signature.
    #[error("there is neither a `webhook-signature` nor an `x-tidings-signature`")]
    NoSignature,
    /// No entry of `webhook-signature` has a version that is known.
    #[error("no entry of `webhook-signature` begins with `v1,`")]
    NoKnownVersion,
    /// The plain signature is another one.
    #[error(
        "`x-tidings-signature` does not match: another secret, or a body that is not byte for byte what was sent"
    )]
    Plain,
    /// None of the signatures of Standard Webhooks matches.
    #[error(
        "no entry of `webhook-signature` matches: another secret, id or timestamp, or a body that is not byte for byte what was sent"
    )]
    Standard,
    /// The timestamp is too far from now.
    #[error("`webhook-timestamp` is {} s {}: at most {} s are allowed, against copies sent again",
        .distance.as_secs(), if *.ahead { "in the future" } else { "old" }, TOLERANCE.as_secs())]
    Stale {
        /// How far.
        distance: Duration,
        /// Whether it is in the future.
        ahead: bool,
    },
    /// The timestamp is none.
    #[error("`webhook-timestamp` is not whole seconds since 1970")]
    Timestamp,
}

impl SigningKey {
    /// Reads a secret. The base64 may stand without `whsec_`, as the libraries of Standard Webhooks take it.
    pub fn new(secret: &Secret) -> Result<Self, InvalidSecret> {
        // Secrets are copied by hand, and padding gets lost.
        let lenient =
            GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let shown = secret.expose();
        let key = GeneralPurpose::new(&ALPHABET, lenient)
            .decode(shown.strip_prefix(PREFIX).unwrap_or(shown))
            .map_err(|_| InvalidSecret)?;
        // A key that anybody can guess.
        if key.is_empty() {
            return Err(InvalidSecret);
        }
        Ok(Self {
            standard: hmac::Key::new(hmac::HMAC_SHA256, &key),
            plain: hmac::Key::new(hmac::HMAC_SHA256, shown.as_bytes()),
        })
    }

    /// Signs an attempt to deliver `event` with `body` at `at`.
    pub fn sign(&self, event: EventId, at: Timestamp, body: &[u8]) -> Signatures {
        self.sign_text(&event.to_string(), at.as_seconds(), body)
    }

    fn sign_text(&self, id: &str, seconds: i64, body: &[u8]) -> Signatures {
        let timestamp = seconds.to_string();
        let mut entry = String::with_capacity(48);
        entry.push_str("v1,");
        let tag = self.standard_tag(id, &timestamp, body);
        STANDARD.encode_string(tag.as_ref(), &mut entry);
        Signatures {
            id: value(id.to_owned()),
            timestamp: value(timestamp),
            standard: value(entry),
            plain: value(hex(hmac::sign(&self.plain, body).as_ref())),
        }
    }

    /// Checks every signature in `headers`, of which there must be one, and unless `now` is `None` (a delivery kept in a
    /// file) that its timestamp is near.
    pub fn verify(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: Option<Timestamp>,
    ) -> Result<Verified, Unverified> {
        let (standard, plain) = (
            headers.contains_key(STANDARD_SIGNATURE),
            headers.contains_key(PLAIN_SIGNATURE),
        );
        if !standard && !plain {
            return Err(Unverified::NoSignature);
        }
        if standard {
            self.verify_standard(headers, body, now)?;
        }
        if plain {
            let given = text(headers, PLAIN_SIGNATURE)?;
            let right = hex(hmac::sign(&self.plain, body).as_ref());
            if !equal(given.as_bytes(), right.as_bytes()) {
                return Err(Unverified::Plain);
            }
        }
        Ok(Verified { standard, plain })
    }

    fn verify_standard(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: Option<Timestamp>,
    ) -> Result<(), Unverified> {
        let id = text(headers, ID)?;
        let timestamp = text(headers, TIMESTAMP)?;
        let entries = text(headers, STANDARD_SIGNATURE)?;
        let seconds: i64 = timestamp.parse().map_err(|_| Unverified::Timestamp)?;
        if let Some(now) = now {
            let then = Timestamp::from_millis(seconds.saturating_mul(1_000));
            let distance = now.since(then).max(now.until(then));
            if distance > TOLERANCE {
                let ahead = then > now;
                return Err(Unverified::Stale { distance, ahead });
            }
        }
        let right = STANDARD.encode(self.standard_tag(id, timestamp, body));
        let mut known = entries
            .split_ascii_whitespace()
            .filter_map(|entry| entry.strip_prefix("v1,"))
            .peekable();
        if known.peek().is_none() {
            return Err(Unverified::NoKnownVersion);
        }
        known
            .any(|given| equal(given.as_bytes(), right.as_bytes()))
            .then_some(())
            .ok_or(Unverified::Standard)
    }

    fn standard_tag(&self, id: &str, timestamp: &str, body: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.standard);
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            context.update(part);
        }
        context.sign()
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Result<&str, Unverified> {
    headers
        .get(&name)
        .and_then(|value| value.to_str().ok())
        .ok_or(Unverified::Header(name))
}

fn value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("invariant: ids, numbers, base64 and hex are visible ASCII")
}

fn equal(given: &[u8], right: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(given, right).is_ok()
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 0xf)]));
    }
    text
}

#[cfg(test)]
mod tests;
