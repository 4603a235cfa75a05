//! A client of the management API, and of anything else over HTTP on this machine.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::Value;
use tidings_egress::{AddressPolicy, Egress, OnCap, Request};
use url::Url;

use crate::wait;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Answer {
    /// Its body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {}", self.text()))
    }

    /// Its body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Requests to this machine.
#[derive(Clone, Debug)]
pub struct Http {
    egress: Egress,
}

impl Default for Http {
    fn default() -> Self {
        Self::new()
    }
}

impl Http {
    /// A client that may reach this machine and nothing else.
    pub fn new() -> Self {
        let loopback = "127.0.0.0/8".parse().expect("a range of addresses");
        let egress = Egress::new(AddressPolicy::new(vec![loopback]), wait::clock());
        Self {
            egress: egress.expect("an HTTP client can be made"),
        }
    }

    /// Sends a request; fails if there is no answer.
    pub async fn send(
        &self,
        method: &str,
        url: Url,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Answer {
        let shown = format!("{method} {url}");
        self.try_send(method, url, headers, body)
            .await
            .unwrap_or_else(|error| panic!("{shown}: {error}"))
    }

    /// Sends a request; says why if there is no answer.
    pub async fn try_send(
        &self,
        method: &str,
        url: Url,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Answer, String> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: HeaderName = name.parse().expect("a header's name");
            let value: HeaderValue = value.parse().expect("a header's value");
            map.append(name, value);
        }
        let request = Request {
            method: method.parse().expect("a method"),
            url,
            headers: map,
            body: body.into(),
            deadline: wait::PATIENCE,
            answer_cap: 64 * 1024 * 1024,
            on_cap: OnCap::Fail,
        };
        let answer = self.egress.send(request).await;
        let answer = answer.map_err(|error| error.to_string())?;
        Ok(Answer {
            status: answer.status,
            headers: answer.headers,
            body: answer.body,
        })
    }
}

/// The management API with a key.
#[derive(Clone, Debug)]
pub struct Api {
    base: Url,
    key: String,
    http: Http,
}

impl Api {
    /// The API at `base` with `key`.
    pub fn new(base: Url, key: impl Into<String>) -> Self {
        Self {
            base,
            key: key.into(),
            http: Http::new(),
        }
    }

    /// Any call; fails only if there is no answer.
    pub async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let authorization = format!("Bearer {}", self.key);
        let mut headers = vec![("authorization", authorization.as_str())];
        let mut bytes = Vec::new();
        if let Some(body) = body {
            headers.push(("content-type", "application/json"));
            bytes = body.to_string().into_bytes();
        }
        let url = self.base.join(path).expect("a path");
        self.http.send(method, url, &headers, bytes).await
    }

    /// GET; fails unless 200.
    pub async fn get(&self, path: &str) -> Value {
        let answer = self.call("GET", path, None).await;
        assert_eq!(answer.status, 200, "GET {path}: {}", answer.text());
        answer.json()
    }

    /// POST; fails unless it succeeds.
    pub async fn post(&self, path: &str, body: &Value) -> Value {
        let answer = self.call("POST", path, Some(body)).await;
        assert!(
            answer.status.is_success(),
            "POST {path}: {} {}",
            answer.status,
            answer.text()
        );
        answer.json()
    }

    /// The whole of a list, page by page, newest first. `path` may have a query.
    pub async fn list(&self, path: &str) -> Vec<Value> {
        let mut all = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let glue = if path.contains('?') { '&' } else { '?' };
            let next = cursor.map_or_else(String::new, |cursor| format!("&cursor={cursor}"));
            let page = self.get(&format!("{path}{glue}limit=100{next}")).await;
            let data = page["data"].as_array().expect("a list has data");
            all.extend(data.iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => return all,
            }
        }
    }
}
