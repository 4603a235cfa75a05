//! `users/{id}/contacts`, and the same below a contact folder.

use std::sync::Arc;

use http::{Method, StatusCode};
use tidings_domain::resource::ChangeType;

use super::{
    Answer, GraphError, answer,
    call::Call,
    folders::{self, Of},
    page::{self, Window},
    read,
};
use crate::{
    directory::User,
    mailbox::item::Item,
    notify::{self, Changed},
};

/// How many contacts a page holds unless `$top` says otherwise (Microsoft's "list contacts" page).
const PAGE: usize = 10;

/// Lists or makes contacts: in the folder that every mailbox has, unless the path names another.
pub(super) fn collection(
    call: &Call<'_>,
    method: &Method,
    user: &str,
    folder: Option<&str>,
) -> Answer {
    call.caller.need("Contacts", *method != Method::GET)?;
    let user = call.user(user)?;
    let folder = folder_id(&user, folder)?;
    match *method {
        Method::GET => {
            call.refuse_options()?;
            let window = Window::read(call, PAGE)?;
            let (items, more) = user
                .mailbox
                .contacts
                .newest(window.skip, window.top, |item| item.place.folder == folder);
            let context = format!("users('{}')/contacts", user.id);
            Ok(answer::json(
                StatusCode::OK,
                page::of_items(call, &context, &items, window, more),
            ))
        }
        Method::POST => {
            let stamp = user.stamp(call.moment(), &*call.world.entropy);
            let item = user
                .mailbox
                .create_contact(call.members()?, &folder, &stamp)?;
            raise(call, &user, &item, ChangeType::Created);
            Ok(answer::json(StatusCode::CREATED, item.entity.clone()))
        }
        _ => Err(answer::method_not_allowed()),
    }
}

/// Reads, changes or removes a contact, of any folder unless the path names one.
pub(super) fn single(
    call: &Call<'_>,
    method: &Method,
    user: &str,
    folder: Option<&str>,
    id: &str,
) -> Answer {
    call.caller.need("Contacts", *method != Method::GET)?;
    let user = call.user(user)?;
    let folder = folder
        .map(|name| folder_id(&user, Some(name)))
        .transpose()?;
    let found = user.mailbox.contacts.get(id);
    let found = found.filter(|item| folder.as_ref().is_none_or(|id| *id == item.place.folder));
    if *method == Method::GET {
        return read::item(call, found);
    }
    let found = found.ok_or_else(GraphError::item_not_found)?;
    match *method {
        Method::PATCH => {
            let stamp = user.stamp(call.moment(), &*call.world.entropy);
            let item = user
                .mailbox
                .update_contact(&found.id, call.members()?, &stamp)?
                .ok_or_else(GraphError::item_not_found)?;
            raise(call, &user, &item, ChangeType::Updated);
            Ok(answer::json(StatusCode::OK, item.entity.clone()))
        }
        Method::DELETE => {
            let item = user
                .mailbox
                .contacts
                .remove(&found.id, call.moment())
                .ok_or_else(GraphError::item_not_found)?;
            raise(call, &user, &item, ChangeType::Deleted);
            Ok(answer::empty(StatusCode::NO_CONTENT))
        }
        _ => Err(answer::method_not_allowed()),
    }
}

fn folder_id(user: &User, name: Option<&str>) -> Result<Arc<str>, GraphError> {
    let folder = folders::find(user, Of::Contacts, name.unwrap_or("contacts"))?;
    Ok(Arc::clone(&folder.id))
}

fn raise(call: &Call<'_>, user: &User, item: &Item, change: ChangeType) {
    notify::changed(
        call.world,
        call.caller.tenant.id,
        Changed::Contact(user, item),
        change,
    );
}
