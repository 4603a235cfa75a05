//! JSON for programs.

use std::borrow::Cow;

use serde_json::Value;

/// `text`, which is JSON, without line breaks between its members.
pub fn one_line(text: &str) -> Cow<'_, str> {
    // A line break inside a JSON string is always written `\n`, so a raw one stands between members.
    if !text.contains(['\n', '\r']) {
        return Cow::Borrowed(text);
    }
    match serde_json::from_str::<Value>(text) {
        Ok(value) => Cow::Owned(value.to_string()),
        Err(_) => Cow::Owned(text.replace(['\n', '\r'], " ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_one_line_stays_as_it_came() {
        assert_eq!(one_line(r#"{"b":1,"a":"x\ny"}"#), r#"{"b":1,"a":"x\ny"}"#);
        assert_eq!(one_line("{\n \"a\": [1,\r\n 2]}"), r#"{"a":[1,2]}"#);
    }
}
