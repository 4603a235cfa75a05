//! The opaque text of links.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use tidings_domain::Timestamp;

use super::{Position, Scope};

/// What a link holds. Clients cannot know: it is theirs to give back.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Token {
    /// Which collection it is for.
    #[serde(rename = "c")]
    pub(crate) collection: String,
    /// The generation of the service's memory that it belongs to.
    #[serde(rename = "g")]
    pub(crate) generation: u32,
    /// When it was made.
    #[serde(rename = "t")]
    pub(crate) made_at: i64,
    /// How far its reader is.
    #[serde(flatten)]
    pub(crate) position: Position,
    /// Where the round before began, for replays; only where a round has ended.
    #[serde(rename = "b")]
    pub(crate) before: u64,
    /// Whether a round has ended, so that the next begins.
    #[serde(rename = "d")]
    pub(crate) round_ended: bool,
    /// The options of the first call.
    #[serde(rename = "o")]
    pub(crate) baked: Baked,
}

/// The query options of the first call: they hold for all that follow.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Baked {
    /// The query as it came, without a token: where to begin again.
    #[serde(rename = "q", default)]
    pub(crate) query: String,
    /// `$select`, in lower case.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub(crate) select: Option<Vec<String>>,
    /// `$top`.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    pub(crate) top: Option<usize>,
    /// `startDateTime` and `endDateTime`, in milliseconds.
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    pub(crate) window: Option<(i64, i64)>,
    /// The earliest `receivedDateTime`, in milliseconds.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub(crate) received_from: Option<i64>,
    /// The ids of a `$filter` by them, in lower case.
    #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
    pub(crate) ids: Option<Vec<String>>,
    /// `changeType`, in lower case.
    #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
    pub(crate) change: Option<String>,
}

impl Token {
    /// As links hold it.
    pub(crate) fn encode(&self) -> String {
        let json = serde_json::to_vec(self).expect("invariant: numbers and strings are JSON");
        URL_SAFE_NO_PAD.encode(json)
    }

    /// Reads what a client gives back; `None` if it is none of ours.
    pub(crate) fn decode(text: &str) -> Option<Self> {
        let json = URL_SAFE_NO_PAD.decode(text).ok()?;
        serde_json::from_slice(&json).ok()
    }
}

impl Baked {
    /// The calendar view, if there is one.
    pub(crate) fn scope(&self) -> Option<Scope> {
        self.window.map(|(from, to)| Scope::Window {
            from: Timestamp::from_millis(from),
            to: Timestamp::from_millis(to),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_back_as_it_went_and_needs_no_encoding() {
        let token = Token {
            collection: "events/ada".into(),
            generation: 3,
            made_at: 1_795_341_600_000,
            position: Position::start(7),
            before: 0,
            round_ended: false,
            baked: Baked {
                select: Some(vec!["subject".into()]),
                window: Some((1, 2)),
                ..Baked::default()
            },
        };
        let text = token.encode();
        assert!(
            text.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        );
        assert_eq!(Token::decode(&text), Some(token));
        assert_eq!(Token::decode(""), None);
        assert_eq!(Token::decode("AAAA"), None);
    }
}
