//! `directory/deletedItems/{id}`: what was deleted and can still be restored.

use http::StatusCode;
use uuid::Uuid;

use super::{Answer, GraphError, answer, call::Call, users};

/// Deletes for good.
pub(super) fn purge(call: &Call<'_>, id: &str) -> Answer {
    let found: Option<Uuid> = id.parse().ok();
    let purged = found.map(|id| users::purge(call, id)).transpose()?;
    if purged == Some(true) {
        return Ok(answer::empty(StatusCode::NO_CONTENT));
    }
    Err(GraphError::user_not_found(id))
}

/// Brings back.
pub(super) fn restore(call: &Call<'_>, id: &str) -> Answer {
    let found: Option<Uuid> = id.parse().ok();
    let restored = found.map(|id| users::restore(call, id)).transpose()?;
    match restored.flatten() {
        Some(entity) => Ok(answer::json(StatusCode::OK, entity)),
        None => Err(GraphError::user_not_found(id)),
    }
}
