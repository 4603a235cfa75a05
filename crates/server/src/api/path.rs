//! Ids in the paths of requests.

use std::{fmt::Display, str::FromStr};

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;

use super::query;
use crate::problem::{Code, Problem};

/// The one variable part of a path, read as a `T`. What cannot be a `T` names nothing: not found.
#[derive(Debug)]
pub(crate) struct Named<T>(pub(crate) T);

impl<T, S> FromRequestParts<S> for Named<T>
where
    T: FromStr,
    T::Err: Display,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        query::refuse(&parts.uri)?;
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|rejection| Problem::new(Code::NotFound, rejection.body_text()))?;
        text.parse()
            .map(Self)
            .map_err(|error: T::Err| Problem::new(Code::NotFound, error.to_string()))
    }
}
