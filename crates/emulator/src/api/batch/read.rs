//! The parts of a batch, and what makes it malformed: then none of them is looked at.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::{GraphError, Incoming};

/// How many parts a batch may have.
const MOST: usize = 20;

/// One part.
pub(super) struct Part {
    /// Its name, as given.
    pub(super) id: String,
    /// The parts that have to succeed first, by their keys.
    pub(super) after: Vec<String>,
    /// The call; taken when it is made.
    pub(super) incoming: Option<Incoming>,
}

#[derive(Deserialize)]
struct Batch {
    requests: Vec<Request>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    id: Option<String>,
    method: Option<String>,
    url: Option<String>,
    headers: Option<HashMap<String, String>>,
    body: Option<Box<RawValue>>,
    #[serde(default)]
    depends_on: Vec<String>,
}

impl Part {
    /// Its name in one form: names know no case.
    pub(super) fn key(&self) -> String {
        self.id.to_lowercase()
    }

    /// Whether what it waits for has succeeded, or one of it has failed.
    pub(super) fn is_decided(&self, done: &HashMap<String, bool>) -> bool {
        self.after.iter().all(|name| done.contains_key(name))
            || self.after.iter().any(|name| done.get(name) == Some(&false))
    }
}

/// The parts of a batch, in their order.
pub(super) fn parts(outer: &Incoming) -> Result<Vec<Part>, GraphError> {
    let batch: Batch = serde_json::from_slice(&outer.body)
        .map_err(|_| bad("Invalid batch payload format.".to_owned()))?;
    if batch.requests.is_empty() {
        return Err(bad("Invalid batch payload format.".to_owned()));
    }
    if batch.requests.len() > MOST {
        return Err(bad(format!(
            "Number of batch request steps exceeds the maximum value of {MOST}."
        )));
    }
    let parts = batch
        .requests
        .into_iter()
        .map(|request| part(outer, request))
        .collect::<Result<Vec<Part>, _>>()?;
    let mut names = HashSet::new();
    if let Some(twice) = parts.iter().find(|part| !names.insert(part.key())) {
        return Err(bad(format!(
            "Request Ids within a batch must be unique: '{}' is not.",
            twice.id
        )));
    }
    check_order(&parts)?;
    Ok(parts)
}

fn part(outer: &Incoming, request: Request) -> Result<Part, GraphError> {
    let missing = |member: &str| bad(format!("A request within the batch has no {member}."));
    let id = request
        .id
        .filter(|id| !id.is_empty())
        .ok_or_else(|| missing("id"))?;
    let method = request.method.ok_or_else(|| missing("method"))?;
    let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes())
        .map_err(|_| bad(format!("Request '{id}' has no valid method.")))?;
    let url = request.url.ok_or_else(|| missing("url"))?;
    let uri = uri(outer, &url).ok_or_else(|| {
        bad(format!(
            "The url of request '{id}' must be relative: '{url}' is not."
        ))
    })?;
    let mut headers = inherited(&outer.headers);
    for (name, value) in request.headers.unwrap_or_default() {
        let name = HeaderName::from_bytes(name.as_bytes());
        let value = HeaderValue::from_str(&value);
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err(bad(format!("Request '{id}' has an invalid header.")));
        };
        headers.insert(name, value);
    }
    let writes = matches!(method, Method::PATCH | Method::POST | Method::PUT);
    let typed = headers.contains_key(header::CONTENT_TYPE);
    // The page asks for the type where there is a body. The service wants both on every write (seen in the field in 2024).
    if (writes && request.body.is_none()) || ((writes || request.body.is_some()) && !typed) {
        return Err(bad(format!(
            "Write request id : {id} does not contain Content-Type header or body."
        )));
    }
    let body = request.body.map_or_else(Bytes::new, |body| {
        Bytes::from(String::from(Box::<str>::from(body)))
    });
    Ok(Part {
        id,
        after: request
            .depends_on
            .iter()
            .map(|name| name.to_lowercase())
            .collect(),
        incoming: Some(Incoming {
            method,
            uri,
            headers,
            body,
            tls: outer.tls,
        }),
    })
}

/// What parts have from the batch: who calls, and under which name it reached us.
fn inherited(outer: &HeaderMap) -> HeaderMap {
    [header::AUTHORIZATION, header::HOST]
        .into_iter()
        .filter_map(|name| outer.get(&name).map(|value| (name, value.clone())))
        .collect()
}

/// A relative URL below the version of the batch. Parts may hold characters that a URL on the wire may not.
fn uri(outer: &Incoming, url: &str) -> Option<Uri> {
    let relative = url.strip_prefix('/').unwrap_or(url);
    let before_query = relative.split('?').next().unwrap_or(relative);
    if relative.is_empty() || before_query.contains("://") || relative.starts_with('/') {
        return None;
    }
    let (version, _) = outer.target();
    let mut text = format!("/{version}/");
    for byte in relative.bytes() {
        match byte {
            b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' => {
                escape(&mut text, byte);
            }
            byte if byte <= b' ' || byte >= 0x7f => escape(&mut text, byte),
            byte => text.push(char::from(byte)),
        }
    }
    text.parse().ok()
}

fn escape(text: &mut String, byte: u8) {
    use std::fmt::Write as _;
    let _ = write!(text, "%{byte:02X}");
}

/// Refuses parts that wait for parts that do not exist, or for each other.
fn check_order(parts: &[Part]) -> Result<(), GraphError> {
    let names: HashSet<String> = parts.iter().map(Part::key).collect();
    for part in parts {
        if let Some(unknown) = part.after.iter().find(|name| !names.contains(*name)) {
            return Err(bad(format!(
                "Request '{}' depends on '{unknown}', which is not in the batch.",
                part.id
            )));
        }
    }
    let mut ordered: HashSet<String> = HashSet::new();
    loop {
        let next: Vec<String> = parts
            .iter()
            .filter(|part| part.after.iter().all(|name| ordered.contains(name)))
            .map(Part::key)
            .filter(|name| !ordered.contains(name))
            .collect();
        if next.is_empty() {
            break;
        }
        ordered.extend(next);
    }
    if ordered.len() < parts.len() {
        return Err(bad(
            "The requests within the batch depend on each other in a circle.".to_owned(),
        ));
    }
    Ok(())
}

fn bad(message: String) -> GraphError {
    GraphError::new(StatusCode::BAD_REQUEST, "BadRequest", message)
}
