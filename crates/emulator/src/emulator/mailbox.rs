//! Mailboxes, changed without a token.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::Emulator;
use crate::{
    ControlError, FolderOf, MailboxItem,
    control::mailbox::{self as mail},
};

impl Emulator {
    /// Puts an event into a user's calendar and raises notifications; the event's JSON.
    pub fn create_event(
        &self,
        user: Uuid,
        members: Map<String, Value>,
    ) -> Result<Value, ControlError> {
        self.create_item(user, MailboxItem::Event, members)
    }

    /// Changes an event and raises notifications; the event's JSON.
    pub fn update_event(
        &self,
        user: Uuid,
        id: &str,
        members: Map<String, Value>,
    ) -> Result<Value, ControlError> {
        self.update_item(user, MailboxItem::Event, id, members)
    }

    /// Removes an event and raises notifications.
    pub fn delete_event(&self, user: Uuid, id: &str) -> Result<(), ControlError> {
        self.delete_item(user, MailboxItem::Event, id)
    }

    /// Lets a message arrive in a user's inbox and raises notifications; the message's JSON.
    pub fn receive_message(
        &self,
        user: Uuid,
        members: Map<String, Value>,
    ) -> Result<Value, ControlError> {
        self.create_item(user, MailboxItem::Message, members)
    }

    /// Makes an item of any kind and raises notifications; its JSON. Messages arrive in the inbox.
    pub fn create_item(
        &self,
        user: Uuid,
        kind: MailboxItem,
        members: Map<String, Value>,
    ) -> Result<Value, ControlError> {
        let item = mail::create(&self.world, user, kind, None, members)?;
        Ok(Value::Object(item.fields.clone()))
    }

    /// The same in a folder, which is called by its id or its well-known name.
    pub fn create_item_in(
        &self,
        user: Uuid,
        kind: MailboxItem,
        folder: &str,
        members: Map<String, Value>,
    ) -> Result<Value, ControlError> {
        let item = mail::create(&self.world, user, kind, Some(folder), members)?;
        Ok(Value::Object(item.fields.clone()))
    }

    /// Changes an item of any kind and raises notifications; its JSON.
    pub fn update_item(
        &self,
        user: Uuid,
        kind: MailboxItem,
        id: &str,
        members: Map<String, Value>,
    ) -> Result<Value, ControlError> {
        let item = mail::update(&self.world, user, kind, id, members)?;
        Ok(Value::Object(item.fields.clone()))
    }

    /// Removes an item of any kind and raises notifications.
    pub fn delete_item(&self, user: Uuid, kind: MailboxItem, id: &str) -> Result<(), ControlError> {
        mail::remove(&self.world, user, kind, id)
    }

    /// Moves a message, which gets another id, and raises notifications: deleted here, created there. The new JSON.
    pub fn move_message(&self, user: Uuid, id: &str, folder: &str) -> Result<Value, ControlError> {
        let item = mail::move_message(&self.world, user, id, folder)?;
        Ok(Value::Object(item.fields.clone()))
    }

    /// Every item of a kind that a user has, oldest first: what somebody who follows all changes must know in the end.
    pub fn items(&self, user: Uuid, kind: MailboxItem) -> Result<Vec<Value>, ControlError> {
        let items = mail::all(&self.world, user, kind)?;
        let values = items.iter().map(|item| Value::Object(item.fields.clone()));
        Ok(values.collect())
    }

    /// Makes a folder, in another one if `parent` names it; its id. Folders raise no notifications.
    pub fn create_folder(
        &self,
        user: Uuid,
        of: FolderOf,
        parent: Option<&str>,
        name: &str,
    ) -> Result<String, ControlError> {
        mail::create_folder(&self.world, user, of, parent, name)
    }

    /// Makes every link void that delta queries on a user's mailbox and drive, or on all, have given out.
    pub fn evict_delta(&self, user: Option<Uuid>) -> Result<(), ControlError> {
        mail::evict(&self.world, user)
    }
}
