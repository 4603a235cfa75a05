//! Changes to mailboxes without a token.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tidings_domain::resource::ChangeType;
use uuid::Uuid;

use super::{ControlError, directory::find_user};
use crate::{
    directory::User,
    mailbox::{folder::Folders, item::Item},
    notify::{self, Changed},
    world::World,
};

/// What lies in a mailbox.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub enum MailboxItem {
    /// A contact; made in the folder that every mailbox has.
    #[serde(rename = "contacts")]
    Contact,
    /// A calendar event.
    #[serde(rename = "events")]
    Event,
    /// A message; made by arriving in the inbox.
    #[serde(rename = "messages")]
    Message,
}

/// What can have folders.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub enum FolderOf {
    /// Contacts.
    #[serde(rename = "contactFolders")]
    Contacts,
    /// Mail.
    #[serde(rename = "mailFolders")]
    Mail,
}

/// Makes an item; in `folder`, by id or well-known name, if it is given.
pub(crate) fn create(
    world: &Arc<World>,
    user: Uuid,
    kind: MailboxItem,
    folder: Option<&str>,
    members: Map<String, Value>,
) -> Result<Arc<Item>, ControlError> {
    let (tenant, user) = find_user(world, user)?;
    let stamp = user.stamp(world.moment(), &*world.entropy);
    let mailbox = &user.mailbox;
    let place = |folders: &Folders, usual: &str| {
        let found = folders.find(folder.unwrap_or(usual));
        let found = found.ok_or(ControlError::NotFound("folder"))?;
        Ok::<_, ControlError>(Arc::clone(&found.id))
    };
    let item = match kind {
        MailboxItem::Contact => {
            let folder = place(&mailbox.contact_folders, "contacts")?;
            mailbox.create_contact(members, &folder, &stamp)?
        }
        MailboxItem::Event => mailbox.create_event(members, &stamp)?,
        MailboxItem::Message => {
            let folder = place(&mailbox.folders, "inbox")?;
            mailbox.create_message(members, &folder, false, &stamp)?
        }
    };
    raise(world, tenant, &user, kind, &item, ChangeType::Created);
    Ok(item)
}

/// Changes an item.
pub(crate) fn update(
    world: &Arc<World>,
    user: Uuid,
    kind: MailboxItem,
    id: &str,
    members: Map<String, Value>,
) -> Result<Arc<Item>, ControlError> {
    let (tenant, user) = find_user(world, user)?;
    let stamp = user.stamp(world.moment(), &*world.entropy);
    let mailbox = &user.mailbox;
    let item = match kind {
        MailboxItem::Contact => mailbox.update_contact(id, members, &stamp)?,
        MailboxItem::Event => mailbox.update_event(id, members, &stamp)?,
        MailboxItem::Message => mailbox.update_message(id, members, &stamp)?,
    };
    let item = item.ok_or(ControlError::NotFound("item"))?;
    raise(world, tenant, &user, kind, &item, ChangeType::Updated);
    Ok(item)
}

/// Removes an item.
pub(crate) fn remove(
    world: &Arc<World>,
    user: Uuid,
    kind: MailboxItem,
    id: &str,
) -> Result<(), ControlError> {
    let (tenant, user) = find_user(world, user)?;
    let items = match kind {
        MailboxItem::Contact => &user.mailbox.contacts,
        MailboxItem::Event => &user.mailbox.events,
        MailboxItem::Message => &user.mailbox.messages,
    };
    let item = items
        .remove(id, world.moment())
        .ok_or(ControlError::NotFound("item"))?;
    raise(world, tenant, &user, kind, &item, ChangeType::Deleted);
    Ok(())
}

/// Moves a message to another folder, where it has another id; the new one.
pub(crate) fn move_message(
    world: &Arc<World>,
    user: Uuid,
    id: &str,
    folder: &str,
) -> Result<Arc<Item>, ControlError> {
    let (tenant, user) = find_user(world, user)?;
    let folder = user
        .mailbox
        .folders
        .find(folder)
        .ok_or(ControlError::NotFound("folder"))?;
    let stamp = user.stamp(world.moment(), &*world.entropy);
    let (old, new) = user
        .mailbox
        .move_message(id, &folder.id, &stamp)
        .ok_or(ControlError::NotFound("item"))?;
    notify::moved(world, tenant, &user, &old, &new);
    Ok(new)
}

/// Every item there is, oldest first.
pub(crate) fn all(
    world: &World,
    user: Uuid,
    kind: MailboxItem,
) -> Result<Vec<Arc<Item>>, ControlError> {
    let (_, user) = find_user(world, user)?;
    let items = match kind {
        MailboxItem::Contact => &user.mailbox.contacts,
        MailboxItem::Event => &user.mailbox.events,
        MailboxItem::Message => &user.mailbox.messages,
    };
    Ok(items.all(|_| true))
}

/// Makes a folder, in `parent` if it is given; its id.
pub(crate) fn create_folder(
    world: &World,
    user: Uuid,
    of: FolderOf,
    parent: Option<&str>,
    name: &str,
) -> Result<String, ControlError> {
    let (_, user) = find_user(world, user)?;
    let folders = match of {
        FolderOf::Contacts => &user.mailbox.contact_folders,
        FolderOf::Mail => &user.mailbox.folders,
    };
    let find = |name| folders.find(name).ok_or(ControlError::NotFound("folder"));
    let parent = parent.map(find).transpose()?;
    let folder = folders.create(parent.as_deref(), name, &*world.entropy, world.moment());
    Ok(folder.id.to_string())
}

/// Forgets the states of delta queries on a user's mailbox and drive, or on all.
pub(crate) fn evict(world: &World, user: Option<Uuid>) -> Result<(), ControlError> {
    if let Some(user) = user {
        let (_, user) = find_user(world, user)?;
        user.mailbox.evict();
        user.drive.evict();
        return Ok(());
    }
    for tenant in world.directory.tenants() {
        for user in tenant.users() {
            user.mailbox.evict();
            user.drive.evict();
        }
    }
    Ok(())
}

fn raise(
    world: &Arc<World>,
    tenant: Uuid,
    user: &User,
    kind: MailboxItem,
    item: &Item,
    change: ChangeType,
) {
    let what = match kind {
        MailboxItem::Contact => Changed::Contact(user, item),
        MailboxItem::Event => Changed::Event(user, item),
        MailboxItem::Message => Changed::Message(user, item),
    };
    notify::changed(world, tenant, what, change);
}

type Made = Result<(StatusCode, Json<Map<String, Value>>), ControlError>;

fn made(status: StatusCode, item: &Item) -> (StatusCode, Json<Map<String, Value>>) {
    (status, Json(item.fields.clone()))
}

pub(super) async fn create_item(
    State(world): State<Arc<World>>,
    Path((user, kind)): Path<(Uuid, MailboxItem)>,
    Json(members): Json<Map<String, Value>>,
) -> Made {
    let item = create(&world, user, kind, None, members)?;
    Ok(made(StatusCode::CREATED, &item))
}

pub(super) async fn update_item(
    State(world): State<Arc<World>>,
    Path((user, kind, id)): Path<(Uuid, MailboxItem, String)>,
    Json(members): Json<Map<String, Value>>,
) -> Made {
    let item = update(&world, user, kind, &id, members)?;
    Ok(made(StatusCode::OK, &item))
}

pub(super) async fn delete_item(
    State(world): State<Arc<World>>,
    Path((user, kind, id)): Path<(Uuid, MailboxItem, String)>,
) -> Result<StatusCode, ControlError> {
    remove(&world, user, kind, &id)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Where to move a message.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Move {
    folder: String,
}

pub(super) async fn move_item(
    State(world): State<Arc<World>>,
    Path((user, id)): Path<(Uuid, String)>,
    Json(to): Json<Move>,
) -> Made {
    let item = move_message(&world, user, &id, &to.folder)?;
    Ok(made(StatusCode::CREATED, &item))
}

/// A folder to make.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewFolder {
    of: FolderOf,
    name: String,
    #[serde(default)]
    parent: Option<String>,
}

pub(super) async fn make_folder(
    State(world): State<Arc<World>>,
    Path(user): Path<Uuid>,
    Json(new): Json<NewFolder>,
) -> Result<(StatusCode, Json<Value>), ControlError> {
    let id = create_folder(&world, user, new.of, new.parent.as_deref(), &new.name)?;
    Ok((StatusCode::CREATED, Json(serde_json::json!({"id": id}))))
}

/// Whose states of delta queries to forget.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Evict {
    #[serde(default)]
    user: Option<Uuid>,
}

pub(super) async fn evict_states(
    State(world): State<Arc<World>>,
    Json(whose): Json<Evict>,
) -> Result<StatusCode, ControlError> {
    evict(&world, whose.user)?;
    Ok(StatusCode::NO_CONTENT)
}
