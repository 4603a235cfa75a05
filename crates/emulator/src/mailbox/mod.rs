//! Mailboxes: what a client writes becomes an item with all the members that Graph gives it.

mod event;
pub(crate) mod folder;
pub(crate) mod item;
mod items;
mod message;
mod stamp;

use std::sync::Arc;

use serde_json::{Map, Value};
use tidings_domain::Entropy;

pub(crate) use event::instant as event_instant;
use folder::Folders;
use item::Item;
use items::Items;
pub(crate) use stamp::{Author, Stamp};

/// What a client's JSON says wrongly.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidItem {
    /// A member has a type or form that Graph refuses.
    #[error("The property '{member}' is invalid: {problem}")]
    Member {
        /// Which member.
        member: String,
        /// What is wrong with it.
        problem: String,
    },
    /// An event ends before it starts.
    #[error("The end of an event must not be before its start.")]
    EndBeforeStart,
}

/// The mailbox of a user.
#[derive(Debug)]
pub(crate) struct Mailbox {
    /// Calendar events.
    pub(crate) events: Items,
    /// Mail folders.
    pub(crate) folders: Folders,
    /// Messages of all folders.
    pub(crate) messages: Items,
}

impl Mailbox {
    /// An empty one.
    pub(crate) fn new(entropy: &dyn Entropy) -> Self {
        Self {
            events: Items::default(),
            folders: Folders::new(entropy),
            messages: Items::default(),
        }
    }

    /// Puts a new event in the calendar.
    pub(crate) fn create_event(
        &self,
        members: Map<String, Value>,
        stamp: &Stamp<'_>,
    ) -> Result<Arc<Item>, InvalidItem> {
        Ok(self.events.insert(event::create(members, stamp)?))
    }

    /// Changes members of an event; `None` if there is no such event.
    pub(crate) fn update_event(
        &self,
        id: &str,
        members: Map<String, Value>,
        stamp: &Stamp<'_>,
    ) -> Result<Option<Arc<Item>>, InvalidItem> {
        self.events
            .update(id, |current| event::update(current, members, stamp))
    }

    /// Puts a new message in `folder`. A draft is one that a client makes; others have been received.
    pub(crate) fn create_message(
        &self,
        members: Map<String, Value>,
        folder: &Arc<str>,
        draft: bool,
        stamp: &Stamp<'_>,
    ) -> Result<Arc<Item>, InvalidItem> {
        Ok(self
            .messages
            .insert(message::create(members, folder, draft, stamp)?))
    }

    /// Changes members of a message; `None` if there is no such message.
    pub(crate) fn update_message(
        &self,
        id: &str,
        members: Map<String, Value>,
        stamp: &Stamp<'_>,
    ) -> Result<Option<Arc<Item>>, InvalidItem> {
        self.messages
            .update(id, |current| message::update(current, members, stamp))
    }

    /// Moves a message to another folder, where it has another id; the old and the new one.
    pub(crate) fn move_message(
        &self,
        id: &str,
        folder: &Arc<str>,
        stamp: &Stamp<'_>,
    ) -> Option<(Arc<Item>, Arc<Item>)> {
        let old = self.messages.remove(id)?;
        let new = self.messages.insert(message::moved(&old, folder, stamp));
        Some((old, new))
    }
}
