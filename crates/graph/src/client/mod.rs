//! A client for the calls that Tidings makes: tokens, subscriptions, fetching an item.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT},
};
use tidings_domain::{Clock, Entropy, Secret, ids::IntegrationId};
use tidings_egress::{Answer, Cut, Egress, EgressError, OnCap, Request};
use url::Url;

use crate::error::{self, CallError};

mod fetch;
mod subscriptions;
mod token;

#[cfg(test)]
mod tests;

pub use fetch::Fetched;
pub use token::Token;

/// How Tidings names itself.
const AGENT: &str = concat!("tidings/", env!("CARGO_PKG_VERSION"));

/// The most of an answer about subscriptions that is read. A page of them has some 100 KB.
const ANSWER_CAP: usize = 4 * 1024 * 1024;

/// What a call is made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The integration: tokens are kept per integration and tenant.
    pub integration: IntegrationId,
    /// The tenant: a GUID or a domain.
    pub tenant: String,
    /// The app registration's id.
    pub client_id: String,
    /// The app registration's secret.
    pub client_secret: Secret,
    /// Where tokens come from, without a path.
    pub login_url: Url,
    /// Where Graph is, without a version.
    pub graph_url: Url,
}

/// Calls Graph. Cheap to clone; tokens are shared.
#[derive(Clone)]
pub struct GraphClient {
    inner: Arc<Inner>,
    timeout: Duration,
}

struct Inner {
    egress: Egress,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    tokens: token::Cache,
}

impl fmt::Debug for GraphClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GraphClient")
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl GraphClient {
    /// A client whose every call ends within `timeout`.
    pub fn new(
        egress: Egress,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        timeout: Duration,
    ) -> Self {
        let inner = Inner {
            egress,
            clock,
            entropy,
            tokens: token::Cache::default(),
        };
        Self {
            inner: Arc::new(inner),
            timeout,
        }
    }

    /// The same client, tokens included, with another time limit.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            timeout,
        }
    }

    /// Calls `path` (with its version, without a leading slash) at the access's Graph. A success brings its answer; a
    /// token that is refused is replaced once.
    async fn call(&self, access: &Access, call: Call<'_>) -> Result<Answer, CallError> {
        let url = below(&access.graph_url, call.path)?;
        self.call_url(access, &url, call).await
    }

    async fn call_url(
        &self,
        access: &Access,
        url: &Url,
        call: Call<'_>,
    ) -> Result<Answer, CallError> {
        let mut replaced = false;
        loop {
            let token = self.token(access).await?;
            let answer = self.send_with(&token, url, &call).await?;
            if answer.status == StatusCode::UNAUTHORIZED && !replaced {
                // Revoked before its time: one new token, then the refusal is taken for what it is.
                replaced = true;
                self.forget_token(access, &token);
                continue;
            }
            if answer.status.is_success() {
                return Ok(answer);
            }
            let now = self.inner.clock.now();
            return Err(error::classify(
                answer.status,
                &answer.headers,
                &answer.body,
                now,
            ));
        }
    }

    async fn send_with(
        &self,
        token: &Token,
        url: &Url,
        call: &Call<'_>,
    ) -> Result<Answer, CallError> {
        let mut headers = HeaderMap::with_capacity(6);
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.value.expose()))
            .map_err(|_| CallError::unavailable("the sign-in gave a token that is none"))?;
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if !call.body.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        self.send(
            call.method.clone(),
            url.clone(),
            headers,
            call.body.clone(),
            call.cap,
        )
        .await
    }

    async fn send(
        &self,
        method: Method,
        url: Url,
        mut headers: HeaderMap,
        body: Bytes,
        cap: usize,
    ) -> Result<Answer, CallError> {
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        let request = Request {
            method,
            url,
            headers,
            body,
            deadline: self.timeout,
            answer_cap: cap,
            // What is cut is seen below: an error page that is too long still has a status that counts.
            on_cap: OnCap::Cut,
        };
        let answer = self
            .inner
            .egress
            .send(request)
            .await
            .map_err(|error| unreachable(&error))?;
        match answer.cut.filter(|_| answer.status.is_success()) {
            None => Ok(answer),
            Some(Cut::AtCap) => Err(CallError::TooLarge),
            Some(Cut::Broken) => Err(CallError::unavailable("the answer broke off")),
            Some(Cut::Late) => Err(CallError::unavailable("the answer did not end in time")),
        }
    }
}

/// A call to Graph.
struct Call<'a> {
    method: Method,
    /// With its version, without a leading slash.
    path: &'a str,
    body: Bytes,
    cap: usize,
}

impl<'a> Call<'a> {
    fn get(path: &'a str, cap: usize) -> Self {
        Self {
            method: Method::GET,
            path,
            body: Bytes::new(),
            cap,
        }
    }
}

/// `path` below `base`.
fn below(base: &Url, path: &str) -> Result<Url, CallError> {
    let text = format!("{}/{path}", base.as_str().trim_end_matches('/'));
    Url::parse(&text).map_err(|error| CallError::Rejected {
        status: 0,
        code: String::new(),
        message: format!("the URL set by hand cannot be used: {error}"),
        request_id: None,
    })
}

fn unreachable(error: &EgressError) -> CallError {
    CallError::unavailable(error.to_string())
}

fn unreadable(error: &serde_json::Error) -> CallError {
    CallError::unavailable(format!("the answer cannot be read: {error}"))
}
