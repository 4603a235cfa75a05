//! Query parameters of requests.

use std::error::Error as _;

use axum::extract::FromRequestParts;
use http::{Uri, request::Parts};
use serde::de::DeserializeOwned;

use crate::problem::{Code, Problem};

/// The request's query, read as a `T`. Types deny unknown parameters, so that a misspelt filter does not show
/// everything.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        axum::extract::Query::try_from_uri(&parts.uri)
            .map(|axum::extract::Query(query)| Self(query))
            .map_err(|rejection| {
                let detail = rejection
                    .source()
                    .map_or_else(|| rejection.body_text(), ToString::to_string);
                Problem::new(Code::InvalidParameter, detail)
            })
    }
}

/// Refuses a query where none is taken.
pub(crate) fn refuse(uri: &Uri) -> Result<(), Problem> {
    if uri.query().is_none_or(str::is_empty) {
        Ok(())
    } else {
        Err(Problem::new(
            Code::InvalidParameter,
            "this path takes no query parameters: leave out what follows the `?`",
        ))
    }
}
