//! Users, changed without a token and with notifications.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use http::StatusCode;
use serde_json::{Map, Value};
use tidings_domain::resource::ChangeType;
use uuid::Uuid;

use super::{
    ControlError,
    directory::{add_user, find_user},
};
use crate::{
    NewUser, UserInfo,
    directory::User,
    notify::{self, Changed},
    world::World,
};

const USER: ControlError = ControlError::NotFound("user");

/// Adds a user, which Graph says as `updated`.
pub(crate) fn create(
    world: &Arc<World>,
    tenant: Uuid,
    new: NewUser,
) -> Result<UserInfo, ControlError> {
    let info = add_user(world, tenant, new)?;
    let (tenant, user) = find_user(world, info.id)?;
    raise(world, tenant, &user, ChangeType::Updated);
    Ok(info)
}

/// Changes members of a user's profile.
pub(crate) fn update(
    world: &Arc<World>,
    id: Uuid,
    members: Map<String, Value>,
) -> Result<(), ControlError> {
    let (tenant, user) = find_user(world, id)?;
    let found = world.directory.tenant_by_id(tenant).ok_or(USER)?;
    found.update_user(&user, members, world.moment());
    raise(world, tenant, &user, ChangeType::Updated);
    Ok(())
}

/// Deletes a user so that they can be restored, which Graph says as `updated`.
pub(crate) fn delete(world: &Arc<World>, id: Uuid) -> Result<(), ControlError> {
    let mut tenants = world.directory.tenants().into_iter();
    let deleted = tenants.find_map(|tenant| {
        let user = tenant.delete_user(id, world.moment())?;
        Some((tenant.id, user))
    });
    let (tenant, user) = deleted.ok_or(USER)?;
    raise(world, tenant, &user, ChangeType::Updated);
    Ok(())
}

/// Brings a deleted user back, which Graph says as `updated`.
pub(crate) fn restore(world: &Arc<World>, id: Uuid) -> Result<(), ControlError> {
    for tenant in world.directory.tenants() {
        if let Some(user) = tenant.restore_user(id, world.moment())? {
            raise(world, tenant.id, &user, ChangeType::Updated);
            return Ok(());
        }
    }
    Err(USER)
}

/// Deletes a deleted user for good.
pub(crate) fn purge(world: &Arc<World>, id: Uuid) -> Result<(), ControlError> {
    let mut tenants = world.directory.tenants().into_iter();
    let purged = tenants.find_map(|tenant| {
        let user = tenant.purge_user(id, world.moment())?;
        Some((tenant.id, user))
    });
    let (tenant, user) = purged.ok_or(USER)?;
    raise(world, tenant, &user, ChangeType::Deleted);
    Ok(())
}

fn raise(world: &Arc<World>, tenant: Uuid, user: &User, change: ChangeType) {
    notify::changed(world, tenant, Changed::User(tenant, user), change);
}

pub(super) async fn update_user(
    State(world): State<Arc<World>>,
    Path(id): Path<Uuid>,
    Json(members): Json<Map<String, Value>>,
) -> Result<StatusCode, ControlError> {
    update(&world, id, members).map(|()| StatusCode::NO_CONTENT)
}

pub(super) async fn delete_user(
    State(world): State<Arc<World>>,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, ControlError> {
    delete(&world, id).map(|()| StatusCode::NO_CONTENT)
}

pub(super) async fn restore_user(
    State(world): State<Arc<World>>,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, ControlError> {
    restore(&world, id).map(|()| StatusCode::NO_CONTENT)
}

pub(super) async fn purge_user(
    State(world): State<Arc<World>>,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, ControlError> {
    purge(&world, id).map(|()| StatusCode::NO_CONTENT)
}
