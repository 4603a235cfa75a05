//! The body of a request about a subscription, member by member.

use http::StatusCode;
use serde_json::{Map, Value};
use tidings_domain::Timestamp;
use url::{Host, Url};

use super::Address;
use crate::api::GraphError;

/// The longest shared secret (Microsoft's "subscription resource type" page).
const CLIENT_STATE: usize = 128;

/// Members of subscriptions through Web Push, which no other subscription may have.
const WEB_PUSH: [&str; 3] = [
    "vapidPublicKey",
    "webPushEncryptionP256dhPublicKey",
    "webPushEncryptionSecret",
];

/// The body of a request about a subscription.
pub(super) struct Body(Map<String, Value>);

impl Body {
    /// Reads a JSON object.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, GraphError> {
        match serde_json::from_slice(bytes) {
            Ok(Value::Object(members)) => Ok(Self(members)),
            _ => Err(GraphError::new(
                StatusCode::BAD_REQUEST,
                "BadRequest",
                "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of \
                 valid JSON format.",
            )),
        }
    }

    /// A string; `None` where it is missing, null or empty.
    pub(super) fn text(&self, member: &str) -> Result<Option<String>, GraphError> {
        match self.0.get(member) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(GraphError::invalid(format!("{member} must be a string."))),
        }
    }

    /// A string that must be there.
    pub(super) fn need(&self, member: &str) -> Result<String, GraphError> {
        self.text(member)?.ok_or_else(|| {
            GraphError::invalid(format!(
                "{member} is a required property for subscription creation."
            ))
        })
    }

    /// A point in time.
    pub(super) fn time(&self, member: &str) -> Result<Option<Timestamp>, GraphError> {
        self.text(member)?
            .map(|text| {
                text.parse().map_err(|_| {
                    GraphError::invalid(format!(
                        "{member} '{text}' is no date and time with an offset."
                    ))
                })
            })
            .transpose()
    }

    /// A boolean; absent and null are `false`.
    pub(super) fn flag(&self, member: &str) -> Result<bool, GraphError> {
        match self.0.get(member) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(GraphError::invalid(format!("{member} must be a boolean."))),
        }
    }

    /// A URL that notifications can be sent to.
    pub(super) fn address(
        &self,
        member: &str,
        require_https: bool,
    ) -> Result<Option<Address>, GraphError> {
        let Some(text) = self.text(member)? else {
            return Ok(None);
        };
        let refused = |problem: &str| GraphError::invalid(format!("{member} '{text}' {problem}"));
        let url = Url::parse(&text).map_err(|_| refused("is not a valid URL."))?;
        match url.scheme() {
            "https" if url.has_host() => {}
            "http" if !require_https && is_loopback(&url) => {}
            "eventhub" | "eventgrid" => {
                return Err(refused("is a channel that the emulator does not have."));
            }
            _ => return Err(refused("must start with 'https://'.")),
        }
        Ok(Some(Address { text, url }))
    }

    /// The shared secret.
    pub(super) fn client_state(&self) -> Result<Option<String>, GraphError> {
        let state = self.text("clientState")?;
        match &state {
            Some(text) if text.chars().count() > CLIENT_STATE => Err(GraphError::invalid(
                "clientState must not be longer than 128 characters.",
            )),
            _ => Ok(state),
        }
    }

    /// Refuses members of Web Push.
    pub(super) fn refuse_web_push(&self) -> Result<(), GraphError> {
        let found = WEB_PUSH
            .iter()
            .find(|member| self.0.get(**member).is_some_and(|value| !value.is_null()));
        match found {
            None => Ok(()),
            Some(member) => Err(GraphError::invalid(format!(
                "{member} is only supported for Web Push subscriptions."
            ))),
        }
    }

    /// Those of `members` that are strings, for giving back.
    pub(super) fn strings(&self, members: &[&str]) -> Result<Map<String, Value>, GraphError> {
        let mut found = Map::new();
        for member in members {
            if let Some(text) = self.text(member)? {
                found.insert((*member).to_owned(), text.into());
            }
        }
        Ok(found)
    }

    /// Whether any of `members` is there.
    pub(super) fn has_any(&self, members: &[&str]) -> bool {
        members.iter().any(|member| self.0.contains_key(*member))
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body(value: &Value) -> Body {
        Body::parse(value.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn http_is_for_loopback_hosts_unless_https_is_required() {
        for url in [
            "http://127.0.0.1:1/a",
            "http://localhost/a",
            "http://[::1]:2/",
            "https://app.example/",
        ] {
            assert!(
                body(&json!({"u": url}))
                    .address("u", false)
                    .unwrap()
                    .is_some(),
                "{url}"
            );
        }
        for url in [
            "http://app.example/a",
            "http://10.0.0.1/",
            "ftp://localhost/",
            "nonsense",
        ] {
            assert!(
                body(&json!({"u": url})).address("u", false).is_err(),
                "{url}"
            );
        }
        assert!(
            body(&json!({"u": "http://localhost/"}))
                .address("u", true)
                .is_err()
        );
        assert!(
            body(&json!({"u": "https://localhost/"}))
                .address("u", true)
                .is_ok()
        );
    }

    #[test]
    fn a_secret_has_128_characters_at_most() {
        assert!(
            body(&json!({"clientState": "é".repeat(128)}))
                .client_state()
                .is_ok()
        );
        assert!(
            body(&json!({"clientState": "é".repeat(129)}))
                .client_state()
                .is_err()
        );
    }

    #[test]
    fn web_push_members_are_refused() {
        for member in WEB_PUSH {
            assert!(
                body(&json!({member: "x"})).refuse_web_push().is_err(),
                "{member}"
            );
        }
        assert!(
            body(&json!({"vapidPublicKey": null}))
                .refuse_web_push()
                .is_ok()
        );
    }
}
