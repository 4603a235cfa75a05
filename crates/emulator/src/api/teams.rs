//! `teams`, `teams/{id}`, `teams/{id}/channels`, `groups/{id}/team`.

use http::{Method, StatusCode};
use serde_json::Value;
use tidings_domain::resource::ChangeType;
use uuid::Uuid;

use super::{
    Answer, GraphError, answer,
    call::Call,
    groups,
    page::{self, Window},
    read,
};
use crate::{
    mailbox::item::Item,
    notify::{self, Changed},
    team,
};

/// How many teams or channels a page holds unless `$top` says otherwise. Microsoft states no number.
const PAGE: usize = 100;

/// Lists the teams of the tenant.
pub(super) fn collection(call: &Call<'_>) -> Answer {
    call.caller.need("Team", false)?;
    call.refuse_options()?;
    let tenant = &call.caller.tenant;
    let window = Window::read(call, PAGE)?;
    let mut all = tenant.groups.all();
    all.retain(|group| group.id.parse().is_ok_and(|id| tenant.teams.has(id)));
    let (page, more) = window.cut(&all);
    let values = page.iter().map(|group| team::shown(group));
    Ok(answer::json(
        StatusCode::OK,
        page::of_values(call, "teams", values, window, more),
    ))
}

/// Reads a team.
pub(super) fn single(call: &Call<'_>, name: &str) -> Answer {
    call.caller.need("Team", false)?;
    let id = find(call, name)?;
    let group = call.caller.tenant.groups.get(id);
    let group = group.ok_or_else(|| GraphError::user_not_found(name))?;
    Ok(entity(StatusCode::OK, &group))
}

/// Makes a group a team.
pub(super) fn create(call: &Call<'_>, name: &str) -> Answer {
    call.caller.need("Group", true)?;
    let id = groups::find(call, name)?;
    let tenant = &call.caller.tenant;
    let group = team::make(call.world, tenant, id).ok_or_else(|| {
        GraphError::new(
            StatusCode::CONFLICT,
            "Conflict",
            "The group is already provisioned as a team.",
        )
    })?;
    Ok(entity(StatusCode::CREATED, &group))
}

/// Lists or makes channels.
pub(super) fn channels(call: &Call<'_>, method: &Method, name: &str) -> Answer {
    need(call, method)?;
    let team = find(call, name)?;
    let teams = &call.caller.tenant.teams;
    match *method {
        Method::GET => {
            call.refuse_options()?;
            let window = Window::read(call, PAGE)?;
            let all = teams.channels(team).unwrap_or_default();
            let (page, more) = window.cut(&all);
            let context = format!("teams('{team}')/channels");
            Ok(answer::json(
                StatusCode::OK,
                page::of_items(call, &context, page, window, more),
            ))
        }
        Method::POST => {
            let members = call.members()?;
            if !members.get("displayName").is_some_and(Value::is_string) {
                return Err(GraphError::invalid("displayName is missing."));
            }
            let made = teams.add_channel(team, members, &*call.world.entropy, call.moment());
            let made = made.ok_or_else(|| GraphError::user_not_found(name))?;
            raise(call, team, &made, ChangeType::Created);
            Ok(answer::json(StatusCode::CREATED, made.entity.clone()))
        }
        _ => Err(answer::method_not_allowed()),
    }
}

/// Reads, changes or removes a channel.
pub(super) fn channel(call: &Call<'_>, method: &Method, name: &str, id: &str) -> Answer {
    need(call, method)?;
    let team = find(call, name)?;
    let teams = &call.caller.tenant.teams;
    match *method {
        Method::GET => read::item(call, teams.channel(team, id)),
        Method::PATCH => {
            let changed = teams.update_channel(team, id, call.members()?);
            let changed = changed.ok_or_else(GraphError::item_not_found)?;
            raise(call, team, &changed, ChangeType::Updated);
            Ok(answer::empty(StatusCode::NO_CONTENT))
        }
        Method::DELETE => {
            let removed = teams.remove_channel(team, id);
            let removed = removed.ok_or_else(GraphError::item_not_found)?;
            raise(call, team, &removed, ChangeType::Deleted);
            Ok(answer::empty(StatusCode::NO_CONTENT))
        }
        _ => Err(answer::method_not_allowed()),
    }
}

/// Channels are read under one family of permissions and changed under another.
fn need(call: &Call<'_>, method: &Method) -> Result<(), GraphError> {
    if *method == Method::GET {
        return call.caller.need("Channel", false);
    }
    call.caller.need("ChannelSettings", true)
}

fn find(call: &Call<'_>, name: &str) -> Result<Uuid, GraphError> {
    let id = groups::find(call, name)?;
    if call.caller.tenant.teams.has(id) {
        return Ok(id);
    }
    Err(GraphError::user_not_found(name))
}

fn entity(status: StatusCode, group: &Item) -> http::Response<http_body_util::Full<bytes::Bytes>> {
    let mut team = team::shown(group);
    team["@odata.context"] = "https://graph.microsoft.com/v1.0/$metadata#teams/$entity".into();
    answer::json(status, team.to_string().into())
}

fn raise(call: &Call<'_>, team: Uuid, channel: &Item, change: ChangeType) {
    let tenant = call.caller.tenant.id;
    let what = Changed::Channel {
        tenant,
        team,
        id: &channel.id,
    };
    notify::changed(call.world, tenant, what, change);
}
