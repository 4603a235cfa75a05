//! `groups`, `groups/{id}`, `groups/{id}/members`, and what can be done to deleted ones.

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
    notify::{self, Changed},
    team,
};

/// How many groups or members a page holds unless `$top` says otherwise (Microsoft's "list groups" page).
const PAGE: usize = 100;

/// Lists or makes groups. Graph says a creation as `updated`.
pub(super) fn collection(call: &Call<'_>, method: &Method) -> Answer {
    call.caller.need("Group", *method != Method::GET)?;
    let groups = &call.caller.tenant.groups;
    match *method {
        Method::GET => {
            call.refuse_options()?;
            let window = Window::read(call, PAGE)?;
            let all = groups.all();
            let (page, more) = window.cut(&all);
            Ok(answer::json(
                StatusCode::OK,
                page::of_items(call, "groups", page, window, more),
            ))
        }
        Method::POST => {
            let members = call.members()?;
            if !members.get("displayName").is_some_and(Value::is_string) {
                return Err(GraphError::new(
                    StatusCode::BAD_REQUEST,
                    "Request_BadRequest",
                    "A value is required for property 'displayName' of resource 'Group'.",
                ));
            }
            let id = call.world.guid();
            let group = groups.create(id, members, call.moment());
            raise(call, id, &[], ChangeType::Updated);
            Ok(answer::json(StatusCode::CREATED, group.entity.clone()))
        }
        _ => Err(answer::method_not_allowed()),
    }
}

/// Reads, changes or deletes a group. Graph says a deletion that can be undone as `updated`.
pub(super) fn single(call: &Call<'_>, method: &Method, name: &str) -> Answer {
    call.caller.need("Group", *method != Method::GET)?;
    let groups = &call.caller.tenant.groups;
    let id = find(call, name)?;
    let not_found = || GraphError::user_not_found(name);
    match *method {
        Method::GET => read::object(call, groups.get(id), name),
        Method::PATCH => {
            groups
                .update(id, call.members()?, call.moment())
                .ok_or_else(not_found)?;
            raise(call, id, &[], ChangeType::Updated);
            Ok(answer::empty(StatusCode::NO_CONTENT))
        }
        Method::DELETE => {
            let deletion = groups.delete(id, call.moment()).ok_or_else(not_found)?;
            team::group_deleted(call.world, &call.caller.tenant, id, deletion);
            Ok(answer::empty(StatusCode::NO_CONTENT))
        }
        _ => Err(answer::method_not_allowed()),
    }
}

/// Lists who is in a group.
pub(super) fn members(call: &Call<'_>, name: &str) -> Answer {
    call.caller.need("Group", false)?;
    call.refuse_options()?;
    let id = find(call, name)?;
    let tenant = &call.caller.tenant;
    let window = Window::read(call, PAGE)?;
    let members = tenant.groups.members(id).unwrap_or_default();
    // Deleted users are in no group.
    let users: Vec<_> = members
        .iter()
        .filter_map(|member| tenant.user(&member.to_string()))
        .collect();
    let (page, more) = window.cut(&users);
    let values = page.iter().map(|user| {
        let mut fields = user.profile().fields.clone();
        fields.insert("@odata.type".into(), "#microsoft.graph.user".into());
        Value::Object(fields)
    });
    Ok(answer::json(
        StatusCode::OK,
        page::of_values(call, "directoryObjects", values, window, more),
    ))
}

/// Puts somebody in a group: `{"@odata.id": "…/directoryObjects/{id}"}`.
pub(super) fn add_member(call: &Call<'_>, name: &str) -> Answer {
    call.caller.need("Group", true)?;
    let id = find(call, name)?;
    let members = call.members()?;
    let member = members
        .get("@odata.id")
        .and_then(Value::as_str)
        .and_then(|link| link.rsplit('/').next())
        .and_then(|id| id.parse().ok())
        .ok_or_else(|| GraphError::invalid("@odata.id is missing or names no object."))?;
    let tenant = &call.caller.tenant;
    if tenant.user(&Uuid::to_string(&member)).is_none() {
        return Err(GraphError::user_not_found(&member.to_string()));
    }
    let changed = tenant.groups.set_member(id, member, true, call.moment());
    if changed != Some(true) {
        return Err(GraphError::new(
            StatusCode::BAD_REQUEST,
            "Request_BadRequest",
            "One or more added object references already exist for the following modified properties: 'members'.",
        ));
    }
    raise(call, id, &[(member, true)], ChangeType::Updated);
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// Takes somebody out of a group.
pub(super) fn remove_member(call: &Call<'_>, name: &str, member: &str) -> Answer {
    call.caller.need("Group", true)?;
    let id = find(call, name)?;
    let not_found = || GraphError::user_not_found(member);
    let member = member.parse().map_err(|_| not_found())?;
    let groups = &call.caller.tenant.groups;
    if groups.set_member(id, member, false, call.moment()) != Some(true) {
        return Err(not_found());
    }
    raise(call, id, &[(member, false)], ChangeType::Updated);
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// Deletes a deleted group for good, which is what Graph calls `deleted`; whether there was one.
pub(super) fn purge(call: &Call<'_>, id: Uuid) -> Result<bool, GraphError> {
    let groups = &call.caller.tenant.groups;
    if !groups.is_deleted(id) {
        return Ok(false);
    }
    call.caller.need("Group", true)?;
    if !groups.purge(id, call.moment()) {
        return Ok(false);
    }
    raise(call, id, &[], ChangeType::Deleted);
    Ok(true)
}

/// Brings a deleted group back; its JSON. Graph says it as `updated`.
pub(super) fn restore(call: &Call<'_>, id: Uuid) -> Result<Option<Bytes>, GraphError> {
    let groups = &call.caller.tenant.groups;
    if !groups.is_deleted(id) {
        return Ok(None);
    }
    call.caller.need("Group", true)?;
    let Some(group) = groups.restore(id, call.moment()) else {
        return Ok(None);
    };
    raise(call, id, &[], ChangeType::Updated);
    Ok(Some(group.entity.clone()))
}

/// The id of the group that a path names.
pub(super) fn find(call: &Call<'_>, name: &str) -> Result<Uuid, GraphError> {
    let id = name.parse().ok();
    id.filter(|id| call.caller.tenant.groups.get(*id).is_some())
        .ok_or_else(|| GraphError::user_not_found(name))
}

fn raise(call: &Call<'_>, id: Uuid, members: &[(Uuid, bool)], change: ChangeType) {
    let tenant = call.caller.tenant.id;
    let what = Changed::Group {
        tenant,
        id,
        members,
    };
    notify::changed(call.world, tenant, what, change);
}
