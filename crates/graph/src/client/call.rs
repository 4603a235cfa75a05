//! One exchange with Graph: the headers that every call has, a token that is replaced once, what a failure means.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT},
};
use serde::Serialize;
use tidings_egress::{Answer, Cut, EgressError, OnCap, Request};
use url::Url;

use super::{Access, GraphClient, Token};
use crate::error::{self, CallError};

/// How Tidings names itself.
const AGENT: &str = concat!("tidings/", env!("CARGO_PKG_VERSION"));

/// A call to Graph.
pub(super) struct Call<'a> {
    pub(super) method: Method,
    /// With its version, without a leading slash.
    pub(super) path: &'a str,
    pub(super) body: Bytes,
    pub(super) cap: usize,
    /// How many entries of a list to ask for.
    pub(super) page_size: Option<u16>,
}

impl<'a> Call<'a> {
    pub(super) fn get(path: &'a str, cap: usize) -> Self {
        Self::new(Method::GET, path, Bytes::new(), cap)
    }

    pub(super) fn new(method: Method, path: &'a str, body: Bytes, cap: usize) -> Self {
        Self {
            method,
            path,
            body,
            cap,
            page_size: None,
        }
    }
}

impl GraphClient {
    /// Calls `path` (with its version, without a leading slash) at the access's Graph. A success brings its answer; a
    /// token that is refused is replaced once.
    pub(super) async fn call(&self, access: &Access, call: Call<'_>) -> Result<Answer, CallError> {
        let url = below(&access.graph_url, call.path)?;
        self.call_url(access, &url, call).await
    }

    pub(super) async fn call_url(
        &self,
        access: &Access,
        url: &Url,
        call: Call<'_>,
    ) -> Result<Answer, CallError> {
        let answer = self.exchange(access, url, &call).await?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        let now = self.inner.clock.now();
        Err(error::classify(
            answer.status,
            &answer.headers,
            &answer.body,
            now,
        ))
    }

    /// Calls `url` and gives the answer, whatever it is. A token that is refused is replaced once.
    pub(super) async fn exchange(
        &self,
        access: &Access,
        url: &Url,
        call: &Call<'_>,
    ) -> Result<Answer, CallError> {
        let token = self.token(access).await?;
        let answer = self.send_with(&token, url, call).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        // Revoked before its time: one new token, then the refusal is taken for what it is.
        self.forget_token(access, &token);
        let token = self.token(access).await?;
        self.send_with(&token, url, call).await
    }

    async fn send_with(
        &self,
        token: &Token,
        url: &Url,
        call: &Call<'_>,
    ) -> Result<Answer, CallError> {
        let mut headers = HeaderMap::with_capacity(8);
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.value.expose()))
            .map_err(|_| CallError::unavailable("the sign-in gave a token that is none"))?;
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if !call.body.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(prefer) = self.prefer(call.page_size) {
            headers.insert("prefer", prefer);
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

    /// The header `Prefer` (RFC 7240).
    fn prefer(&self, page_size: Option<u16>) -> Option<HeaderValue> {
        let size = page_size.map(|size| format!("odata.maxpagesize={size}"));
        let preferences: Vec<&str> = [size.as_deref(), self.ids.preference()]
            .into_iter()
            .flatten()
            .collect();
        if preferences.is_empty() {
            return None;
        }
        HeaderValue::try_from(preferences.join(", ")).ok()
    }

    pub(super) async fn send(
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

/// `path` below `base`.
pub(super) fn below(base: &Url, path: &str) -> Result<Url, CallError> {
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

pub(super) fn json(value: &impl Serialize) -> Result<Bytes, CallError> {
    serde_json::to_vec(value)
        .map(Bytes::from)
        .map_err(|error| CallError::unavailable(error.to_string()))
}

pub(super) fn unreadable(error: &serde_json::Error) -> CallError {
    CallError::unavailable(format!("the answer cannot be read: {error}"))
}
