//! Changes to mailboxes without a token.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use http::StatusCode;
use serde_json::{Map, Value};
use tidings_domain::resource::ChangeType;
use uuid::Uuid;

use super::{ControlError, directory::find_user};
use crate::{
    mailbox::item::Item,
    notify::{self, Changed},
    world::World,
};

/// Lets a message arrive in an inbox.
pub(crate) fn receive(
    world: &Arc<World>,
    user: Uuid,
    members: Map<String, Value>,
) -> Result<Arc<Item>, ControlError> {
    let (tenant, user) = find_user(world, user)?;
    let inbox = user
        .mailbox
        .folders
        .find("inbox")
        .ok_or(ControlError::NotFound("folder"))?;
    let stamp = user.stamp(world.clock.now(), &*world.entropy);
    let item = user
        .mailbox
        .create_message(members, &inbox.id, false, &stamp)?;
    notify::changed(
        world,
        tenant,
        Changed::Message(&user, &item),
        ChangeType::Created,
    );
    Ok(item)
}

/// Puts an event into a calendar.
pub(crate) fn add_event(
    world: &Arc<World>,
    user: Uuid,
    members: Map<String, Value>,
) -> Result<Arc<Item>, ControlError> {
    let (tenant, user) = find_user(world, user)?;
    let stamp = user.stamp(world.clock.now(), &*world.entropy);
    let item = user.mailbox.create_event(members, &stamp)?;
    notify::changed(
        world,
        tenant,
        Changed::Event(&user, &item),
        ChangeType::Created,
    );
    Ok(item)
}

/// Changes an event.
pub(crate) fn change_event(
    world: &Arc<World>,
    user: Uuid,
    id: &str,
    members: Map<String, Value>,
) -> Result<Arc<Item>, ControlError> {
    let (tenant, user) = find_user(world, user)?;
    let stamp = user.stamp(world.clock.now(), &*world.entropy);
    let item = user
        .mailbox
        .update_event(id, members, &stamp)?
        .ok_or(ControlError::NotFound("event"))?;
    notify::changed(
        world,
        tenant,
        Changed::Event(&user, &item),
        ChangeType::Updated,
    );
    Ok(item)
}

/// Removes an event.
pub(crate) fn remove_event(world: &Arc<World>, user: Uuid, id: &str) -> Result<(), ControlError> {
    let (tenant, user) = find_user(world, user)?;
    let item = user
        .mailbox
        .events
        .remove(id)
        .ok_or(ControlError::NotFound("event"))?;
    notify::changed(
        world,
        tenant,
        Changed::Event(&user, &item),
        ChangeType::Deleted,
    );
    Ok(())
}

type Made = Result<(StatusCode, Json<Map<String, Value>>), ControlError>;

fn made(status: StatusCode, item: &Item) -> (StatusCode, Json<Map<String, Value>>) {
    (status, Json(item.fields.clone()))
}

pub(super) async fn create_message(
    State(world): State<Arc<World>>,
    Path(user): Path<Uuid>,
    Json(members): Json<Map<String, Value>>,
) -> Made {
    let item = receive(&world, user, members)?;
    Ok(made(StatusCode::CREATED, &item))
}

pub(super) async fn create_event(
    State(world): State<Arc<World>>,
    Path(user): Path<Uuid>,
    Json(members): Json<Map<String, Value>>,
) -> Made {
    let item = add_event(&world, user, members)?;
    Ok(made(StatusCode::CREATED, &item))
}

pub(super) async fn update_event(
    State(world): State<Arc<World>>,
    Path((user, id)): Path<(Uuid, String)>,
    Json(members): Json<Map<String, Value>>,
) -> Made {
    let item = change_event(&world, user, &id, members)?;
    Ok(made(StatusCode::OK, &item))
}

pub(super) async fn delete_event(
    State(world): State<Arc<World>>,
    Path((user, id)): Path<(Uuid, String)>,
) -> Result<StatusCode, ControlError> {
    remove_event(&world, user, &id)?;
    Ok(StatusCode::NO_CONTENT)
}
