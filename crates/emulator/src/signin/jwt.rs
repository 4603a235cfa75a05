//! Access tokens: they look like Entra's, and only their maker can read trust into them.

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tidings_domain::{Entropy, Timestamp};
use uuid::Uuid;

/// Makes and reads access tokens. To clients they are opaque, as Entra's for Graph are.
#[derive(Debug)]
pub(crate) struct Signer {
    key: hmac::Key,
}

/// What a token says.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Claims {
    /// The tenant.
    pub(crate) tid: Uuid,
    /// The app.
    pub(crate) appid: Uuid,
    /// What it may do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) roles: Vec<String>,
    /// Until when, in seconds since 1970.
    pub(crate) exp: i64,
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidToken {
    /// Its life is over.
    #[error("Lifetime validation failed, the token is expired.")]
    Expired,
    /// It is no token of ours.
    #[error("IDX14100: JWT is not well formed or its signature is invalid.")]
    Malformed,
}

impl Signer {
    /// A signer with a key of its own: tokens of another emulator are not taken.
    pub(crate) fn new(entropy: &dyn Entropy) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &entropy.bytes::<32>()),
        }
    }

    /// A token that says `claims`, made at `now`.
    pub(crate) fn issue(&self, claims: &Claims, now: Timestamp, unique: Uuid) -> String {
        let head = json!({"typ": "JWT", "alg": "HS256", "kid": "tidings-emulator"});
        let mut body = json!({
            "aud": "https://graph.microsoft.com",
            "iss": format!("https://sts.windows.net/{}/", claims.tid),
            "iat": now.as_seconds(),
            "nbf": now.as_seconds(),
            "exp": claims.exp,
            "appid": claims.appid,
            "appidacr": "1",
            "idtyp": "app",
            "tid": claims.tid,
            "uti": unique,
            "ver": "1.0",
        });
        if !claims.roles.is_empty() {
            body["roles"] = json!(claims.roles);
        }
        let signed = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(head.to_string()),
            URL_SAFE_NO_PAD.encode(body.to_string())
        );
        let tag = hmac::sign(&self.key, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))
    }

    /// What a token says, if it is ours and alive.
    pub(crate) fn read(&self, token: &str, now: Timestamp) -> Result<Claims, InvalidToken> {
        let (signed, tag) = token.rsplit_once('.').ok_or(InvalidToken::Malformed)?;
        let tag = URL_SAFE_NO_PAD
            .decode(tag)
            .map_err(|_| InvalidToken::Malformed)?;
        hmac::verify(&self.key, signed.as_bytes(), &tag).map_err(|_| InvalidToken::Malformed)?;
        let (_, body) = signed.split_once('.').ok_or(InvalidToken::Malformed)?;
        let body = URL_SAFE_NO_PAD
            .decode(body)
            .map_err(|_| InvalidToken::Malformed)?;
        let claims: Claims = serde_json::from_slice(&body).map_err(|_| InvalidToken::Malformed)?;
        if now.as_seconds() >= claims.exp {
            return Err(InvalidToken::Expired);
        }
        Ok(claims)
    }
}

#[cfg(test)]
mod tests {
    use tidings_domain::entropy::SeededEntropy;

    use super::*;

    fn claims() -> Claims {
        Claims {
            tid: Uuid::from_u128(1),
            appid: Uuid::from_u128(2),
            roles: vec!["Mail.Read".into()],
            exp: 100,
        }
    }

    #[test]
    fn a_token_is_read_until_it_expires() {
        let signer = Signer::new(&SeededEntropy::new(1));
        let token = signer.issue(&claims(), Timestamp::from_millis(0), Uuid::nil());
        assert_eq!(
            signer.read(&token, Timestamp::from_millis(99_999)),
            Ok(claims())
        );
        assert_eq!(
            signer.read(&token, Timestamp::from_millis(100_000)),
            Err(InvalidToken::Expired)
        );
    }

    #[test]
    fn a_token_of_another_signer_or_with_another_body_is_refused() {
        let signer = Signer::new(&SeededEntropy::new(1));
        let other = Signer::new(&SeededEntropy::new(2));
        let now = Timestamp::from_millis(0);
        let token = other.issue(&claims(), now, Uuid::nil());
        assert_eq!(signer.read(&token, now), Err(InvalidToken::Malformed));
        let token = signer.issue(&claims(), now, Uuid::nil());
        let mut parts = token.split('.').collect::<Vec<_>>();
        let forged = URL_SAFE_NO_PAD.encode(
            json!({"tid": Uuid::nil(), "appid": Uuid::nil(), "exp": 1_000_000}).to_string(),
        );
        parts[1] = &forged;
        assert_eq!(
            signer.read(&parts.join("."), now),
            Err(InvalidToken::Malformed)
        );
        assert_eq!(signer.read("", now), Err(InvalidToken::Malformed));
    }
}
