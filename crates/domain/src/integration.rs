//! One app registration in an environment.

use std::{fmt, str::FromStr};

use serde::{Serialize, Serializer};
use url::Url;

use crate::{
    Secret, Timestamp,
    ids::{EnvironmentId, IntegrationId},
};

/// One Entra app registration in an environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Integration {
    /// Its id.
    pub id: IntegrationId,
    /// Where it lives.
    pub environment: EnvironmentId,
    /// Its name in URLs; unique in the environment.
    pub key: IntegrationKey,
    /// The app registration's id.
    pub client_id: String,
    /// The app registration's secret.
    pub client_secret: Secret,
    /// The clientState of subscriptions made by hand.
    pub webhook_secret: WebhookSecret,
    /// Where tokens come from, without a path: `https://login.microsoftonline.com`.
    pub login_url: Url,
    /// Where Graph is, without a version: `https://graph.microsoft.com`.
    pub graph_url: Url,
    /// When it was made.
    pub created_at: Timestamp,
}

/// The sign-in address of the global cloud (Microsoft's "national cloud deployments" page).
pub const GLOBAL_LOGIN_URL: &str = "https://login.microsoftonline.com";
/// The Graph address of the global cloud (the same page).
pub const GLOBAL_GRAPH_URL: &str = "https://graph.microsoft.com";

/// An integration's name in URLs: 1 to 64 of `a-z`, `0-9`, `-`, `_`, `.`, beginning with a letter or digit.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct IntegrationKey(String);

/// A text that cannot be an integration's key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an integration's key has 1 to 64 of a-z, 0-9, `-`, `_`, `.` and begins with a letter or digit"
)]
pub struct InvalidIntegrationKey;

impl IntegrationKey {
    /// The key as it stands in URLs.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for IntegrationKey {
    type Err = InvalidIntegrationKey;

    fn from_str(text: &str) -> Result<Self, InvalidIntegrationKey> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let bytes = text.as_bytes();
        let fits = (1..=64).contains(&bytes.len())
            && plain(bytes[0])
            && bytes
                .iter()
                .all(|&byte| plain(byte) || matches!(byte, b'-' | b'_' | b'.'));
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidIntegrationKey)
        }
    }
}

impl fmt::Display for IntegrationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for IntegrationKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// The clientState of subscriptions made by hand: 16 to 128 visible ASCII characters.
///
/// 128 is Graph's limit for clientState (Microsoft's "subscription resource type" page).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookSecret(Secret);

/// A text that cannot be a webhook secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a webhook secret has 16 to 128 visible ASCII characters and no blank")]
pub struct InvalidWebhookSecret;

impl WebhookSecret {
    /// Reads a secret that somebody typed.
    pub fn parse(text: &str) -> Result<Self, InvalidWebhookSecret> {
        let fits =
            (16..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits {
            Ok(Self(Secret::new(text)))
        } else {
            Err(InvalidWebhookSecret)
        }
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_fit_a_url_are_taken_and_others_not() {
        assert!("microsoft-oauth2-cc".parse::<IntegrationKey>().is_ok());
        for bad in ["", "-x", "Ab", "a/b", "a b", &"x".repeat(65)] {
            assert!(bad.parse::<IntegrationKey>().is_err(), "{bad}");
        }
    }

    #[test]
    fn webhook_secrets_have_a_length() {
        assert!(WebhookSecret::parse(&"x".repeat(16)).is_ok());
        assert!(WebhookSecret::parse("short").is_err());
        assert!(WebhookSecret::parse(&"x".repeat(129)).is_err());
    }
}
