//! Reading one item, with what faults make of it.

use std::sync::Arc;

use http::StatusCode;

use super::{Answer, GraphError, answer, call::Call, page};
use crate::{fault::Fault, mailbox::item::Item};

enum Spoilt {
    Forbidden,
    NotFound,
    Stale,
}

/// Answers with an item of a mailbox, unless a fault says otherwise.
pub(super) fn item(call: &Call<'_>, item: Option<Arc<Item>>) -> Answer {
    or_missing(call, item, GraphError::item_not_found)
}

/// Answers with an object of the directory, which a path calls `name`, unless a fault says otherwise.
pub(super) fn object(call: &Call<'_>, object: Option<Arc<Item>>, name: &str) -> Answer {
    or_missing(call, object, || GraphError::user_not_found(name))
}

fn or_missing(
    call: &Call<'_>,
    item: Option<Arc<Item>>,
    missing: impl Fn() -> GraphError,
) -> Answer {
    let spoilt = call.world.faults.hit(|fault| match fault {
        Fault::Forbidden { .. } => Some(Spoilt::Forbidden),
        Fault::NotFound { .. } => Some(Spoilt::NotFound),
        Fault::Stale { .. } => Some(Spoilt::Stale),
        _ => None,
    });
    let item = item.ok_or_else(&missing)?;
    match spoilt {
        None => Ok(answer::json(StatusCode::OK, page::of_item(call, &item))),
        Some(Spoilt::Forbidden) => Err(GraphError::new(
            StatusCode::FORBIDDEN,
            "ErrorAccessDenied",
            "Access is denied. Check credentials and try again.",
        )),
        Some(Spoilt::NotFound) => Err(missing()),
        Some(Spoilt::Stale) => Ok(answer::json(
            StatusCode::OK,
            item.previous.clone().unwrap_or_else(|| item.entity.clone()),
        )),
    }
}
