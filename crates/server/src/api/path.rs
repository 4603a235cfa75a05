//! Ids in the paths of requests.

use std::{fmt::Display, str::FromStr};

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use serde::de::DeserializeOwned;

use super::query::{self, Query};
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
        name(parts, state).await.map(Self)
    }
}

/// The same, where the path takes query parameters.
#[derive(Debug)]
pub(crate) struct NamedWith<T, Q>(pub(crate) T, pub(crate) Q);

impl<T, Q, S> FromRequestParts<S> for NamedWith<T, Q>
where
    T: FromStr,
    T::Err: Display,
    Q: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(query) = Query::from_request_parts(parts, state).await?;
        Ok(Self(name(parts, state).await?, query))
    }
}

async fn name<T, S>(parts: &mut Parts, state: &S) -> Result<T, Problem>
where
    T: FromStr,
    T::Err: Display,
    S: Send + Sync,
{
    let Path(text) = Path::<String>::from_request_parts(parts, state)
        .await
        .map_err(|rejection| Problem::new(Code::NotFound, rejection.body_text()))?;
    text.parse()
        .map_err(|error: T::Err| Problem::new(Code::NotFound, error.to_string()))
}
