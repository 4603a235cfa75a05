//! Mailboxes: what a client writes becomes an item with all the members that Graph gives it.

mod contact;
mod event;
pub(crate) mod folder;
pub(crate) mod item;
pub(crate) mod items;
mod message;
mod stamp;

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use serde_json::{Map, Value};
use tidings_domain::Entropy;

pub(crate) use event::instant as event_instant;
use folder::{Folder, Folders};
use item::Item;
use items::Items;
pub(crate) use stamp::{Author, Stamp};

use crate::delta::Moment;

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
    /// Contact folders.
    pub(crate) contact_folders: Folders,
    /// Contacts of all folders.
    pub(crate) contacts: Items,
    /// Calendar events.
    pub(crate) events: Items,
    /// Mail folders.
    pub(crate) folders: Folders,
    /// Messages of all folders.
    pub(crate) messages: Items,
    /// Goes up when the service forgets the states of delta queries.
    generation: AtomicU32,
}

impl Mailbox {
    /// An empty one.
    pub(crate) fn new(entropy: &dyn Entropy) -> Self {
        Self {
            contact_folders: Folders::of_contacts(entropy),
            contacts: Items::default(),
            events: Items::default(),
            folders: Folders::of_mail(entropy),
            messages: Items::default(),
            generation: AtomicU32::new(1),
        }
    }

    /// The generation of the states of delta queries that the service remembers.
    pub(crate) fn generation(&self) -> u32 {
        self.generation.load(Ordering::Acquire)
    }

    /// Forgets the states of delta queries: every link that was given out is void.
    pub(crate) fn evict(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// Puts a new contact in `folder`.
    pub(crate) fn create_contact(
        &self,
        members: Map<String, Value>,
        folder: &Arc<str>,
        stamp: &Stamp<'_>,
    ) -> Result<Arc<Item>, InvalidItem> {
        Ok(self
            .contacts
            .insert(contact::create(members, folder, stamp)?, stamp.moment))
    }

    /// Changes members of a contact; `None` if there is no such contact.
    pub(crate) fn update_contact(
        &self,
        id: &str,
        members: Map<String, Value>,
        stamp: &Stamp<'_>,
    ) -> Result<Option<Arc<Item>>, InvalidItem> {
        self.contacts.update(id, stamp.moment, |current| {
            contact::update(current, members, stamp)
        })
    }

    /// Puts a new event in the calendar.
    pub(crate) fn create_event(
        &self,
        members: Map<String, Value>,
        stamp: &Stamp<'_>,
    ) -> Result<Arc<Item>, InvalidItem> {
        Ok(self
            .events
            .insert(event::create(members, stamp)?, stamp.moment))
    }

    /// Changes members of an event; `None` if there is no such event.
    pub(crate) fn update_event(
        &self,
        id: &str,
        members: Map<String, Value>,
        stamp: &Stamp<'_>,
    ) -> Result<Option<Arc<Item>>, InvalidItem> {
        self.events.update(id, stamp.moment, |current| {
            event::update(current, members, stamp)
        })
    }

    /// Puts a new message in `folder`. A draft is one that a client makes; others have been received.
    pub(crate) fn create_message(
        &self,
        members: Map<String, Value>,
        folder: &Arc<str>,
        draft: bool,
        stamp: &Stamp<'_>,
    ) -> Result<Arc<Item>, InvalidItem> {
        let message = message::create(members, folder, draft, stamp)?;
        Ok(self.messages.insert(message, stamp.moment))
    }

    /// Changes members of a message; `None` if there is no such message.
    pub(crate) fn update_message(
        &self,
        id: &str,
        members: Map<String, Value>,
        stamp: &Stamp<'_>,
    ) -> Result<Option<Arc<Item>>, InvalidItem> {
        self.messages.update(id, stamp.moment, |current| {
            message::update(current, members, stamp)
        })
    }

    /// Moves a message to another folder, where it has another id; the old and the new one.
    pub(crate) fn move_message(
        &self,
        id: &str,
        folder: &Arc<str>,
        stamp: &Stamp<'_>,
    ) -> Option<(Arc<Item>, Arc<Item>)> {
        let old = self.messages.remove(id, stamp.moment)?;
        let new = self
            .messages
            .insert(message::moved(&old, folder, stamp), stamp.moment);
        Some((old, new))
    }

    /// Removes a mail folder with the folders and messages in it; the messages, or `None` if it is one that stays.
    pub(crate) fn remove_mail_folder(
        &self,
        folder: &Folder,
        moment: Moment,
    ) -> Option<Vec<Arc<Item>>> {
        remove_folder(&self.folders, &self.messages, folder, moment)
    }

    /// Removes a contact folder with the folders and contacts in it; the contacts, or `None` if it is the one that stays.
    pub(crate) fn remove_contact_folder(
        &self,
        folder: &Folder,
        moment: Moment,
    ) -> Option<Vec<Arc<Item>>> {
        remove_folder(&self.contact_folders, &self.contacts, folder, moment)
    }
}

fn remove_folder(
    folders: &Folders,
    items: &Items,
    folder: &Folder,
    moment: Moment,
) -> Option<Vec<Arc<Item>>> {
    folders.remove(&folder.id, moment)?;
    let mut removed: Vec<_> = items
        .all(|item| item.place.folder == folder.id)
        .iter()
        .filter_map(|item| items.remove(&item.id, moment))
        .collect();
    for child in folders.below(Some(&folder.id)) {
        removed.extend(remove_folder(folders, items, &child, moment).unwrap_or_default());
    }
    Some(removed)
}
