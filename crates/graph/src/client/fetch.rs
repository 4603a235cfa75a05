//! Fetching a changed item.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, header::ETAG};
use serde::Deserialize;

use super::{Access, Call, GraphClient, unreadable};
use crate::{error::CallError, resource::ItemPath, throttle::Throttle, wire::text::Member};

/// An item as Graph gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Its JSON, byte for byte: an object in UTF-8.
    pub object: Bytes,
    /// Its version: `@odata.etag` or `eTag`, else the header `ETag`.
    pub etag: Option<String>,
    /// What the answer says of Graph's limits.
    pub throttle: Throttle,
}

impl GraphClient {
    /// Gets an item, of at most `cap` bytes (`TooLarge` beyond), from the access's own Graph.
    pub async fn fetch(
        &self,
        access: &Access,
        item: &ItemPath,
        cap: usize,
    ) -> Result<Fetched, CallError> {
        let path = item.request_path();
        let answer = self.call(access, Call::get(&path, cap)).await?;
        read(answer.body, &answer.headers)
    }
}

/// Reads an answer as an item.
pub(super) fn read(object: Bytes, headers: &HeaderMap) -> Result<Fetched, CallError> {
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(rename = "@odata.etag", borrow, default)]
        etag: Option<Cow<'a, str>>,
        /// Drives write it so. Of other kinds of value only texts are versions.
        #[serde(rename = "eTag", borrow, default)]
        drive_etag: Member<'a>,
    }
    // Reads the whole, though only the etag is kept: what is put into an event must be JSON.
    let head: Head<'_> = serde_json::from_slice(&object).map_err(|error| unreadable(&error))?;
    let text = std::str::from_utf8(&object)
        .map_err(|_| CallError::unavailable("the answer is not UTF-8"))?;
    if !text.trim_start().starts_with('{') {
        return Err(CallError::unavailable("the answer is no JSON object"));
    }
    let etag = head.etag.or(match head.drive_etag {
        Member::Text(etag) => Some(etag),
        _ => None,
    });
    let etag = match etag {
        Some(etag) => Some(etag.into_owned()),
        None => headers
            .get(ETAG)
            .and_then(|etag| etag.to_str().ok())
            .map(str::to_owned),
    };
    Ok(Fetched {
        throttle: Throttle::parse(headers),
        object,
        etag,
    })
}
