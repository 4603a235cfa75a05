//! One entry, member by member.

use std::fmt;

use owo_colors::OwoColorize;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::Value;

use super::printable;

/// An object whose members keep the order in which they came.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Members(pub Vec<(String, Value)>);

impl Members {
    /// Takes a member out.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        let place = self.0.iter().position(|(member, _)| member == name)?;
        Some(self.0.remove(place).1)
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

/// `entry` as lines of name and value. Members that are objects come last, each as indented JSON.
pub fn record(entry: &Members) -> String {
    let names = entry.0.iter().map(|(name, _)| name.len());
    let width = names.max().unwrap_or(0);
    let mut lines: Vec<String> = Vec::new();
    let mut blocks: Vec<String> = Vec::new();
    for (name, value) in &entry.0 {
        if value.is_object() {
            let pretty = serde_json::to_string_pretty(value).unwrap_or_default();
            blocks.push(format!("\n{}\n{}", name.bold(), printable(&pretty)));
        } else {
            lines.push(format!("{:width$}  {}", name.dimmed(), field(value)));
        }
    }
    lines.extend(blocks);
    lines.join("\n")
}

/// A member's value in a table or a line: `-` for nothing, lists with commas, times without fractions.
pub fn field(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => printable(seconds(text).unwrap_or(text)).replace('\n', " "),
        Value::Array(items) if items.is_empty() => "-".to_owned(),
        Value::Array(items) => items.iter().map(field).collect::<Vec<_>>().join(", "),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            printable(&value.to_string()).into_owned()
        }
    }
}

/// The time in `text` up to its seconds, if it is one like `2026-11-22T10:00:00.123Z`.
fn seconds(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    let is_time = text.is_ascii()
        && (20..=30).contains(&bytes.len())
        && bytes[4] == b'-'
        && bytes[10] == b'T'
        && bytes[13] == b':'
        && bytes[19] == b'.'
        && text.ends_with('Z');
    is_time.then(|| &text[..19])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_short_and_safe() {
        assert_eq!(field(&json!(null)), "-");
        assert_eq!(
            field(&json!("2026-11-22T10:00:00.123Z")),
            "2026-11-22T10:00:00"
        );
        assert_eq!(field(&json!(["a", "b"])), "a, b");
        assert_eq!(field(&json!("\u{1b}[2J")), "\u{fffd}[2J");
        assert_eq!(field(&json!(3)), "3");
    }

    #[test]
    fn a_record_keeps_its_order_and_ends_with_objects() {
        let text = r#"{"id":"evt_1","body":{"x":1},"created_at":"now","a":1}"#;
        let mut entry: Members = serde_json::from_str(text).unwrap();
        assert_eq!(entry.take("a"), Some(json!(1)));
        let text = anstream::adapter::strip_str(&record(&entry)).to_string();
        assert!(
            text.starts_with("id          evt_1\ncreated_at  now\n"),
            "{text}"
        );
        assert!(text.ends_with("body\n{\n  \"x\": 1\n}"), "{text}");
    }
}
