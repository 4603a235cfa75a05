//! Answers of the token endpoint (Microsoft's "OAuth 2.0 client credentials flow" page).

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use tidings_domain::Secret;

use super::text::{Member, or_empty};

/// What a granted token request is answered with.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct TokenAnswer {
    /// `Bearer`.
    pub token_type: String,
    /// How long the token lasts, in seconds.
    #[serde(deserialize_with = "seconds")]
    pub expires_in: u64,
    /// How long it lasts while the sign-in is down, in seconds.
    #[serde(
        default,
        deserialize_with = "maybe_seconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub ext_expires_in: Option<u64>,
    /// The token.
    #[serde(serialize_with = "expose")]
    pub access_token: Secret,
}

/// What a refused token request is answered with.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct TokenErrorAnswer {
    /// The error's word of RFC 6749, such as `invalid_client`.
    #[serde(default)]
    pub error: String,
    /// A sentence that begins with the AADSTS number.
    #[serde(default)]
    pub error_description: String,
    /// The AADSTS numbers.
    #[serde(default)]
    pub error_codes: Vec<u32>,
    /// When; not RFC 3339.
    #[serde(
        default,
        deserialize_with = "or_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub timestamp: Option<String>,
    /// For Microsoft's support.
    #[serde(
        default,
        deserialize_with = "or_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub trace_id: Option<String>,
    /// For Microsoft's support.
    #[serde(
        default,
        deserialize_with = "or_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub correlation_id: Option<String>,
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    maybe_seconds(deserializer)?.ok_or_else(|| de::Error::custom("the token's lifetime is missing"))
}

/// Seconds as a number, or as text, which the older endpoint sends.
fn maybe_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let number = match Member::deserialize(deserializer)? {
        Member::Absent => return Ok(None),
        Member::Number(number) => u64::try_from(number).ok(),
        Member::Text(text) => text.trim().parse().ok(),
        Member::Other => None,
    };
    number
        .map(Some)
        .ok_or_else(|| de::Error::custom("a lifetime is a number of seconds"))
}

fn expose<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_with_its_lifetime_in_either_form() {
        for lifetime in ["3599", "\"3599\""] {
            let json = format!(
                r#"{{"token_type":"Bearer","expires_in":{lifetime},"ext_expires_in":null,"access_token":"abc","x":1}}"#
            );
            let answer: TokenAnswer = serde_json::from_str(&json).unwrap();
            assert_eq!(answer.expires_in, 3_599);
            assert!(!format!("{answer:?}").contains("abc"));
        }
    }

    #[test]
    fn an_error_may_be_as_short_as_rfc_6749_allows() {
        let answer: TokenErrorAnswer =
            serde_json::from_str(r#"{"error":"invalid_client"}"#).unwrap();
        assert_eq!(answer.error, "invalid_client");
        assert!(answer.error_codes.is_empty());
    }
}
