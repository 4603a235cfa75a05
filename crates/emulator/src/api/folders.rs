//! `mailFolders` and `contactFolders` of a user, folders in folders.

use std::sync::Arc;

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
    mailbox::{
        folder::{Folder, Folders, with_counts},
        item::Item,
    },
    notify::{self, Changed},
};

/// How many folders a page holds unless `$top` says otherwise (Microsoft's "list mailFolders" page).
const PAGE: usize = 10;

/// What lies in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    Contacts,
    Mail,
}

/// Lists or makes folders, in `parent` or at the top.
pub(super) fn collection(
    call: &Call<'_>,
    method: &Method,
    of: Of,
    user: &str,
    parent: Option<&str>,
) -> Answer {
    call.caller.need(of.family(), *method != Method::GET)?;
    let user = call.user(user)?;
    let folders = of.folders(&user);
    let parent = parent.map(|name| find(&user, of, name)).transpose()?;
    match *method {
        Method::GET => {
            call.refuse_options()?;
            let window = Window::read(call, PAGE)?;
            let all = folders.below(parent.as_deref().map(|parent| &*parent.id));
            let (page, more) = window.cut(&all);
            let context = format!("users('{}')/{}", user.id, of.segment());
            let values = page.iter().map(|folder| json(&user, of, &folder.item));
            Ok(answer::json(
                StatusCode::OK,
                page::of_values(call, &context, values, window, more),
            ))
        }
        Method::POST => {
            let name = display_name(call)?;
            let folder = folders.create(
                parent.as_deref(),
                &name,
                &*call.world.entropy,
                call.moment(),
            );
            Ok(entity(StatusCode::CREATED, &user, of, &folder))
        }
        _ => Err(answer::method_not_allowed()),
    }
}

/// Reads, renames or removes a folder with all that lies in it.
pub(super) fn single(call: &Call<'_>, method: &Method, of: Of, user: &str, name: &str) -> Answer {
    call.caller.need(of.family(), *method != Method::GET)?;
    let user = call.user(user)?;
    let folder = find(&user, of, name)?;
    match *method {
        Method::GET => Ok(entity(StatusCode::OK, &user, of, &folder)),
        Method::PATCH => {
            let name = display_name(call)?;
            let renamed = of
                .folders(&user)
                .rename(&folder.id, &name, call.moment())
                .ok_or_else(GraphError::item_not_found)?;
            Ok(entity(StatusCode::OK, &user, of, &renamed))
        }
        Method::DELETE => {
            let removed = match of {
                Of::Contacts => user.mailbox.remove_contact_folder(&folder, call.moment()),
                Of::Mail => user.mailbox.remove_mail_folder(&folder, call.moment()),
            };
            let removed = removed.ok_or_else(|| {
                GraphError::new(
                    StatusCode::BAD_REQUEST,
                    "ErrorDeleteDistinguishedFolder",
                    "Distinguished folders cannot be deleted.",
                )
            })?;
            for item in &removed {
                let changed = match of {
                    Of::Contacts => Changed::Contact(&user, item),
                    Of::Mail => Changed::Message(&user, item),
                };
                let tenant = call.caller.tenant.id;
                notify::changed(call.world, tenant, changed, ChangeType::Deleted);
            }
            Ok(answer::empty(StatusCode::NO_CONTENT))
        }
        _ => Err(answer::method_not_allowed()),
    }
}

/// The folder that a path calls by its id or its well-known name.
pub(super) fn find(user: &User, of: Of, name: &str) -> Result<Arc<Folder>, GraphError> {
    of.folders(user)
        .find(name)
        .ok_or_else(GraphError::item_not_found)
}

/// The JSON of a folder, with the numbers of what lies in it where it shows them.
pub(super) fn json(user: &User, of: Of, folder: &Item) -> Value {
    if of == Of::Contacts {
        return Value::Object(folder.fields.clone());
    }
    let mailbox = &user.mailbox;
    let messages = mailbox
        .messages
        .all(|message| message.place.folder == folder.id);
    let unread = messages
        .iter()
        .filter(|message| message.fields.get("isRead") == Some(&Value::Bool(false)))
        .count();
    let children = mailbox.folders.below(Some(&folder.id)).len();
    with_counts(&folder.fields, children, messages.len(), unread)
}

impl Of {
    /// The folders of a user.
    pub(super) fn folders(self, user: &User) -> &Folders {
        match self {
            Self::Contacts => &user.mailbox.contact_folders,
            Self::Mail => &user.mailbox.folders,
        }
    }

    /// The family of permissions.
    pub(super) const fn family(self) -> &'static str {
        match self {
            Self::Contacts => "Contacts",
            Self::Mail => "Mail",
        }
    }

    const fn segment(self) -> &'static str {
        match self {
            Self::Contacts => "contactFolders",
            Self::Mail => "mailFolders",
        }
    }
}

fn entity(
    status: StatusCode,
    user: &User,
    of: Of,
    folder: &Folder,
) -> http::Response<http_body_util::Full<bytes::Bytes>> {
    let mut entity = json(user, of, &folder.item);
    entity["@odata.context"] = format!(
        "https://graph.microsoft.com/v1.0/$metadata#users('{}')/{}/$entity",
        user.id,
        of.segment()
    )
    .into();
    answer::json(status, entity.to_string().into())
}

fn display_name(call: &Call<'_>) -> Result<String, GraphError> {
    let members = call.members()?;
    let name = members.get("displayName").and_then(Value::as_str);
    name.filter(|name| !name.is_empty())
        .map(str::to_owned)
        .ok_or_else(|| GraphError::invalid("displayName is missing."))
}
