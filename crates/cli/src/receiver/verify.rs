//! Verifies the signatures of a delivery, and where one is wrong, looks for what most likely happened to it.

use http::{HeaderMap, HeaderValue};
use serde::Serialize;
use tidings_domain::{Secret, Timestamp};
use tidings_pipeline::signature::{InvalidSecret, PLAIN_SIGNATURE, SigningKey, Unverified};

/// A scheme of signing.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// Header `x-tidings-signature`.
    Plain,
    /// Header `webhook-signature`, of Standard Webhooks.
    StandardWebhooks,
}

/// Why a delivery is not to be believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// The secret cannot be one.
    #[error(transparent)]
    Secret(#[from] InvalidSecret),
    /// A signature is wrong, and something that often happens explains it.
    #[error("{header} would match, but {advice}")]
    Explained {
        /// Which header.
        header: &'static str,
        /// What happened.
        advice: &'static str,
    },
    /// A signature is wrong.
    #[error(transparent)]
    Signature(#[from] Unverified),
}

/// Checks every signature in `headers`, of which there must be one; gives their schemes. With `now` the timestamp must
/// be near, too.
pub fn verify(
    secret: &Secret,
    headers: &HeaderMap,
    body: &[u8],
    now: Option<Timestamp>,
) -> Result<Vec<Scheme>, Wrong> {
    match SigningKey::new(secret)?.verify(headers, body, now) {
        Ok(verified) => {
            let schemes = [
                (verified.standard, Scheme::StandardWebhooks),
                (verified.plain, Scheme::Plain),
            ];
            Ok(schemes
                .into_iter()
                .filter_map(|(there, scheme)| there.then_some(scheme))
                .collect())
        }
        Err(unverified) => {
            Err(explain(secret, headers, body, &unverified).unwrap_or(Wrong::Signature(unverified)))
        }
    }
}

/// What often happens to secrets, headers and bodies on their way into a check.
fn explain(
    secret: &Secret,
    headers: &HeaderMap,
    body: &[u8],
    unverified: &Unverified,
) -> Option<Wrong> {
    let header = match unverified {
        Unverified::Plain => "`x-tidings-signature`",
        Unverified::Standard => "`webhook-signature`",
        _ => return None,
    };
    // Whether the header that is wrong now would be right.
    let matches = |secret: &Secret, headers: &HeaderMap, body: &[u8]| {
        SigningKey::new(secret)
            .is_ok_and(|key| key.verify(headers, body, None).as_ref() != Err(unverified))
    };
    let explained = |advice| Some(Wrong::Explained { header, advice });

    let unended = body.strip_suffix(b"\n").unwrap_or(body);
    let unended = unended.strip_suffix(b"\r").unwrap_or(unended);
    if unended.len() != body.len() && matches(secret, headers, unended) {
        return explained(
            "the payload ends with a line break that was not sent: an editor or `echo` adds one",
        );
    }
    if *unverified == Unverified::Plain {
        let whole = Secret::new(format!("whsec_{}", secret.expose()));
        if matches(&whole, headers, body) {
            return explained("its key is the secret as it was shown, with `whsec_`");
        }
        if matches(secret, &lower_case(headers), body) {
            return explained("it is written in lower-case hex");
        }
    }
    None
}

fn lower_case(headers: &HeaderMap) -> HeaderMap {
    let mut lower = headers.clone();
    if let Some(value) = lower.get_mut(PLAIN_SIGNATURE) {
        let text = value.as_bytes().to_ascii_lowercase();
        if let Ok(text) = HeaderValue::from_bytes(&text) {
            *value = text;
        }
    }
    lower
}

#[cfg(test)]
mod tests {
    use tidings_pipeline::signature::{ID, STANDARD_SIGNATURE, TIMESTAMP};

    use super::*;

    // The first test vector of the Standard Webhooks specification, and the same body signed by
    // openssl dgst -sha256 -hmac "$SECRET".
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const PLAIN: &str = "80ec8a89ce3cd22133a1066caecb4d04fea7467657c8514d717ec42c38a5c94c";

    fn headers(plain: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            (ID, "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            (TIMESTAMP, "1614265330"),
            (
                STANDARD_SIGNATURE,
                "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            ),
            (PLAIN_SIGNATURE, plain),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers
    }

    fn check(secret: &str, headers: &HeaderMap, body: &[u8]) -> Result<Vec<Scheme>, String> {
        verify(&Secret::new(secret), headers, body, None).map_err(|wrong| wrong.to_string())
    }

    #[test]
    fn both_schemes_are_told() {
        assert_eq!(
            check(SECRET, &headers(PLAIN), BODY),
            Ok(vec![Scheme::StandardWebhooks, Scheme::Plain])
        );
        let mut only_plain = headers(PLAIN);
        only_plain.remove(STANDARD_SIGNATURE);
        assert_eq!(check(SECRET, &only_plain, BODY), Ok(vec![Scheme::Plain]));
    }

    #[test]
    fn what_often_happens_is_explained() {
        let mut with_line_end = BODY.to_vec();
        with_line_end.extend(b"\r\n");
        let wrong = check(SECRET, &headers(PLAIN), &with_line_end).unwrap_err();
        assert!(wrong.starts_with("`webhook-signature`"), "{wrong}");
        assert!(wrong.contains("line break"), "{wrong}");

        let bare = SECRET.strip_prefix("whsec_").unwrap();
        let wrong = check(bare, &headers(PLAIN), BODY).unwrap_err();
        assert!(wrong.contains("with `whsec_`"), "{wrong}");

        let upper: &'static str = PLAIN.to_uppercase().leak();
        let wrong = check(SECRET, &headers(upper), BODY).unwrap_err();
        assert!(wrong.contains("lower-case"), "{wrong}");
    }

    #[test]
    fn what_nothing_explains_stays_as_it_is() {
        for (secret, body) in [
            (SECRET, &br#"{"test":2432232314}"#[..]),
            ("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", BODY),
        ] {
            let wrong = check(secret, &headers(PLAIN), body).unwrap_err();
            assert!(wrong.contains("byte for byte"), "{wrong}");
        }
        assert!(check("whsec_!", &headers(PLAIN), BODY).is_err());
    }
}
