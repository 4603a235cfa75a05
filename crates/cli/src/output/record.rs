//! One entry, member by member.

use owo_colors::OwoColorize;
use serde_json::Value;

use super::printable;

/// `entry` as lines of name and value. Members that are objects come last, each as indented JSON.
pub fn record(entry: &Value) -> String {
    let Value::Object(members) = entry else {
        return printable(&entry.to_string()).into_owned();
    };
    let width = members.keys().map(String::len).max().unwrap_or(0);
    // The id is what people look for first; the rest has the order of the alphabet.
    let mut lines: Vec<String> = Vec::new();
    let mut blocks: Vec<String> = Vec::new();
    let id_first = members.iter().filter(|(name, _)| *name == "id");
    let rest = members.iter().filter(|(name, _)| *name != "id");
    for (name, value) in id_first.chain(rest) {
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
    fn a_record_begins_with_the_id_and_ends_with_objects() {
        let text = anstream::adapter::strip_str(&record(
            &json!({"body": {"x": 1}, "created_at": "now", "id": "evt_1"}),
        ))
        .to_string();
        assert!(
            text.starts_with("id          evt_1\ncreated_at  now\n"),
            "{text}"
        );
        assert!(text.ends_with("body\n{\n  \"x\": 1\n}"), "{text}");
    }
}
