//! `directory/deletedItems/{id}`: what was deleted and can still be restored.

use http::StatusCode;

use super::{Answer, GraphError, answer, call::Call, groups, users};

/// Deletes for good.
pub(super) fn purge(call: &Call<'_>, id: &str) -> Answer {
    let not_found = || GraphError::user_not_found(id);
    let id = id.parse().map_err(|_| not_found())?;
    if users::purge(call, id)? || groups::purge(call, id)? {
        return Ok(answer::empty(StatusCode::NO_CONTENT));
    }
    Err(not_found())
}

/// Brings back.
pub(super) fn restore(call: &Call<'_>, id: &str) -> Answer {
    let not_found = || GraphError::user_not_found(id);
    let id = id.parse().map_err(|_| not_found())?;
    let restored = match users::restore(call, id)? {
        Some(user) => Some(user),
        None => groups::restore(call, id)?,
    };
    let entity = restored.ok_or_else(not_found)?;
    Ok(answer::json(StatusCode::OK, entity))
}
