//! What changed: whom it concerns, and how it is named.

use std::sync::Arc;

use uuid::Uuid;

use crate::{directory::User, ids, mailbox::item::Item, subscription::Watch};

/// What changed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Changed<'a> {
    /// A channel of a team.
    Channel {
        /// Of which tenant.
        tenant: Uuid,
        /// Of which team.
        team: Uuid,
        /// Its id.
        id: &'a str,
    },
    /// A contact of a user, in the folder it lies in.
    Contact(&'a User, &'a Item),
    /// The drive of a user, and what in it, which Graph does not say.
    Drive(&'a User, &'a [Arc<Item>]),
    /// An event of a user.
    Event(&'a User, &'a Item),
    /// A group of a tenant.
    Group {
        /// Of which tenant.
        tenant: Uuid,
        /// Its id.
        id: Uuid,
        /// Who came into it (`true`) and who went.
        members: &'a [(Uuid, bool)],
    },
    /// A message of a user, in the folder it lies in.
    Message(&'a User, &'a Item),
    /// A team of a tenant.
    Team {
        /// Of which tenant.
        tenant: Uuid,
        /// Its id, which is that of its group.
        id: Uuid,
    },
    /// A user of a tenant.
    User(Uuid, &'a User),
}

/// How a changed thing is named: `#Microsoft.Graph.{type}`, its id, its etag.
pub(super) struct Name {
    pub(super) kind: &'static str,
    pub(super) id: String,
    pub(super) etag: Option<String>,
}

impl Changed<'_> {
    /// The subscriptions that it may raise.
    pub(super) fn watches(self) -> Vec<Watch> {
        match self {
            Self::Channel { tenant, team, .. } => {
                vec![Watch::Channels(team), Watch::AllChannels(tenant)]
            }
            Self::Contact(user, _) => vec![Watch::Contacts(user.id)],
            Self::Drive(user, _) => vec![Watch::Drive(user.id)],
            Self::Event(user, _) => vec![Watch::Events(user.id)],
            Self::Group {
                tenant,
                id,
                members,
            } => {
                let mut watches = vec![Watch::Groups(tenant), Watch::Group(id)];
                if !members.is_empty() {
                    watches.push(Watch::GroupMembers(id));
                }
                watches
            }
            Self::Message(user, _) => vec![Watch::Messages(user.id)],
            Self::Team { tenant, id } => vec![Watch::Teams(tenant), Watch::Team(id)],
            Self::User(tenant, user) => vec![Watch::Users(tenant), Watch::User(user.id)],
        }
    }

    /// The folder it lies in, where there are folders.
    pub(super) fn folder(self) -> Option<Arc<str>> {
        match self {
            Self::Contact(_, item) | Self::Message(_, item) => Some(Arc::clone(&item.place.folder)),
            _ => None,
        }
    }

    /// Its id and its immutable one, where it has both.
    pub(super) fn ids(self) -> Option<(Arc<str>, String)> {
        match self {
            Self::Contact(_, item) | Self::Event(_, item) | Self::Message(_, item) => {
                Some((Arc::clone(&item.id), ids::immutable(&item.id)?))
            }
            _ => None,
        }
    }

    /// How it is named; `None` where Graph does not say what changed.
    pub(super) fn name(self) -> Option<Name> {
        let of_item = |kind, item: &Item| Name {
            kind,
            id: item.id.to_string(),
            etag: Some(item.etag.clone()),
        };
        let of_id = |kind, id: String| Name {
            kind,
            id,
            etag: None,
        };
        Some(match self {
            Self::Channel { id, .. } => of_id("channel", id.to_owned()),
            Self::Contact(_, item) => of_item("Contact", item),
            Self::Drive(..) => return None,
            Self::Event(_, item) => of_item("Event", item),
            Self::Group { id, .. } => of_id("Group", id.to_string()),
            Self::Message(_, item) => of_item("Message", item),
            Self::Team { id, .. } => of_id("Teams", id.to_string()),
            Self::User(_, user) => of_id("User", user.id.to_string()),
        })
    }
}
