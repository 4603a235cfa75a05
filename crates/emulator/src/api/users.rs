//! `users`, `users/{id}`, and deletion for good.

use http::{Method, StatusCode};
use serde_json::Value;
use tidings_domain::resource::ChangeType;

use super::{
    Answer, GraphError, answer,
    call::Call,
    page::{self, Window},
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
            user.update(members);
            let user = call.caller.tenant.add_user(user).map_err(|_| {
                GraphError::new(
                    StatusCode::BAD_REQUEST,
                    "Request_BadRequest",
                    "Another object with the same value for property userPrincipalName already exists.",
                )
            })?;
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
        Method::GET => Ok(answer::json(
            StatusCode::OK,
            page::of_item(call, &user.profile()),
        )),
        Method::PATCH => {
            user.update(call.members()?);
            raise(call, &user, ChangeType::Updated);
            Ok(answer::empty(StatusCode::NO_CONTENT))
        }
        Method::DELETE => {
            let user = call
                .caller
                .tenant
                .delete_user(user.id)
                .ok_or_else(|| GraphError::user_not_found(name))?;
            raise(call, &user, ChangeType::Updated);
            Ok(answer::empty(StatusCode::NO_CONTENT))
        }
        _ => Err(answer::method_not_allowed()),
    }
}

/// Deletes a deleted user for good: that is what Graph calls `deleted`.
pub(super) fn purge(call: &Call<'_>, id: &str) -> Answer {
    call.caller.need("User", true)?;
    let user = id
        .parse()
        .ok()
        .and_then(|id| call.caller.tenant.purge_user(id))
        .ok_or_else(|| GraphError::user_not_found(id))?;
    raise(call, &user, ChangeType::Deleted);
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

fn raise(call: &Call<'_>, user: &User, change: ChangeType) {
    let tenant = call.caller.tenant.id;
    notify::changed(call.world, tenant, Changed::User(tenant, user), change);
}
