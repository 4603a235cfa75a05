//! Users, groups, teams and channels, changed without a token.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::Emulator;
use crate::{
    ControlError, NewUser, UserInfo,
    control::{groups, users},
};

impl Emulator {
    /// Adds a user to a tenant and raises notifications: `updated`, as Graph says it.
    pub fn create_user(&self, tenant: Uuid, user: NewUser) -> Result<UserInfo, ControlError> {
        users::create(&self.world, tenant, user)
    }

    /// Changes members of a user's profile and raises notifications.
    pub fn update_user(&self, user: Uuid, members: Map<String, Value>) -> Result<(), ControlError> {
        users::update(&self.world, user, members)
    }

    /// Deletes a user so that they can be restored, and raises notifications: `updated`, as Graph says it.
    pub fn delete_user(&self, user: Uuid) -> Result<(), ControlError> {
        users::delete(&self.world, user)
    }

    /// Brings a deleted user back and raises notifications.
    pub fn restore_user(&self, user: Uuid) -> Result<(), ControlError> {
        users::restore(&self.world, user)
    }

    /// Deletes a deleted user for good and raises notifications: `deleted`.
    pub fn purge_user(&self, user: Uuid) -> Result<(), ControlError> {
        users::purge(&self.world, user)
    }

    /// Makes a group and raises notifications: `updated`, as Graph says it. Its JSON.
    pub fn create_group(
        &self,
        tenant: Uuid,
        members: Map<String, Value>,
    ) -> Result<Value, ControlError> {
        let group = groups::create(&self.world, tenant, members)?;
        Ok(Value::Object(group.fields.clone()))
    }

    /// Changes a group and raises notifications; its JSON.
    pub fn update_group(
        &self,
        group: Uuid,
        members: Map<String, Value>,
    ) -> Result<Value, ControlError> {
        let group = groups::update(&self.world, group, members)?;
        Ok(Value::Object(group.fields.clone()))
    }

    /// Deletes a group and raises notifications: `updated` for a Microsoft 365 group, which can be restored, `deleted`
    /// for any other. A team goes with it.
    pub fn delete_group(&self, group: Uuid) -> Result<(), ControlError> {
        groups::delete(&self.world, group)
    }

    /// Brings a deleted group back and raises notifications.
    pub fn restore_group(&self, group: Uuid) -> Result<(), ControlError> {
        groups::restore(&self.world, group)
    }

    /// Deletes a deleted group for good and raises notifications: `deleted`.
    pub fn purge_group(&self, group: Uuid) -> Result<(), ControlError> {
        groups::purge(&self.world, group)
    }

    /// Puts a user in a group, or takes them out, and raises notifications; whether that changed anything.
    pub fn set_member(&self, group: Uuid, user: Uuid, present: bool) -> Result<bool, ControlError> {
        groups::set_member(&self.world, group, user, present)
    }

    /// Every group of a tenant, oldest first.
    pub fn groups(&self, tenant: Uuid) -> Result<Vec<Value>, ControlError> {
        let all = groups::all(&self.world, tenant)?;
        let values = all.iter().map(|group| Value::Object(group.fields.clone()));
        Ok(values.collect())
    }

    /// Makes a group a team, with a channel, and raises notifications.
    pub fn make_team(&self, group: Uuid) -> Result<(), ControlError> {
        groups::make_team(&self.world, group)
    }

    /// Makes a channel in a team and raises notifications; its JSON.
    pub fn create_channel(
        &self,
        team: Uuid,
        members: Map<String, Value>,
    ) -> Result<Value, ControlError> {
        let channel = groups::create_channel(&self.world, team, members)?;
        Ok(Value::Object(channel.fields.clone()))
    }

    /// Changes a channel and raises notifications; its JSON.
    pub fn update_channel(
        &self,
        team: Uuid,
        id: &str,
        members: Map<String, Value>,
    ) -> Result<Value, ControlError> {
        let channel = groups::update_channel(&self.world, team, id, members)?;
        Ok(Value::Object(channel.fields.clone()))
    }

    /// Removes a channel and raises notifications.
    pub fn delete_channel(&self, team: Uuid, id: &str) -> Result<(), ControlError> {
        groups::delete_channel(&self.world, team, id)
    }

    /// Every channel of a team, oldest first.
    pub fn channels(&self, team: Uuid) -> Result<Vec<Value>, ControlError> {
        let all = groups::channels(&self.world, team)?;
        let values = all.iter().map(|one| Value::Object(one.fields.clone()));
        Ok(values.collect())
    }
}
