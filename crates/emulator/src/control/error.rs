//! What the control API refuses.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde_json::json;

use crate::{api::GraphError, directory::Exists, mailbox::InvalidItem};

/// What the control API refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// Something with this name is there already.
    #[error(transparent)]
    Exists(#[from] Exists),
    /// A value is not what it should be.
    #[error("{0}")]
    Invalid(String),
    /// The clock is the system's, which nobody can move.
    #[error("the clock of this emulator is the system's: start it on a manual clock to move it")]
    NotManual,
    /// There is no such thing.
    #[error("there is no such {0}")]
    NotFound(&'static str),
}

impl From<GraphError> for ControlError {
    fn from(error: GraphError) -> Self {
        Self::Invalid(error.message)
    }
}

impl From<InvalidItem> for ControlError {
    fn from(error: InvalidItem) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl IntoResponse for ControlError {
    fn into_response(self) -> Response {
        let (status, code) = match self {
            Self::Exists(_) => (StatusCode::CONFLICT, "exists"),
            Self::Invalid(_) => (StatusCode::BAD_REQUEST, "invalid"),
            Self::NotManual => (StatusCode::CONFLICT, "not_manual"),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "not_found"),
        };
        let body = json!({"error": {"code": code, "message": self.to_string()}});
        (status, Json(body)).into_response()
    }
}
