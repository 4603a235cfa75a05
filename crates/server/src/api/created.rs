//! The answer to a creation.

use axum::{
    Json,
    response::{IntoResponse as _, Response},
};
use http::{StatusCode, header};
use serde::Serialize;

/// 201 with what was made and the path under which it is from now on.
pub(crate) fn created<J: Serialize>(path: &str, shown: &J) -> Response {
    (StatusCode::CREATED, [(header::LOCATION, path)], Json(shown)).into_response()
}
