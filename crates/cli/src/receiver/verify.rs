//! Verifies the signatures of a delivery, and says what is wrong with them.
//!
//! Two schemes, both HMAC-SHA256: Standard Webhooks (`webhook-signature`, over `id.timestamp.body`, key = what the base64
//! after `whsec_` says) and the plain one (`x-tidings-signature`, over the body alone, key = the secret as it is shown).

use std::{fmt::Write as _, time::Duration};

use aws_lc_rs::{constant_time, hmac};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::HeaderMap;
use serde::Serialize;
use tidings_domain::{Secret, Timestamp};

/// How far a delivery's timestamp may be from now (the libraries of Standard Webhooks use the same): what is older may
/// be a copy that somebody sends again.
pub const TOLERANCE: Duration = Duration::from_mins(5);

/// What a delivery says of its signatures.
#[derive(Clone, Debug, Default)]
pub struct Signatures {
    /// `webhook-id`.
    pub id: Option<String>,
    /// `webhook-timestamp`: seconds since 1970.
    pub timestamp: Option<String>,
    /// `webhook-signature`.
    pub standard: Option<String>,
    /// `x-tidings-signature`, and `x-tidings-signature-previous` while the secret is changed.
    pub plain: Vec<String>,
}

impl Signatures {
    /// What `headers` say.
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let mut signatures = Self::default();
        for (name, value) in headers {
            // Bytes outside ASCII are in no signature; as a text they will simply not match.
            signatures.set(name.as_str(), &String::from_utf8_lossy(value.as_bytes()));
        }
        signatures
    }

    /// Takes one header, if it is about signatures; otherwise answers `false`.
    pub fn set(&mut self, name: &str, value: &str) -> bool {
        let value = value.trim().to_owned();
        match name.trim().to_ascii_lowercase().as_str() {
            "webhook-id" => self.id = Some(value),
            "webhook-timestamp" => self.timestamp = Some(value),
            "webhook-signature" => self.standard = Some(value),
            "x-tidings-signature" | "x-tidings-signature-previous" => self.plain.push(value),
            _ => return false,
        }
        true
    }
}

/// A scheme of signing.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// Header `x-tidings-signature`.
    Plain,
    /// Header `webhook-signature`, of Standard Webhooks.
    StandardWebhooks,
}

/// A delivery whose every signature is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The schemes it is signed by.
    pub schemes: Vec<Scheme>,
}

/// What is wrong with the signatures of a delivery.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// A header without which the scheme cannot be checked.
    #[error("`webhook-signature` needs the header `{0}`, which is missing")]
    Header(&'static str),
    /// No signature matches.
    #[error("`{header}` does not match: {why}")]
    Mismatch {
        /// Which header.
        header: &'static str,
        /// Why, as far as that can be seen.
        why: String,
    },
    /// There is no signature at all.
    #[error("there is neither a `webhook-signature` nor an `x-tidings-signature`")]
    None,
    /// The secret cannot be one.
    #[error("the secret must be `whsec_` and base64, as it was shown when the webhook was created")]
    Secret,
    /// The timestamp is too far from now.
    #[error(
        "`webhook-timestamp` is {seconds} s {direction}: more than {} s are allowed, against copies sent again",
        TOLERANCE.as_secs()
    )]
    Stale {
        /// How far.
        seconds: u64,
        /// To which side: `old`, `in the future`.
        direction: &'static str,
    },
    /// The timestamp is none.
    #[error("`webhook-timestamp` must be whole seconds since 1970, not `{0}`")]
    Timestamp(String),
}

/// Checks every signature that is there; at least one must be.
pub fn verify(secret: &Secret, signatures: &Signatures, body: &[u8]) -> Result<Verified, Wrong> {
    let mut schemes = Vec::new();
    if let Some(list) = &signatures.standard {
        standard(secret, signatures, list, body)?;
        schemes.push(Scheme::StandardWebhooks);
    }
    if !signatures.plain.is_empty() {
        plain(secret, &signatures.plain, body)?;
        schemes.push(Scheme::Plain);
    }
    if schemes.is_empty() {
        return Err(Wrong::None);
    }
    Ok(Verified { schemes })
}

/// Checks that the signed time is near `now`. A delivery without `webhook-signature` has none.
pub fn fresh(signatures: &Signatures, now: Timestamp) -> Result<(), Wrong> {
    if signatures.standard.is_none() {
        return Ok(());
    }
    let then = Timestamp::from_millis(seconds(signatures)?.saturating_mul(1_000));
    let (behind, ahead) = (now.since(then), then.since(now));
    let (distance, direction) = if behind > ahead {
        (behind, "old")
    } else {
        (ahead, "in the future")
    };
    if distance > TOLERANCE {
        return Err(Wrong::Stale {
            seconds: distance.as_secs(),
            direction,
        });
    }
    Ok(())
}

fn seconds(signatures: &Signatures) -> Result<i64, Wrong> {
    let text = signatures
        .timestamp
        .as_deref()
        .ok_or(Wrong::Header("webhook-timestamp"))?;
    text.parse()
        .map_err(|_| Wrong::Timestamp(text.chars().take(32).collect()))
}

fn standard(
    secret: &Secret,
    signatures: &Signatures,
    list: &str,
    body: &[u8],
) -> Result<(), Wrong> {
    let id = signatures
        .id
        .as_deref()
        .ok_or(Wrong::Header("webhook-id"))?;
    seconds(signatures)?;
    let timestamp = signatures.timestamp.as_deref().unwrap_or_default();
    let base = secret.expose();
    let key = STANDARD
        .decode(base.strip_prefix("whsec_").unwrap_or(base))
        .ok()
        .filter(|key| !key.is_empty())
        .ok_or(Wrong::Secret)?;
    let tag = |body: &[u8]| {
        let head = format!("{id}.{timestamp}.");
        STANDARD.encode(mac(&key, &[head.as_bytes(), body]))
    };
    let given: Vec<&str> = list
        .split_ascii_whitespace()
        .filter_map(|entry| entry.strip_prefix("v1,"))
        .collect();
    let matches = |body: &[u8]| given.iter().any(|entry| equal(entry, &tag(body)));
    if matches(body) {
        return Ok(());
    }
    let why = if given.is_empty() {
        "no entry begins with `v1,`".to_owned()
    } else {
        why(body, matches)
    };
    Err(Wrong::Mismatch {
        header: "webhook-signature",
        why,
    })
}

fn plain(secret: &Secret, given: &[String], body: &[u8]) -> Result<(), Wrong> {
    let tag = |key: &str, body: &[u8]| hex(&mac(key.as_bytes(), &[body]));
    let matches = |body: &[u8]| {
        let tag = tag(secret.expose(), body);
        given.iter().any(|entry| equal(entry, &tag))
    };
    if matches(body) {
        return Ok(());
    }
    let whole = tag(&format!("whsec_{}", secret.expose()), body);
    let why = if given.iter().any(|entry| equal(entry, &whole)) {
        "the key is the secret as it was shown, with `whsec_`".to_owned()
    } else if given
        .iter()
        .any(|entry| entry.len() == 64 && entry.bytes().any(|byte| byte.is_ascii_uppercase()))
    {
        "it is written in lower-case hex".to_owned()
    } else if given.iter().all(|entry| entry.len() != 64) {
        "it is 64 characters of hex".to_owned()
    } else {
        why(body, matches)
    };
    Err(Wrong::Mismatch {
        header: "x-tidings-signature",
        why,
    })
}

/// What most likely happened to a body that does not match.
fn why(body: &[u8], matches: impl Fn(&[u8]) -> bool) -> String {
    let without_line_end = body.strip_suffix(b"\n").unwrap_or(body);
    let without_line_end = without_line_end
        .strip_suffix(b"\r")
        .unwrap_or(without_line_end);
    if without_line_end.len() != body.len() && matches(without_line_end) {
        return "the payload ends with a line break that was not sent (an editor or `echo` adds one)"
            .to_owned();
    }
    "another secret, id or timestamp, or a payload that is not byte for byte what was sent (parsed and written anew?)"
        .to_owned()
}

fn mac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for part in parts {
        context.update(part);
    }
    context.sign().as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn equal(a: &str, b: &str) -> bool {
    constant_time::verify_slices_are_equal(a.as_bytes(), b.as_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    // The test vectors of the Standard Webhooks specification and of its Rust library.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;

    fn signed() -> Signatures {
        Signatures {
            id: Some("msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned()),
            timestamp: Some("1614265330".to_owned()),
            standard: Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=".to_owned()),
            plain: Vec::new(),
        }
    }

    fn check(signatures: &Signatures, body: &[u8]) -> Result<Verified, Wrong> {
        verify(&Secret::new(SECRET), signatures, body)
    }

    #[test]
    fn the_vectors_of_standard_webhooks_match() {
        assert_eq!(
            check(&signed(), BODY).unwrap().schemes,
            [Scheme::StandardWebhooks]
        );
        let other = Signatures {
            id: Some("msg_27UH4WbU6Z5A5EzD8u03UvzRbpk".to_owned()),
            timestamp: Some("1649367553".to_owned()),
            standard: Some("v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=".to_owned()),
            plain: Vec::new(),
        };
        let secret = Secret::new("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD");
        let body = br#"{"email":"test@example.com","username":"test_user"}"#;
        assert!(verify(&secret, &other, body).is_ok());
        let bare = Secret::new("C2FVsBQIhrscChlQIMV+b5sSYspob7oD");
        assert!(verify(&bare, &other, body).is_ok());
    }

    #[test]
    fn one_right_entry_among_others_is_enough() {
        let mut signatures = signed();
        signatures.standard = Some(format!(
            "v2,abc v1a,def v1,{} {}",
            STANDARD.encode([0; 32]),
            signatures.standard.unwrap()
        ));
        assert!(check(&signatures, BODY).is_ok());
    }

    #[test]
    fn every_signed_part_counts() {
        for change in [
            |s: &mut Signatures| s.id = Some("msg_other".to_owned()),
            |s: &mut Signatures| s.timestamp = Some("1614265331".to_owned()),
            |s: &mut Signatures| s.standard = Some(format!("v1,{}", STANDARD.encode([7; 32]))),
        ] {
            let mut signatures = signed();
            change(&mut signatures);
            assert!(
                matches!(check(&signatures, BODY), Err(Wrong::Mismatch { .. })),
                "{signatures:?}"
            );
        }
        assert!(check(&signed(), br#"{"test":2432232314}"#).is_err());
    }

    #[test]
    fn the_plain_scheme_signs_the_body_with_the_secret_as_shown() {
        // printf '{"test": 2432232314}' | openssl dgst -sha256 -hmac whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw
        let hex = "80ec8a89ce3cd22133a1066caecb4d04fea7467657c8514d717ec42c38a5c94c";
        let signatures = |value: &str| Signatures {
            plain: vec![value.to_owned()],
            ..Signatures::default()
        };
        assert_eq!(
            check(&signatures(hex), BODY).unwrap().schemes,
            [Scheme::Plain]
        );
        let upper = check(&signatures(&hex.to_uppercase()), BODY).unwrap_err();
        assert!(upper.to_string().contains("lower-case"), "{upper}");
        let bare = Secret::new(SECRET.strip_prefix("whsec_").unwrap());
        let bare = verify(&bare, &signatures(hex), BODY).unwrap_err();
        assert!(bare.to_string().contains("with `whsec_`"), "{bare}");
        let mut rotating = signatures(&"0".repeat(64));
        rotating.plain.push(hex.to_owned());
        assert!(check(&rotating, BODY).is_ok());
    }

    #[test]
    fn both_must_match_where_both_are_given() {
        let mut signatures = signed();
        signatures.plain.push("0".repeat(64));
        assert!(check(&signatures, BODY).is_err());
    }

    #[test]
    fn what_is_wrong_is_said() {
        let mut with_line_end = BODY.to_vec();
        with_line_end.extend(b"\r\n");
        let wrong = check(&signed(), &with_line_end).unwrap_err();
        assert!(wrong.to_string().contains("line break"), "{wrong}");

        assert_eq!(check(&Signatures::default(), BODY), Err(Wrong::None));
        let mut signatures = signed();
        signatures.id = None;
        assert_eq!(check(&signatures, BODY), Err(Wrong::Header("webhook-id")));
        signatures = signed();
        signatures.timestamp = Some("now".to_owned());
        assert_eq!(
            check(&signatures, BODY),
            Err(Wrong::Timestamp("now".to_owned()))
        );
        assert_eq!(
            verify(&Secret::new("whsec_!"), &signed(), BODY),
            Err(Wrong::Secret)
        );
    }

    #[test]
    fn old_and_future_deliveries_are_not_fresh() {
        let at = |seconds: i64| Timestamp::from_millis((1_614_265_330 + seconds) * 1_000);
        assert_eq!(fresh(&signed(), at(299)), Ok(()));
        assert_eq!(fresh(&signed(), at(-299)), Ok(()));
        assert!(matches!(
            fresh(&signed(), at(301)),
            Err(Wrong::Stale {
                direction: "old",
                ..
            })
        ));
        assert!(matches!(
            fresh(&signed(), at(-301)),
            Err(Wrong::Stale {
                direction: "in the future",
                ..
            })
        ));
    }
}
