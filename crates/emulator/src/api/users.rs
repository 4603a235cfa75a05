//! `users`, `users/{id}`, and what can be done to deleted ones.

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::Value;
use tidings_domain::resource::ChangeType;
use uuid::Uuid;

use super::{
    Answer, GraphError, answer,
    call::Call,
    page::{self, Window},
    read,
};
use crate::{
    directory::User,
    notify::{self, Changed},
};

/// How many users a page holds unless `$top` says otherwise (Microsoft's "list users" page).
const PAGE: usize = 100;

/// Lists or adds users. Graph says a creation as `updated`.
pub(super) fn collection(call: &Call<'_>, method: &Method) -> Answer {
    call.caller.need("User", *method != Method::GET)?;
    match *method {
        Method::GET => {
            call.refuse_options()?;
            let window = Window::read(call, PAGE)?;
            let users = call.caller.tenant.users();
            let (page, more) = window.cut(&users);
            let profiles: Vec<_> = page.iter().map(|user| user.profile()).collect();
            Ok(answer::json(
                StatusCode::OK,
                page::of_items(call, "users", &profiles, window, more),
            ))
        }
        Method::POST => {
            let members = call.members()?;
            let text = |name: &str| members.get(name).and_then(Value::as_str).map(str::to_owned);
            let mail = text("mail")
                .or_else(|| text("userPrincipalName"))
                .ok_or_else(|| {
                    GraphError::invalid(
                        "A value is required for property 'userPrincipalName' of resource 'User'.",
                    )
                })?;
            let name = text("displayName").unwrap_or_else(|| mail.clone());
            let user = User::new(call.world.guid(), mail, name, &*call.world.entropy);
            let user = user.with(members);
            let user = call
                .caller
                .tenant
                .add_user(user, call.moment())
                .map_err(|_| exists())?;
            raise(call, &user, ChangeType::Updated);
            Ok(answer::json(StatusCode::CREATED, user.entity()))
        }
        _ => Err(answer::method_not_allowed()),
    }
}

/// Reads, changes or deletes a user. Graph says a deletion that can be undone as `updated`.
pub(super) fn single(call: &Call<'_>, method: &Method, name: &str) -> Answer {
    call.caller.need("User", *method != Method::GET)?;
    let user = call.user(name)?;
    match *method {
        Method::GET => read::object(call, Some(user.profile()), name),
        Method::PATCH => {
            call.caller
                .tenant
                .update_user(&user, call.members()?, call.moment());
            raise(call, &user, ChangeType::Updated);
            Ok(answer::empty(StatusCode::NO_CONTENT))
        }
        Method::DELETE => {
            let user = call
                .caller
                .tenant
                .delete_user(user.id, call.moment())
                .ok_or_else(|| GraphError::user_not_found(name))?;
            raise(call, &user, ChangeType::Updated);
            Ok(answer::empty(StatusCode::NO_CONTENT))
        }
        _ => Err(answer::method_not_allowed()),
    }
}

/// Deletes a deleted user for good, which is what Graph calls `deleted`; whether there was one.
pub(super) fn purge(call: &Call<'_>, id: Uuid) -> Result<bool, GraphError> {
    if !call.caller.tenant.is_deleted_user(id) {
        return Ok(false);
    }
    call.caller.need("User", true)?;
    let Some(user) = call.caller.tenant.purge_user(id, call.moment()) else {
        return Ok(false);
    };
    raise(call, &user, ChangeType::Deleted);
    Ok(true)
}

/// Brings a deleted user back; their JSON. Graph says it as `updated`.
pub(super) fn restore(call: &Call<'_>, id: Uuid) -> Result<Option<Bytes>, GraphError> {
    if !call.caller.tenant.is_deleted_user(id) {
        return Ok(None);
    }
    call.caller.need("User", true)?;
    let restored = call.caller.tenant.restore_user(id, call.moment());
    let Some(user) = restored.map_err(|_| exists())? else {
        return Ok(None);
    };
    raise(call, &user, ChangeType::Updated);
    Ok(Some(user.entity()))
}

fn exists() -> GraphError {
    GraphError::new(
        StatusCode::BAD_REQUEST,
        "Request_BadRequest",
        "Another object with the same value for property userPrincipalName already exists.",
    )
}

fn raise(call: &Call<'_>, user: &User, change: ChangeType) {
    let tenant = call.caller.tenant.id;
    notify::changed(call.world, tenant, Changed::User(tenant, user), change);
}
