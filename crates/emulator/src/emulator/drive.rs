//! Drives, changed without a token.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::Emulator;
use crate::{ControlError, control::drive};

impl Emulator {
    /// Puts a file of `size` bytes at a path such as `Work/a.txt` of a user's drive, or a folder there if there is no
    /// size, and raises notifications. Folders on the way are made. The item's JSON.
    pub fn put_drive_item(
        &self,
        user: Uuid,
        path: &str,
        size: Option<u64>,
    ) -> Result<Value, ControlError> {
        drive::put(&self.world, user, path, size).map(Value::Object)
    }

    /// Gives an item another `name` or `parentReference.id` and raises notifications; its JSON.
    pub fn update_drive_item(
        &self,
        user: Uuid,
        id: &str,
        members: &Map<String, Value>,
    ) -> Result<Value, ControlError> {
        drive::change(&self.world, user, id, members).map(Value::Object)
    }

    /// Deletes an item with all that lies in it and raises notifications.
    pub fn delete_drive_item(&self, user: Uuid, id: &str) -> Result<(), ControlError> {
        drive::delete(&self.world, user, id)
    }

    /// Everything in a user's drive, the root too, oldest first.
    pub fn drive_items(&self, user: Uuid) -> Result<Vec<Value>, ControlError> {
        drive::all(&self.world, user)
    }

    /// The id of a user's drive.
    pub fn drive_id(&self, user: Uuid) -> Result<String, ControlError> {
        drive::id(&self.world, user)
    }
}
