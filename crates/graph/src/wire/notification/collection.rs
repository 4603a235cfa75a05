//! The body of a POST: an object whose `value` is a list of items.

use std::fmt;

use serde::{
    Deserializer as _,
    de::{self, DeserializeSeed, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{Item, item};

/// Why a body is no collection of notifications.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CollectionError {
    /// It is not JSON, or not JSON of this shape.
    #[error("the body is no collection of notifications: {detail}")]
    Json {
        /// What the JSON reader said, with line and column.
        detail: String,
    },
    /// It is not UTF-8, which JSON has to be (RFC 8259).
    #[error("the body is not UTF-8")]
    NotUtf8,
}

/// Reads the body of a POST to a notification URL.
///
/// ```
/// use tidings_graph::wire::notification::parse_collection;
///
/// let body = br##"{"value":[{
///     "subscriptionId": "6F2B1C33-8A0E-4D6B-9B57-0A4F5C6D7E8F",
///     "changeType": "updated",
///     "resource": "Users/5d9c1f6a-1b7e-4f57-8f0e-2c3a4b5c6d7e/Events/AAMkAD=",
///     "resourceData": null
/// }]}"##;
/// let items = parse_collection(body)?;
/// let notification = items[0].parsed.as_ref().unwrap();
/// assert_eq!(notification.subscription_id, "6f2b1c33-8a0e-4d6b-9b57-0a4f5c6d7e8f");
/// assert_eq!(notification.id, None);
/// # Ok::<(), tidings_graph::wire::notification::CollectionError>(())
/// ```
pub fn parse_collection(body: &[u8]) -> Result<Vec<Item<'_>>, CollectionError> {
    let text = std::str::from_utf8(body).map_err(|_| CollectionError::NotUtf8)?;
    // Some proxies put a byte order mark before what they re-encode.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let json = |error: serde_json::Error| CollectionError::Json {
        detail: error.to_string(),
    };
    let mut reader = serde_json::Deserializer::from_str(text);
    let elements = reader.deserialize_map(CollectionVisitor).map_err(json)?;
    reader.end().map_err(json)?;
    Ok(elements
        .into_iter()
        .map(|raw| Item {
            raw,
            parsed: item::parse(raw),
        })
        .collect())
}

struct CollectionVisitor;

impl<'de> Visitor<'de> for CollectionVisitor {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a member `value`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut value = None;
        while let Some(is_value) = map.next_key_seed(IsValue)? {
            if !is_value {
                // `validationTokens` belongs to encrypted items and says nothing about the others.
                map.next_value::<IgnoredAny>()?;
            } else if value.replace(map.next_value()?).is_some() {
                return Err(de::Error::duplicate_field("value"));
            }
        }
        value.ok_or_else(|| de::Error::missing_field("value"))
    }
}

struct IsValue;

impl<'de> DeserializeSeed<'de> for IsValue {
    type Value = bool;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for IsValue {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<bool, E> {
        Ok(name.eq_ignore_ascii_case("value"))
    }
}
