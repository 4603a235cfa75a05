//! The envelope that errors of Graph come in.

use serde::Deserialize;

/// Messages are kept for people: this much is enough to understand them.
const MAX_MESSAGE: usize = 1_000;

/// What Graph says of an error. Both `innerError` and `innererror` occur; the code may be missing or empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorBody {
    /// A word to branch on, such as `ExtensionError`; often empty. Compare it without case.
    pub code: String,
    /// A sentence for people.
    pub message: String,
    /// For Microsoft's support.
    pub request_id: Option<String>,
}

impl ErrorBody {
    /// Reads the body of an answer; `None` if it is something else, such as a proxy's page.
    pub fn parse(body: &[u8]) -> Option<Self> {
        let Envelope { error } = serde_json::from_slice(body).ok()?;
        let inner = error.inner.or(error.inner_lower);
        Some(Self {
            code: cut(error.code.unwrap_or_default()),
            message: cut(error.message.unwrap_or_default()),
            request_id: inner.and_then(|inner| inner.request_id).map(cut),
        })
    }
}

#[derive(Deserialize)]
struct Envelope {
    error: Outer,
}

#[derive(Deserialize)]
struct Outer {
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default, rename = "innerError")]
    inner: Option<Inner>,
    #[serde(default, rename = "innererror")]
    inner_lower: Option<Inner>,
}

#[derive(Deserialize)]
struct Inner {
    #[serde(default, rename = "request-id")]
    request_id: Option<String>,
}

fn cut(text: String) -> String {
    if text.len() <= MAX_MESSAGE {
        return text;
    }
    text.chars().take(MAX_MESSAGE).collect()
}

/// The first GUID in a text.
pub(super) fn find_guid(text: &str) -> Option<&str> {
    const LENGTH: usize = 36;
    let is_part = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
    let bytes = text.as_bytes();
    (0..=bytes.len().checked_sub(LENGTH)?).find_map(|start| {
        let end = start + LENGTH;
        let alone = (start == 0 || !is_part(bytes[start - 1]))
            && bytes.get(end).is_none_or(|&byte| !is_part(byte));
        let candidate = text.get(start..end)?;
        (alone && uuid::Uuid::try_parse(candidate).is_ok()).then_some(candidate)
    })
}
