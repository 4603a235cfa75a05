//! `users/{id}/events`, `users/{id}/events/{id}`, `users/{id}/calendarView`.

use http::{Method, StatusCode};
use tidings_domain::{Timestamp, resource::ChangeType};

use super::{
    Answer, GraphError, answer,
    call::Call,
    page::{self, Window},
    read,
};
use crate::{
    directory::User,
    mailbox::event_instant,
    notify::{self, Changed},
};

/// How many events a page holds unless `$top` says otherwise (Microsoft's "list events" page).
const PAGE: usize = 10;

/// Lists or makes events.
pub(super) fn collection(call: &Call<'_>, method: &Method, user: &str) -> Answer {
    call.caller.need("Calendars", *method != Method::GET)?;
    let user = call.user(user)?;
    match *method {
        Method::GET => {
            call.refuse_options()?;
            let window = Window::read(call, PAGE)?;
            let (items, more) = user
                .mailbox
                .events
                .newest(window.skip, window.top, |_| true);
            let context = format!("users('{}')/events", user.id);
            Ok(answer::json(
                StatusCode::OK,
                page::of_items(call, &context, &items, window, more),
            ))
        }
        Method::POST => {
            let stamp = user.stamp(call.moment(), &*call.world.entropy);
            let item = user.mailbox.create_event(call.members()?, &stamp)?;
            raise(call, &user, &item, ChangeType::Created);
            Ok(answer::json(StatusCode::CREATED, item.entity.clone()))
        }
        _ => Err(answer::method_not_allowed()),
    }
}

/// Reads, changes or removes an event.
pub(super) fn single(call: &Call<'_>, method: &Method, user: &str, id: &str) -> Answer {
    call.caller.need("Calendars", *method != Method::GET)?;
    let user = call.user(user)?;
    match *method {
        Method::GET => read::item(call, user.mailbox.events.get(id)),
        Method::PATCH => {
            let stamp = user.stamp(call.moment(), &*call.world.entropy);
            let item = user
                .mailbox
                .update_event(id, call.members()?, &stamp)?
                .ok_or_else(GraphError::item_not_found)?;
            raise(call, &user, &item, ChangeType::Updated);
            Ok(answer::json(StatusCode::OK, item.entity.clone()))
        }
        Method::DELETE => {
            let item = user
                .mailbox
                .events
                .remove(id, call.moment())
                .ok_or_else(GraphError::item_not_found)?;
            raise(call, &user, &item, ChangeType::Deleted);
            Ok(answer::empty(StatusCode::NO_CONTENT))
        }
        _ => Err(answer::method_not_allowed()),
    }
}

/// Lists the events that lie, at least in part, between two points in time. Series are not expanded: the emulator has
/// single events only.
pub(super) fn calendar_view(call: &Call<'_>, user: &str) -> Answer {
    call.caller.need("Calendars", false)?;
    let user = call.user(user)?;
    call.refuse_options()?;
    let (from, to) = window(call)?;
    let mut items = user
        .mailbox
        .events
        .all(|event| event.place.start < to && event.place.end > from);
    items.sort_by_key(|event| event.place.start);
    let window = Window::read(call, PAGE)?;
    let (page, more) = window.cut(&items);
    let context = format!("users('{}')/calendarView", user.id);
    Ok(answer::json(
        StatusCode::OK,
        page::of_items(call, &context, page, window, more),
    ))
}

/// From when until when a calendar view is.
pub(super) fn window(call: &Call<'_>) -> Result<(Timestamp, Timestamp), GraphError> {
    let moment = |name: &str| {
        let text = call.parameter(name).ok_or_else(|| {
            GraphError::new(
                StatusCode::BAD_REQUEST,
                "ErrorInvalidParameter",
                "This request requires a time window specified by the query string parameters StartDateTime and \
                 EndDateTime.",
            )
        })?;
        event_instant(text).ok_or_else(|| {
            GraphError::new(
                StatusCode::BAD_REQUEST,
                "ErrorInvalidParameter",
                format!("The value '{text}' of parameter '{name}' is invalid."),
            )
        })
    };
    Ok((moment("startDateTime")?, moment("endDateTime")?))
}

fn raise(call: &Call<'_>, user: &User, item: &crate::mailbox::item::Item, change: ChangeType) {
    notify::changed(
        call.world,
        call.caller.tenant.id,
        Changed::Event(user, item),
        change,
    );
}
