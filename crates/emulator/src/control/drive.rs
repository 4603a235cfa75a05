//! Drives, changed without a token.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value};
use tidings_domain::resource::ChangeType;
use uuid::Uuid;

use super::{ControlError, directory::find_user};
use crate::{
    directory::User,
    drive::DriveError,
    mailbox::item::Item,
    notify::{self, Changed},
    world::World,
};

/// Puts a file of `size` bytes at a path such as `Work/a.txt`, or a folder there if there is no size. Folders on the way
/// are made. The item's JSON.
pub(crate) fn put(
    world: &Arc<World>,
    user: Uuid,
    path: &str,
    size: Option<u64>,
) -> Result<Map<String, Value>, ControlError> {
    let (tenant, user) = find_user(world, user)?;
    let drive = &user.drive;
    let stamp = user.stamp(world.moment(), &*world.entropy);
    let mut names: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
    let file = size.map(|size| (names.pop().unwrap_or_default(), size));
    let mut item = drive.get("root").ok_or(DriveError::NotFound)?;
    let mut changed = Vec::new();
    for name in names {
        item = if let Some(found) = drive.walk(&item.id, [name]) {
            found
        } else {
            let folder = drive.create_folder(&item, name, &stamp)?;
            changed.push(Arc::clone(&folder));
            folder
        };
    }
    if let Some((name, size)) = file {
        item = drive.put_file(&item, name, size, &stamp)?;
        changed.push(Arc::clone(&item));
    }
    if !changed.is_empty() {
        raise(world, tenant, &user, &changed);
    }
    Ok(drive.json(&item))
}

/// Gives an item another name or folder, by the members that Graph takes; its JSON.
pub(crate) fn change(
    world: &Arc<World>,
    user: Uuid,
    id: &str,
    members: &Map<String, Value>,
) -> Result<Map<String, Value>, ControlError> {
    let (tenant, user) = find_user(world, user)?;
    let stamp = user.stamp(world.moment(), &*world.entropy);
    let item = user.drive.change(id, members, &stamp)?;
    raise(world, tenant, &user, std::slice::from_ref(&item));
    Ok(user.drive.json(&item))
}

/// Deletes an item with all that lies in it.
pub(crate) fn delete(world: &Arc<World>, user: Uuid, id: &str) -> Result<(), ControlError> {
    let (tenant, user) = find_user(world, user)?;
    let gone = user.drive.delete(id, world.moment())?;
    raise(world, tenant, &user, &gone);
    Ok(())
}

/// Everything in a drive, the root too, oldest first.
pub(crate) fn all(world: &World, user: Uuid) -> Result<Vec<Value>, ControlError> {
    let (_, user) = find_user(world, user)?;
    let items = user.drive.items.all(|_| true);
    let values = items.iter().map(|item| Value::Object(item.fields.clone()));
    Ok(values.collect())
}

/// The id of a user's drive.
pub(crate) fn id(world: &World, user: Uuid) -> Result<String, ControlError> {
    let (_, user) = find_user(world, user)?;
    Ok(user.drive.id.clone())
}

fn raise(world: &Arc<World>, tenant: Uuid, user: &User, items: &[Arc<Item>]) {
    let what = Changed::Drive(user, items);
    notify::changed(world, tenant, what, ChangeType::Updated);
}

impl From<DriveError> for ControlError {
    fn from(error: DriveError) -> Self {
        match error {
            DriveError::NotFound => Self::NotFound("item"),
            DriveError::Invalid(_) | DriveError::NameTaken => Self::Invalid(error.to_string()),
        }
    }
}

/// What to put where.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Put {
    path: String,
    #[serde(default)]
    size: Option<u64>,
}

pub(super) async fn put_item(
    State(world): State<Arc<World>>,
    Path(user): Path<Uuid>,
    Json(what): Json<Put>,
) -> Result<(StatusCode, Json<Map<String, Value>>), ControlError> {
    let item = put(&world, user, &what.path, what.size)?;
    Ok((StatusCode::CREATED, Json(item)))
}

pub(super) async fn change_item(
    State(world): State<Arc<World>>,
    Path((user, id)): Path<(Uuid, String)>,
    Json(members): Json<Map<String, Value>>,
) -> Result<Json<Map<String, Value>>, ControlError> {
    change(&world, user, &id, &members).map(Json)
}

pub(super) async fn delete_item(
    State(world): State<Arc<World>>,
    Path((user, id)): Path<(Uuid, String)>,
) -> Result<StatusCode, ControlError> {
    delete(&world, user, &id).map(|()| StatusCode::NO_CONTENT)
}
