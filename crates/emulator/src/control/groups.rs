//! Groups, teams and channels, changed without a token.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use http::StatusCode;
use serde_json::{Map, Value};
use tidings_domain::resource::ChangeType;
use uuid::Uuid;

use super::{ControlError, directory::find_tenant};
use crate::{
    directory::Tenant,
    mailbox::item::Item,
    notify::{self, Changed},
    team,
    world::World,
};

const GROUP: ControlError = ControlError::NotFound("group");
const CHANNEL: ControlError = ControlError::NotFound("channel");

/// Makes a group.
pub(crate) fn create(
    world: &Arc<World>,
    tenant: Uuid,
    members: Map<String, Value>,
) -> Result<Arc<Item>, ControlError> {
    let tenant = find_tenant(world, tenant)?;
    let id = world.guid();
    let group = tenant.groups.create(id, members, world.moment());
    raise(world, &tenant, id, &[], ChangeType::Updated);
    Ok(group)
}

/// Changes a group.
pub(crate) fn update(
    world: &Arc<World>,
    id: Uuid,
    members: Map<String, Value>,
) -> Result<Arc<Item>, ControlError> {
    let tenant = of_group(world, id)?;
    let group = tenant.groups.update(id, members, world.moment());
    let group = group.ok_or(GROUP)?;
    raise(world, &tenant, id, &[], ChangeType::Updated);
    Ok(group)
}

/// Deletes a group: so that it can be restored, if it is a Microsoft 365 group.
pub(crate) fn delete(world: &Arc<World>, id: Uuid) -> Result<(), ControlError> {
    let tenant = of_group(world, id)?;
    let deletion = tenant.groups.delete(id, world.moment()).ok_or(GROUP)?;
    team::group_deleted(world, &tenant, id, deletion);
    Ok(())
}

/// Brings a deleted group back.
pub(crate) fn restore(world: &Arc<World>, id: Uuid) -> Result<(), ControlError> {
    let tenants = world.directory.tenants();
    let found = tenants.iter().find(|tenant| {
        let restored = tenant.groups.restore(id, world.moment());
        restored.is_some()
    });
    raise(world, found.ok_or(GROUP)?, id, &[], ChangeType::Updated);
    Ok(())
}

/// Deletes a deleted group for good.
pub(crate) fn purge(world: &Arc<World>, id: Uuid) -> Result<(), ControlError> {
    let tenants = world.directory.tenants();
    let found = tenants
        .iter()
        .find(|tenant| tenant.groups.purge(id, world.moment()));
    raise(world, found.ok_or(GROUP)?, id, &[], ChangeType::Deleted);
    Ok(())
}

/// Puts somebody in a group or takes them out; whether that changed anything.
pub(crate) fn set_member(
    world: &Arc<World>,
    id: Uuid,
    member: Uuid,
    present: bool,
) -> Result<bool, ControlError> {
    let tenant = of_group(world, id)?;
    if tenant.user(&member.to_string()).is_none() {
        return Err(ControlError::NotFound("user"));
    }
    let moment = world.moment();
    let changed = tenant.groups.set_member(id, member, present, moment);
    let changed = changed.ok_or(GROUP)?;
    if changed {
        let members = [(member, present)];
        raise(world, &tenant, id, &members, ChangeType::Updated);
    }
    Ok(changed)
}

/// Every group of a tenant, oldest first.
pub(crate) fn all(world: &World, tenant: Uuid) -> Result<Vec<Arc<Item>>, ControlError> {
    Ok(find_tenant(world, tenant)?.groups.all())
}

/// Makes a group a team.
pub(crate) fn make_team(world: &Arc<World>, group: Uuid) -> Result<(), ControlError> {
    let tenant = of_group(world, group)?;
    let made = team::make(world, &tenant, group);
    made.map(drop)
        .ok_or_else(|| ControlError::Invalid("the group is a team already".to_owned()))
}

/// Makes a channel in a team.
pub(crate) fn create_channel(
    world: &Arc<World>,
    team: Uuid,
    members: Map<String, Value>,
) -> Result<Arc<Item>, ControlError> {
    let tenant = of_group(world, team)?;
    let made = tenant
        .teams
        .add_channel(team, members, &*world.entropy, world.moment());
    let made = made.ok_or(ControlError::NotFound("team"))?;
    raise_channel(world, &tenant, team, &made.id, ChangeType::Created);
    Ok(made)
}

/// Changes a channel.
pub(crate) fn update_channel(
    world: &Arc<World>,
    team: Uuid,
    id: &str,
    members: Map<String, Value>,
) -> Result<Arc<Item>, ControlError> {
    let tenant = of_group(world, team)?;
    let changed = tenant.teams.update_channel(team, id, members);
    let changed = changed.ok_or(CHANNEL)?;
    raise_channel(world, &tenant, team, id, ChangeType::Updated);
    Ok(changed)
}

/// Removes a channel.
pub(crate) fn delete_channel(world: &Arc<World>, team: Uuid, id: &str) -> Result<(), ControlError> {
    let tenant = of_group(world, team)?;
    tenant.teams.remove_channel(team, id).ok_or(CHANNEL)?;
    raise_channel(world, &tenant, team, id, ChangeType::Deleted);
    Ok(())
}

/// Every channel of a team, oldest first.
pub(crate) fn channels(world: &World, team: Uuid) -> Result<Vec<Arc<Item>>, ControlError> {
    let channels = of_group(world, team)?.teams.channels(team);
    channels.ok_or(ControlError::NotFound("team"))
}

fn of_group(world: &World, id: Uuid) -> Result<Arc<Tenant>, ControlError> {
    let tenants = world.directory.tenants();
    let mut found = tenants.into_iter();
    found
        .find(|tenant| tenant.groups.get(id).is_some())
        .ok_or(GROUP)
}

fn raise(
    world: &Arc<World>,
    tenant: &Tenant,
    id: Uuid,
    members: &[(Uuid, bool)],
    change: ChangeType,
) {
    let tenant = tenant.id;
    let what = Changed::Group {
        tenant,
        id,
        members,
    };
    notify::changed(world, tenant, what, change);
}

fn raise_channel(world: &Arc<World>, tenant: &Tenant, team: Uuid, id: &str, change: ChangeType) {
    let tenant = tenant.id;
    let what = Changed::Channel { tenant, team, id };
    notify::changed(world, tenant, what, change);
}

type Made = Result<(StatusCode, Json<Map<String, Value>>), ControlError>;

pub(super) async fn create_group(
    State(world): State<Arc<World>>,
    Path(tenant): Path<Uuid>,
    Json(members): Json<Map<String, Value>>,
) -> Made {
    let group = create(&world, tenant, members)?;
    Ok((StatusCode::CREATED, Json(group.fields.clone())))
}

pub(super) async fn update_group(
    State(world): State<Arc<World>>,
    Path(id): Path<Uuid>,
    Json(members): Json<Map<String, Value>>,
) -> Made {
    let group = update(&world, id, members)?;
    Ok((StatusCode::OK, Json(group.fields.clone())))
}

pub(super) async fn delete_group(
    State(world): State<Arc<World>>,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, ControlError> {
    delete(&world, id).map(|()| StatusCode::NO_CONTENT)
}

pub(super) async fn restore_group(
    State(world): State<Arc<World>>,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, ControlError> {
    restore(&world, id).map(|()| StatusCode::NO_CONTENT)
}

pub(super) async fn purge_group(
    State(world): State<Arc<World>>,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, ControlError> {
    purge(&world, id).map(|()| StatusCode::NO_CONTENT)
}

pub(super) async fn add_member(
    State(world): State<Arc<World>>,
    Path((id, member)): Path<(Uuid, Uuid)>,
) -> Result<StatusCode, ControlError> {
    set_member(&world, id, member, true).map(|_| StatusCode::NO_CONTENT)
}

pub(super) async fn remove_member(
    State(world): State<Arc<World>>,
    Path((id, member)): Path<(Uuid, Uuid)>,
) -> Result<StatusCode, ControlError> {
    set_member(&world, id, member, false).map(|_| StatusCode::NO_CONTENT)
}

pub(super) async fn put_team(
    State(world): State<Arc<World>>,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, ControlError> {
    make_team(&world, id).map(|()| StatusCode::CREATED)
}

pub(super) async fn add_channel(
    State(world): State<Arc<World>>,
    Path(team): Path<Uuid>,
    Json(members): Json<Map<String, Value>>,
) -> Made {
    let channel = create_channel(&world, team, members)?;
    Ok((StatusCode::CREATED, Json(channel.fields.clone())))
}

pub(super) async fn change_channel(
    State(world): State<Arc<World>>,
    Path((team, id)): Path<(Uuid, String)>,
    Json(members): Json<Map<String, Value>>,
) -> Made {
    let channel = update_channel(&world, team, &id, members)?;
    Ok((StatusCode::OK, Json(channel.fields.clone())))
}

pub(super) async fn remove_channel(
    State(world): State<Arc<World>>,
    Path((team, id)): Path<(Uuid, String)>,
) -> Result<StatusCode, ControlError> {
    delete_channel(&world, team, &id).map(|()| StatusCode::NO_CONTENT)
}
