//! Reading one item of a mailbox, with what faults make of it.

use std::sync::Arc;

use http::StatusCode;

use super::{Answer, GraphError, answer, call::Call, page};
use crate::{fault::Fault, mailbox::item::Item};

enum Spoilt {
    Forbidden,
    NotFound,
    Stale,
}

/// Answers with `item`, unless a fault says otherwise.
pub(super) fn item(call: &Call<'_>, item: Option<Arc<Item>>) -> Answer {
    let spoilt = call.world.faults.hit(|fault| match fault {
        Fault::Forbidden { .. } => Some(Spoilt::Forbidden),
        Fault::NotFound { .. } => Some(Spoilt::NotFound),
        Fault::Stale { .. } => Some(Spoilt::Stale),
        _ => None,
    });
    let item = item.ok_or_else(GraphError::item_not_found)?;
    match spoilt {
        None => Ok(answer::json(StatusCode::OK, page::of_item(call, &item))),
        Some(Spoilt::Forbidden) => Err(GraphError::new(
            StatusCode::FORBIDDEN,
            "ErrorAccessDenied",
            "Access is denied. Check credentials and try again.",
        )),
        Some(Spoilt::NotFound) => Err(GraphError::item_not_found()),
        Some(Spoilt::Stale) => Ok(answer::json(
            StatusCode::OK,
            item.previous.clone().unwrap_or_else(|| item.entity.clone()),
        )),
    }
}
