//! `users/{id}/messages`, the same below a mail folder, `move`, `sendMail`.

use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::Value;
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

/// How many messages a page holds unless `$top` says otherwise (Microsoft's "list messages" page).
const PAGE: usize = 10;

/// Lists or makes messages; those that a client makes are drafts.
pub(super) fn collection(
    call: &Call<'_>,
    method: &Method,
    user: &str,
    folder: Option<&str>,
) -> Answer {
    call.caller.need("Mail", *method != Method::GET)?;
    let user = call.user(user)?;
    let folder = folder.map(|name| folder_id(&user, name)).transpose()?;
    match *method {
        Method::GET => {
            call.refuse_options()?;
            let window = Window::read(call, PAGE)?;
            let within = |item: &Item| folder.as_ref().is_none_or(|id| *id == item.place.folder);
            let (items, more) = user
                .mailbox
                .messages
                .newest(window.skip, window.top, within);
            let context = format!("users('{}')/messages", user.id);
            Ok(answer::json(
                StatusCode::OK,
                page::of_items(call, &context, &items, window, more),
            ))
        }
        Method::POST => {
            let folder = match folder {
                Some(folder) => folder,
                None => folder_id(&user, "drafts")?,
            };
            let stamp = user.stamp(call.moment(), &*call.world.entropy);
            let item = user
                .mailbox
                .create_message(call.members()?, &folder, true, &stamp)?;
            raise(call, &user, &item, ChangeType::Created);
            Ok(answer::json(StatusCode::CREATED, item.entity.clone()))
        }
        _ => Err(answer::method_not_allowed()),
    }
}

/// Reads, changes or removes a message.
pub(super) fn single(
    call: &Call<'_>,
    method: &Method,
    user: &str,
    folder: Option<&str>,
    id: &str,
) -> Answer {
    call.caller.need("Mail", *method != Method::GET)?;
    let user = call.user(user)?;
    let found = user.mailbox.messages.get(id);
    let folder = folder.map(|name| folder_id(&user, name)).transpose()?;
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
                .update_message(&found.id, call.members()?, &stamp)?
                .ok_or_else(GraphError::item_not_found)?;
            raise(call, &user, &item, ChangeType::Updated);
            Ok(answer::json(StatusCode::OK, item.entity.clone()))
        }
        Method::DELETE => {
            let item = user
                .mailbox
                .messages
                .remove(&found.id, call.moment())
                .ok_or_else(GraphError::item_not_found)?;
            raise(call, &user, &item, ChangeType::Deleted);
            Ok(answer::empty(StatusCode::NO_CONTENT))
        }
        _ => Err(answer::method_not_allowed()),
    }
}

/// Moves a message: it is deleted in one folder and created, with another id, in the other.
pub(super) fn moves(call: &Call<'_>, user: &str, id: &str) -> Answer {
    call.caller.need("Mail", true)?;
    let user = call.user(user)?;
    let members = call.members()?;
    let destination = members
        .get("destinationId")
        .and_then(Value::as_str)
        .ok_or_else(|| GraphError::invalid("destinationId is missing."))?;
    let folder = folder_id(&user, destination)?;
    let stamp = user.stamp(call.moment(), &*call.world.entropy);
    let (old, new) = user
        .mailbox
        .move_message(id, &folder, &stamp)
        .ok_or_else(GraphError::item_not_found)?;
    notify::moved(call.world, call.caller.tenant.id, &user, &old, &new);
    Ok(answer::json(StatusCode::CREATED, new.entity.clone()))
}

/// Sends a mail: it lies in the sender's sent items and in the inbox of each recipient in the tenant.
pub(super) fn send(call: &Call<'_>, user: &str) -> Answer {
    call.caller.need("Mail", true)?;
    let sender = call.user(user)?;
    let mut body = call.members()?;
    let Some(Value::Object(mut message)) = body.remove("message") else {
        return Err(GraphError::invalid("message is missing."));
    };
    let stamp = sender.stamp(call.moment(), &*call.world.entropy);
    message.insert("from".into(), stamp.owner());
    message.insert("sender".into(), stamp.owner());
    if body.get("saveToSentItems") != Some(&Value::Bool(false)) {
        let folder = folder_id(&sender, "sentitems")?;
        let mut sent = message.clone();
        sent.insert("isRead".into(), true.into());
        let item = sender
            .mailbox
            .create_message(sent, &folder, false, &stamp)?;
        raise(call, &sender, &item, ChangeType::Created);
    }
    for recipient in recipients(&message) {
        if let Some(user) = call.caller.tenant.user(&recipient) {
            let folder = folder_id(&user, "inbox")?;
            let stamp = user.stamp(call.moment(), &*call.world.entropy);
            let item = user
                .mailbox
                .create_message(message.clone(), &folder, false, &stamp)?;
            raise(call, &user, &item, ChangeType::Created);
        }
    }
    Ok(answer::empty(StatusCode::ACCEPTED))
}

fn folder_id(user: &User, name: &str) -> Result<Arc<str>, GraphError> {
    Ok(Arc::clone(&folders::find(user, Of::Mail, name)?.id))
}

fn recipients(message: &serde_json::Map<String, Value>) -> Vec<String> {
    ["toRecipients", "ccRecipients", "bccRecipients"]
        .iter()
        .filter_map(|member| message.get(*member)?.as_array())
        .flatten()
        .filter_map(|one| one["emailAddress"]["address"].as_str())
        .map(str::to_owned)
        .collect()
}

fn raise(call: &Call<'_>, user: &User, item: &Item, change: ChangeType) {
    notify::changed(
        call.world,
        call.caller.tenant.id,
        Changed::Message(user, item),
        change,
    );
}
