//! How each kind of thing is made, changed, moved and removed.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{Kind, members};
use crate::{
    NewUser,
    control::{ControlError, MailboxItem, directory::find_user, drive, groups, mailbox, users},
    world::World,
};

/// Where messages are moved to.
const MAIL_FOLDERS: [&str; 3] = ["archive", "deleteditems", "inbox"];

/// Where files are moved to.
const DRIVE_FOLDERS: [&str; 3] = ["Done", "Drafts", "Work"];

/// Something that is done for a user.
pub(super) struct Deed<'a> {
    pub(super) world: &'a Arc<World>,
    /// Whose mailbox and drive it is, in whose tenant the rest lies.
    pub(super) user: Uuid,
    /// The team that channels belong to.
    pub(super) team: Uuid,
    /// Decides all that is left open.
    pub(super) draw: u64,
}

/// Makes a team beside a mailbox; its id.
pub(super) fn make_team(world: &Arc<World>, user: Uuid) -> Result<Uuid, ControlError> {
    let (tenant, user) = find_user(world, user)?;
    let group = json!({
        "displayName": format!("Team of {}", user.name),
        "groupTypes": ["Unified"],
    });
    let group = groups::create(world, tenant, map(group))?;
    let id = uuid(&group.id)?;
    groups::make_team(world, id)?;
    Ok(id)
}

impl Deed<'_> {
    /// Makes something; its id.
    pub(super) fn create(&self, kind: Kind, number: u64) -> Result<String, ControlError> {
        let (world, user) = (self.world, self.user);
        let members = map(members::new(kind, number, self.draw, world.clock.now()));
        let id = match kind {
            Kind::Channels => groups::create_channel(world, self.team, members)?
                .id
                .to_string(),
            Kind::Contacts => self.create_item(MailboxItem::Contact, members)?,
            Kind::DriveItems => {
                let size = Some(self.draw % 1_000_000);
                let file = drive::put(world, user, &format!("File {number}.txt"), size)?;
                text(&file, "id")
            }
            Kind::Events => self.create_item(MailboxItem::Event, members)?,
            Kind::Groups => {
                let (tenant, _) = find_user(world, user)?;
                groups::create(world, tenant, members)?.id.to_string()
            }
            Kind::Messages => self.create_item(MailboxItem::Message, members)?,
            Kind::Users => self.create_user(number)?,
        };
        Ok(id)
    }

    /// Changes something.
    pub(super) fn update(&self, kind: Kind, id: &str) -> Result<(), ControlError> {
        let (world, user) = (self.world, self.user);
        let members = map(members::changed(kind, self.draw, world.clock.now()));
        match kind {
            Kind::Channels => groups::update_channel(world, self.team, id, members).map(drop),
            Kind::Contacts => self.update_item(MailboxItem::Contact, id, members),
            Kind::DriveItems => drive::change(world, user, id, &members).map(drop),
            Kind::Events => self.update_item(MailboxItem::Event, id, members),
            Kind::Groups => groups::update(world, uuid(id)?, members).map(drop),
            Kind::Messages => self.update_item(MailboxItem::Message, id, members),
            Kind::Users => users::update(world, uuid(id)?, members),
        }
    }

    /// Moves something that can be moved, or lets the user into a group or out of it; the id that it has then.
    pub(super) fn shift(&self, kind: Kind, id: &str) -> Result<String, ControlError> {
        let (world, user) = (self.world, self.user);
        // Another part of the draw than that which chose the thing.
        let choice = usize::from(self.draw.to_le_bytes()[7]);
        match kind {
            Kind::DriveItems => {
                let folder = DRIVE_FOLDERS[choice % DRIVE_FOLDERS.len()];
                let folder = drive::put(world, user, folder, None)?;
                let to = json!({"parentReference": {"id": folder["id"]}});
                drive::change(world, user, id, &map(to))?;
            }
            Kind::Groups => {
                let group = uuid(id)?;
                if !groups::set_member(world, group, user, true)? {
                    groups::set_member(world, group, user, false)?;
                }
            }
            Kind::Messages => {
                let folder = MAIL_FOLDERS[choice % MAIL_FOLDERS.len()];
                let moved = mailbox::move_message(world, user, id, folder)?;
                return Ok(moved.id.to_string());
            }
            Kind::Channels | Kind::Contacts | Kind::Events | Kind::Users => {}
        }
        Ok(id.to_owned())
    }

    /// Removes something, for good.
    pub(super) fn delete(&self, kind: Kind, id: &str) -> Result<(), ControlError> {
        let (world, user) = (self.world, self.user);
        match kind {
            Kind::Channels => groups::delete_channel(world, self.team, id),
            Kind::Contacts => mailbox::remove(world, user, MailboxItem::Contact, id),
            Kind::DriveItems => drive::delete(world, user, id),
            Kind::Events => mailbox::remove(world, user, MailboxItem::Event, id),
            Kind::Groups => {
                let group = uuid(id)?;
                groups::delete(world, group)?;
                // Only what can be restored is still there to be purged.
                match groups::purge(world, group) {
                    Err(ControlError::NotFound(_)) => Ok(()),
                    purged => purged,
                }
            }
            Kind::Messages => mailbox::remove(world, user, MailboxItem::Message, id),
            Kind::Users => {
                let beside = uuid(id)?;
                users::delete(world, beside)?;
                users::purge(world, beside)
            }
        }
    }

    fn create_item(
        &self,
        kind: MailboxItem,
        members: Map<String, Value>,
    ) -> Result<String, ControlError> {
        let item = mailbox::create(self.world, self.user, kind, None, members)?;
        Ok(item.id.to_string())
    }

    fn update_item(
        &self,
        kind: MailboxItem,
        id: &str,
        members: Map<String, Value>,
    ) -> Result<(), ControlError> {
        mailbox::update(self.world, self.user, kind, id, members).map(drop)
    }

    /// Adds a user beside those with mailboxes.
    fn create_user(&self, number: u64) -> Result<String, ControlError> {
        let (tenant, owner) = find_user(self.world, self.user)?;
        let (name, domain) = owner.mail.split_once('@').unwrap_or((&owner.mail, ""));
        let new = NewUser {
            id: None,
            mail: format!("{name}-{number}@{domain}"),
            name: Some(format!("Guest {number}")),
        };
        let user = users::create(self.world, tenant, new)?;
        Ok(user.id.to_string())
    }
}

fn map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

fn text(members: &Map<String, Value>, name: &str) -> String {
    let text = members.get(name).and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}

fn uuid(id: &str) -> Result<Uuid, ControlError> {
    id.parse().map_err(|_| ControlError::NotFound("id"))
}
