//! Answers with what differs from run to run replaced.

use serde_json::Value;
use tidings_domain::{Timestamp, ids::EnvironmentId};

/// `value` with `conn_*`, `tdk_*` and the like for ids and secrets, `time` for times and `uuid` for UUIDs.
pub(crate) fn normal(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(word(text)),
        Value::Array(items) => items.iter().map(normal).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (name.clone(), normal(value)))
            .collect(),
        other => other.clone(),
    }
}

fn word(text: &str) -> String {
    if text.parse::<Timestamp>().is_ok() {
        return "time".to_owned();
    }
    if text.parse::<EnvironmentId>().is_ok() {
        return "uuid".to_owned();
    }
    match text.split_once('_') {
        Some((prefix @ ("tdk" | "whsec"), _)) => format!("{prefix}_*"),
        Some((prefix, rest))
            if rest.len() == 26 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()) =>
        {
            format!("{prefix}_*")
        }
        _ => text.to_owned(),
    }
}
