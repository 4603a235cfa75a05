//! Many calls in one (Microsoft's "combine multiple HTTP requests using JSON batching" page).
//!
//! A batch answers 200 whatever became of its parts: each succeeds, fails and is throttled by itself.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use serde_json::value::RawValue;

use super::{Access, Call, GraphClient, json, unreadable};
use crate::{
    error::{self, CallError},
    resource::table::Version,
    throttle::Throttle,
    wire::batch::{BatchRequest, PartRequest, parse_replies},
};

mod fetch;
mod subscriptions;

pub use crate::wire::batch::MAX_PARTS;

/// The most of a whole answer that is read, unless one part may have more: twenty large items at one time are not worth
/// the memory.
const ANSWER_CAP: usize = 4 * 1024 * 1024;
/// The most of an answer's frame that is read beside the bodies of its parts: ids, statuses, headers.
const FRAME_CAP: usize = 64 * 1024;

/// One call of a batch.
#[derive(Clone, Debug)]
pub struct Part {
    version: Version,
    method: Method,
    /// Below the version, with a leading slash.
    url: String,
    body: Option<Box<RawValue>>,
}

/// The answer to a part that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartAnswer {
    /// The status: 2xx.
    pub status: StatusCode,
    /// Its own headers.
    pub headers: HeaderMap,
    /// Its body as JSON, byte for byte; empty if it has none. It keeps the whole batch in memory.
    pub body: Bytes,
}

impl PartAnswer {
    /// What the answer says of Graph's limits.
    pub fn throttle(&self) -> Throttle {
        Throttle::parse(&self.headers)
    }
}

impl Part {
    /// A call of `path`, which is encoded and has neither the version nor a leading slash.
    pub fn new(version: Version, method: Method, path: &str) -> Self {
        Self {
            version,
            method,
            url: format!("/{path}"),
            body: None,
        }
    }

    /// The same call with a body.
    #[must_use]
    pub fn with_body(self, body: Box<RawValue>) -> Self {
        Self {
            body: Some(body),
            ..self
        }
    }
}

impl GraphClient {
    /// Makes all calls, at most [`MAX_PARTS`] at a time, and gives their answers in the order of the parts. No answer may
    /// have more than `cap` bytes, nor all of one batch more than 4 MiB or `cap`.
    ///
    /// Parts run side by side in no order. A part that Graph left without an answer is `Unavailable`. When a whole batch
    /// fails, its parts and those not sent yet fail with it.
    pub async fn batch(
        &self,
        access: &Access,
        parts: &[Part],
        cap: usize,
    ) -> Vec<Result<PartAnswer, CallError>> {
        let mut answers: Vec<Option<Result<PartAnswer, CallError>>> = vec![None; parts.len()];
        for version in [Version::V1, Version::Beta] {
            let of_version: Vec<usize> = (0..parts.len())
                .filter(|&place| parts[place].version == version)
                .collect();
            for places in of_version.chunks(MAX_PARTS) {
                let these: Vec<&Part> = places.iter().map(|&place| &parts[place]).collect();
                match self.one_batch(access, version, &these, cap).await {
                    Ok(found) => {
                        for (&place, answer) in places.iter().zip(found) {
                            answers[place] = Some(answer);
                        }
                    }
                    Err(error) => {
                        let failed = |answer: Option<_>| answer.unwrap_or(Err(error.clone()));
                        return answers.into_iter().map(failed).collect();
                    }
                }
            }
        }
        answers
            .into_iter()
            .map(|answer| answer.unwrap_or_else(|| Err(unanswered())))
            .collect()
    }

    /// Makes at most [`MAX_PARTS`] calls of one version in one batch.
    async fn one_batch(
        &self,
        access: &Access,
        version: Version,
        parts: &[&Part],
        cap: usize,
    ) -> Result<Vec<Result<PartAnswer, CallError>>, CallError> {
        let mut answers = self.send_parts(access, version, parts, cap).await?;
        // A token can be refused by the parts and not by the frame. A part that was refused has not been done.
        let refused: Vec<usize> = (0..parts.len())
            .filter(|&place| matches!(answers[place], Err(CallError::Credentials { .. })))
            .collect();
        if !refused.is_empty() {
            let token = self.token(access).await?;
            self.forget_token(access, &token);
            let again: Vec<&Part> = refused.iter().map(|&place| parts[place]).collect();
            // Whatever comes of it must not hide the answers that are there.
            if let Ok(found) = self.send_parts(access, version, &again, cap).await {
                for (place, answer) in refused.into_iter().zip(found) {
                    answers[place] = answer;
                }
            }
        }
        Ok(answers)
    }

    async fn send_parts(
        &self,
        access: &Access,
        version: Version,
        parts: &[&Part],
        cap: usize,
    ) -> Result<Vec<Result<PartAnswer, CallError>>, CallError> {
        let requests = parts
            .iter()
            .enumerate()
            .map(|(place, part)| self.request(place, part))
            .collect();
        let path = format!("{}/$batch", version.as_str());
        let body = json(&BatchRequest { requests })?;
        let whole = cap
            .saturating_mul(parts.len())
            .min(ANSWER_CAP.max(cap))
            .saturating_add(FRAME_CAP);
        let call = Call::new(Method::POST, &path, body, whole);
        let answer = self.call(access, call).await?;
        let now = self.inner.clock.now();
        let mut answers: Vec<_> = parts.iter().map(|_| Err(unanswered())).collect();
        for reply in parse_replies(&answer.body).map_err(|error| unreadable(&error))? {
            let place = reply.id.parse::<usize>().ok();
            let Some(slot) = place.and_then(|place| answers.get_mut(place)) else {
                continue;
            };
            let Ok(status) = StatusCode::from_u16(reply.status) else {
                continue;
            };
            let body = reply
                .body
                .map(|body| answer.body.slice_ref(body.get().as_bytes()))
                .unwrap_or_default();
            *slot = if !status.is_success() {
                Err(error::classify(status, &reply.headers, &body, now))
            } else if body.len() > cap {
                Err(CallError::TooLarge)
            } else {
                Ok(PartAnswer {
                    status,
                    headers: reply.headers,
                    body,
                })
            };
        }
        Ok(answers)
    }

    fn request<'a>(&self, place: usize, part: &'a Part) -> PartRequest<'a> {
        let mut headers = BTreeMap::new();
        if let Some(preference) = self.ids.preference() {
            headers.insert("Prefer", preference);
        }
        if part.body.is_some() {
            headers.insert("Content-Type", "application/json");
        }
        PartRequest {
            id: place.to_string(),
            method: part.method.as_str(),
            url: &part.url,
            headers,
            body: part.body.as_deref(),
        }
    }
}

fn unanswered() -> CallError {
    CallError::unavailable("the batch's answer lacks this call")
}
