//! The answer to a batch.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Response, header};
use http_body_util::{BodyExt, Full};
use serde::Serialize;
use serde_json::value::RawValue;

#[derive(Serialize)]
struct Answers<'a> {
    responses: Vec<Answer<'a>>,
}

#[derive(Serialize)]
struct Answer<'a> {
    id: &'a str,
    status: u16,
    headers: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a RawValue>,
}

/// The JSON of the answers to parts, each with its name.
pub(super) async fn answers(answers: Vec<(String, Response<Full<Bytes>>)>) -> Bytes {
    let mut read = Vec::with_capacity(answers.len());
    for (id, response) in answers {
        let (parts, body) = response.into_parts();
        let body = match body.collect().await {
            Ok(body) => body.to_bytes(),
            Err(never) => match never {},
        };
        read.push((id, parts, body));
    }
    let responses = read
        .iter()
        .map(|(id, parts, body)| Answer {
            id,
            status: parts.status.as_u16(),
            headers: headers(&parts.headers),
            // All that the emulator answers is JSON, or nothing.
            body: serde_json::from_slice(body).ok(),
        })
        .collect();
    let json = serde_json::to_vec(&Answers { responses })
        .expect("invariant: text and JSON can be written as JSON");
    json.into()
}

/// The headers that concern the part alone, spelt as the service spells them.
fn headers(headers: &HeaderMap) -> BTreeMap<&str, &str> {
    const CALLS_OWN: [HeaderName; 2] = [
        HeaderName::from_static("client-request-id"),
        HeaderName::from_static("request-id"),
    ];
    let mut shown: BTreeMap<&str, &str> = headers
        .iter()
        .filter(|(name, _)| !CALLS_OWN.contains(name))
        .filter_map(|(name, value)| Some((spelt(name), value.to_str().ok()?)))
        .collect();
    shown.insert("Cache-Control", "no-cache");
    shown
}

fn spelt(name: &HeaderName) -> &str {
    if name == header::CONTENT_TYPE {
        "Content-Type"
    } else if name == header::LOCATION {
        "Location"
    } else if name == header::RETRY_AFTER {
        "Retry-After"
    } else if name == "odata-version" {
        "OData-Version"
    } else {
        name.as_str()
    }
}
