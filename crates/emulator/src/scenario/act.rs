//! How a change is done to mailboxes and directories.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::{Map, Value, json};
use tidings_domain::{Timestamp, resource::ChangeType};
use uuid::Uuid;

use super::{Action, Kind};
use crate::{
    control::{
        ControlError, MailboxItem,
        directory::find_user,
        mailbox::{create, move_message, remove, update},
    },
    directory::User,
    notify::{self, Changed},
    time,
    world::World,
};

/// Where messages are moved to.
const FOLDERS: [&str; 3] = ["archive", "deleteditems", "inbox"];

/// What a scenario has put into a mailbox and still knows of.
#[derive(Debug, Default)]
pub(super) struct Things {
    ids: BTreeMap<Kind, Vec<String>>,
    /// How many were ever made: names differ.
    made: u64,
}

/// Does something to one of `things`, or makes one; what was done, and to which. `draw` decides.
pub(super) fn act(
    world: &Arc<World>,
    user: Uuid,
    things: &mut Things,
    (kind, action): (Kind, Action),
    draw: u64,
) -> Result<(Action, Option<String>), ControlError> {
    let ids = things.ids.entry(kind).or_default();
    let place = place(draw, ids.len());
    // Those who have the mailboxes change as well.
    let of_owner = kind == Kind::Users && action == Action::Update;
    let (action, place) = match (action, place) {
        (Action::Create, _) => (Action::Create, None),
        (_, None) if !of_owner => (Action::Create, None),
        (Action::Move, place) if kind != Kind::Messages => (Action::Update, place),
        (action, place) => (action, place),
    };
    let at = world.clock.now();
    if action == Action::Create {
        things.made += 1;
        let members = members(kind, things.made, draw, at);
        let id = match item(kind) {
            Some(item) => create(world, user, item, None, members)?.id.to_string(),
            None => add_user(world, user, things.made, members)?,
        };
        things.ids.entry(kind).or_default().push(id.clone());
        return Ok((action, Some(id)));
    }
    let Some(item) = item(kind) else {
        return act_on_user(world, user, ids, action, draw).map(|id| (action, id));
    };
    let Some(place) = place else {
        return Ok((action, None));
    };
    let id = ids[place].clone();
    let done = match action {
        Action::Delete => remove(world, user, item, &id).map(|()| None),
        Action::Move => {
            let folder = FOLDERS[usize::from(draw.to_le_bytes()[7]) % FOLDERS.len()];
            move_message(world, user, &id, folder).map(|item| Some(item.id.to_string()))
        }
        Action::Create | Action::Update => {
            let members = changed(kind, draw, at);
            update(world, user, item, &id, members).map(|_| Some(id.clone()))
        }
    };
    match done {
        Ok(Some(left)) => {
            ids[place].clone_from(&left);
            Ok((action, Some(left)))
        }
        Ok(None) => {
            ids.swap_remove(place);
            Ok((action, Some(id)))
        }
        // An app, or a test, was faster.
        Err(ControlError::NotFound(_)) => {
            ids.swap_remove(place);
            Ok((action, None))
        }
        Err(error) => Err(error),
    }
}

fn place(draw: u64, count: usize) -> Option<usize> {
    let count = u64::try_from(count).ok().filter(|count| *count > 0)?;
    usize::try_from(draw % count).ok()
}

fn item(kind: Kind) -> Option<MailboxItem> {
    match kind {
        Kind::Contacts => Some(MailboxItem::Contact),
        Kind::Events => Some(MailboxItem::Event),
        Kind::Messages => Some(MailboxItem::Message),
        Kind::Users => None,
    }
}

/// The members of something new.
fn members(kind: Kind, number: u64, draw: u64, now: Timestamp) -> Map<String, Value> {
    let value = match kind {
        Kind::Contacts => json!({
            "displayName": format!("Contact {number}"),
            "givenName": format!("Contact {number}"),
            "mobilePhone": format!("+49 30 {}", draw % 1_000_000),
        }),
        Kind::Events => {
            let (start, end) = times(draw, now);
            json!({
                "subject": format!("Event {number}"),
                "start": {"dateTime": start, "timeZone": "UTC"},
                "end": {"dateTime": end, "timeZone": "UTC"},
            })
        }
        Kind::Messages => json!({
            "subject": format!("Message {number}"),
            "body": {"contentType": "text", "content": format!("Text {draw}")},
        }),
        Kind::Users => json!({"jobTitle": format!("Job {}", draw % 100)}),
    };
    value.as_object().cloned().unwrap_or_default()
}

/// The members of something that changes.
fn changed(kind: Kind, draw: u64, now: Timestamp) -> Map<String, Value> {
    let value = match kind {
        Kind::Contacts => json!({"mobilePhone": format!("+49 30 {}", draw % 1_000_000)}),
        Kind::Events => {
            let (start, end) = times(draw, now);
            json!({
                "subject": format!("Moved to {start}"),
                "start": {"dateTime": start, "timeZone": "UTC"},
                "end": {"dateTime": end, "timeZone": "UTC"},
            })
        }
        Kind::Messages => json!({
            "isRead": draw.is_multiple_of(2),
            "categories": [format!("Category {}", draw % 1_000)],
        }),
        Kind::Users => json!({
            "jobTitle": format!("Job {}", draw % 1_000_000),
            "officeLocation": format!("Room {}", draw % 100),
        }),
    };
    value.as_object().cloned().unwrap_or_default()
}

/// Half an hour within the next two weeks.
fn times(draw: u64, now: Timestamp) -> (String, String) {
    let half = Duration::from_mins(30);
    let start = now + half * u32::try_from(draw % (14 * 48)).unwrap_or(0);
    (time::bare(start), time::bare(start + half))
}

/// Adds a user beside those with mailboxes, to the tenant of `owner`.
fn add_user(
    world: &Arc<World>,
    owner: Uuid,
    number: u64,
    members: Map<String, Value>,
) -> Result<String, ControlError> {
    let (tenant, owner) = find_user(world, owner)?;
    let (name, domain) = owner.mail.split_once('@').unwrap_or((&owner.mail, ""));
    let mail = format!("{name}-{number}@{domain}");
    let user = User::new(world.guid(), mail.clone(), mail, &*world.entropy).with(members);
    let found = world
        .directory
        .tenant_by_id(tenant)
        .ok_or(ControlError::NotFound("tenant"))?;
    let user = found.add_user(user, world.moment())?;
    // Graph says the creation of a user as `updated`.
    notify::changed(
        world,
        tenant,
        Changed::User(tenant, &user),
        ChangeType::Updated,
    );
    Ok(user.id.to_string())
}

/// Changes the owner or one of the users beside them, or removes one of those for good.
fn act_on_user(
    world: &Arc<World>,
    owner: Uuid,
    beside: &mut Vec<String>,
    action: Action,
    draw: u64,
) -> Result<Option<String>, ControlError> {
    let (tenant, owner) = find_user(world, owner)?;
    let found = world
        .directory
        .tenant_by_id(tenant)
        .ok_or(ControlError::NotFound("tenant"))?;
    let place = place(draw, beside.len());
    if action == Action::Delete {
        let Some(place) = place else {
            return Ok(None);
        };
        let id = beside.swap_remove(place);
        let moment = world.moment();
        let deleted = id.parse().ok().and_then(|id| found.delete_user(id, moment));
        let Some(user) = deleted else {
            return Ok(None);
        };
        // First so that it could be undone, which Graph says as `updated`; then for good.
        for change in [ChangeType::Updated, ChangeType::Deleted] {
            if change == ChangeType::Deleted {
                found.purge_user(user.id, moment);
            }
            notify::changed(world, tenant, Changed::User(tenant, &user), change);
        }
        return Ok(Some(id));
    }
    // One more choice than there are users beside the owner.
    let choice = usize::try_from(draw >> 32).unwrap_or(0) % (beside.len() + 1);
    let user = beside
        .get(choice)
        .and_then(|id| found.user(id))
        .unwrap_or(owner);
    found.update_user(
        &user,
        changed(Kind::Users, draw, world.clock.now()),
        world.moment(),
    );
    notify::changed(
        world,
        tenant,
        Changed::User(tenant, &user),
        ChangeType::Updated,
    );
    Ok(Some(user.id.to_string()))
}
