//! An app's destination.

use serde::Serialize;
use url::Url;

use crate::{
    SafeUrl, Secret, Timestamp,
    ids::{ConnectionId, EnvironmentId, WebhookId},
    trigger::Trigger,
};

/// An app's destination for events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Its id.
    pub id: WebhookId,
    /// Whose events it can hear of.
    pub environment: EnvironmentId,
    /// Where deliveries are sent.
    pub url: WebhookUrl,
    /// What it is for, for people.
    pub description: String,
    /// Which events it asks for.
    pub triggers: Vec<Trigger>,
    /// Whose events it asks for; empty means all connections of its environment.
    pub connections: Vec<ConnectionId>,
    /// What its deliveries are signed with: `whsec_` and base64.
    pub secret: Secret,
    /// Whether deliveries are sent.
    pub state: WebhookState,
    /// Since when every attempt has failed; `None` if the last one succeeded.
    pub failing_since: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Webhook {
    /// Whether it asks for `trigger` events of `connection` in `environment`.
    pub fn wants(
        &self,
        environment: EnvironmentId,
        connection: ConnectionId,
        trigger: Trigger,
    ) -> bool {
        self.environment == environment
            && self.triggers.contains(&trigger)
            && (self.connections.is_empty() || self.connections.contains(&connection))
    }
}

/// Whether a webhook's deliveries are sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum WebhookState {
    /// They are sent.
    Active,
    /// They are held until somebody enables it.
    Disabled {
        /// Why.
        reason: DisabledReason,
        /// Since when.
        since: Timestamp,
    },
}

/// Why a webhook is disabled.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DisabledReason {
    /// Every attempt has failed for too long.
    Failing,
    /// It answered 410 Gone.
    Gone,
    /// Somebody asked for it.
    Operator,
}

impl DisabledReason {
    /// The reason's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::Gone => "gone",
            Self::Operator => "operator",
        }
    }
}

/// Where deliveries are sent: an absolute `http` or `https` URL with a host and without user info or fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookUrl(SafeUrl);

/// A text that cannot be a webhook's URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidWebhookUrl {
    /// It has a fragment, which is never sent.
    #[error("the URL has a fragment (`#…`), which is never sent: leave it out")]
    Fragment,
    /// It is longer than 2,048 bytes.
    #[error("the URL is longer than 2,048 bytes")]
    Long,
    /// It is no absolute URL.
    #[error("this is no absolute URL: {0}")]
    Malformed(url::ParseError),
    /// It is neither http nor https.
    #[error("the URL's scheme is `{0}`: use https")]
    Scheme(String),
    /// It holds a user or password.
    #[error(
        "the URL holds a user or password: use a signature check instead, or a query parameter"
    )]
    UserInfo,
}

impl WebhookUrl {
    /// Reads a URL that somebody typed.
    pub fn parse(text: &str) -> Result<Self, InvalidWebhookUrl> {
        if text.len() > 2_048 {
            return Err(InvalidWebhookUrl::Long);
        }
        let url = Url::parse(text.trim()).map_err(InvalidWebhookUrl::Malformed)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(InvalidWebhookUrl::Scheme(url.scheme().to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidWebhookUrl::UserInfo);
        }
        if url.fragment().is_some() {
            return Err(InvalidWebhookUrl::Fragment);
        }
        Ok(Self(SafeUrl::new(url)))
    }

    /// The URL with all its parts.
    pub fn expose(&self) -> &Url {
        self.0.expose()
    }

    /// The URL as it can be shown.
    pub fn safe(&self) -> &SafeUrl {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_web_urls_are_taken() {
        assert!(WebhookUrl::parse("https://app.example/hook?x=1").is_ok());
        for bad in [
            "app.example/hook",
            "ftp://app.example/",
            "https://bob@app.example/",
            "https://app.example/#x",
            "https://",
        ] {
            assert!(WebhookUrl::parse(bad).is_err(), "{bad}");
        }
    }
}
