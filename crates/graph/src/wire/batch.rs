//! Many calls in one (Microsoft's "combine multiple HTTP requests using JSON batching" page).

use std::{borrow::Cow, collections::BTreeMap};

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

/// The most parts that Graph takes in one batch.
pub const MAX_PARTS: usize = 20;

/// What is sent.
#[derive(Clone, Debug, Serialize)]
pub struct BatchRequest<'a> {
    /// The parts.
    pub requests: Vec<PartRequest<'a>>,
}

/// A part of what is sent.
#[derive(Clone, Debug, Serialize)]
pub struct PartRequest<'a> {
    /// What its answer is found by; different for each part, also without regard to case.
    pub id: String,
    /// `GET` and the like.
    pub method: &'a str,
    /// Where to, relative to the version, with a leading slash.
    pub url: &'a str,
    /// Its headers. A body needs a `Content-Type`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<&'a str, &'a str>,
    /// Its body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<&'a RawValue>,
}

/// An answer to a part.
#[derive(Clone, Debug)]
pub struct PartReply<'a> {
    /// The part's id.
    pub id: Cow<'a, str>,
    /// The status.
    pub status: u16,
    /// Its headers, as far as they can be some.
    pub headers: HeaderMap,
    /// Its body: JSON as it is, anything else as a string.
    pub body: Option<&'a RawValue>,
}

/// Reads the answers of a batch, which come in any order. What is no answer to a part is left out.
pub fn parse_replies(body: &[u8]) -> Result<Vec<PartReply<'_>>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        responses: Vec<&'a RawValue>,
    }
    let answer: Answer<'_> = serde_json::from_slice(body)?;
    Ok(answer.responses.into_iter().filter_map(reply).collect())
}

fn reply(raw: &RawValue) -> Option<PartReply<'_>> {
    #[derive(Deserialize)]
    struct Reply<'a> {
        #[serde(borrow)]
        id: Cow<'a, str>,
        status: u16,
        #[serde(default)]
        headers: Option<BTreeMap<String, Value>>,
        #[serde(default, borrow)]
        body: Option<&'a RawValue>,
    }
    let reply: Reply<'_> = serde_json::from_str(raw.get()).ok()?;
    let mut headers = HeaderMap::new();
    for (name, value) in reply.headers.unwrap_or_default() {
        let value = match value {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            _ => continue,
        };
        if let (Ok(name), Ok(value)) = (
            HeaderName::try_from(name.as_str()),
            HeaderValue::try_from(value.as_str()),
        ) {
            headers.insert(name, value);
        }
    }
    Some(PartReply {
        id: reply.id,
        status: reply.status,
        headers,
        body: reply.body,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_none_hides_no_other() {
        let body = br#"{"responses":[
            {"id":"2","status":429,"headers":{"Retry-After":7,"X-Odd":null,"bad name":"x"},"body":{"error":{}}},
            {"status":200}, 5, {"id":"3","status":"200"},
            {"id":"1","status":204}]}"#;
        let replies = parse_replies(body).unwrap();
        let ids: Vec<_> = replies.iter().map(|reply| reply.id.as_ref()).collect();
        assert_eq!(ids, ["2", "1"]);
        assert_eq!(replies[0].headers["retry-after"], "7");
        assert_eq!(replies[0].headers.len(), 1);
        assert_eq!(replies[0].body.unwrap().get(), r#"{"error":{}}"#);
        assert!(replies[1].body.is_none());
        for body in ["{}", "[]", "", r#"{"responses":7}"#] {
            assert!(parse_replies(body.as_bytes()).is_err(), "{body}");
        }
    }
}
