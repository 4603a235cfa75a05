//! Environments.

use tidings_domain::{Ids, Timestamp, environment::Environment, ids::EnvironmentId};

use super::{Manage, ManageError, invalid};
use crate::directory::Change;

/// The name of the environment that is made at the first start.
pub const DEFAULT: &str = "default";

impl Manage {
    /// Makes an environment with this name: 1 to 64 characters, unique.
    pub async fn create_environment(&self, name: &str) -> Result<Environment, ManageError> {
        let environment = made(name, &self.ids, self.clock.now())?;
        let create = self.store.create_environment(environment.clone());
        let change = Change::Environment(environment.id);
        self.directory.change(change, create).await?;
        Ok(environment)
    }

    /// Removes an environment without integrations and webhooks; `false` if there is none.
    pub async fn delete_environment(&self, id: EnvironmentId) -> Result<bool, ManageError> {
        let delete = self.store.delete_environment(id);
        let change = Change::Environment(id);
        Ok(self.directory.change(change, delete).await?)
    }
}

/// An environment with this name, which is in no store yet.
pub(super) fn made(name: &str, ids: &Ids, now: Timestamp) -> Result<Environment, ManageError> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > 64 || name.chars().any(char::is_control) {
        return Err(invalid(
            "/name",
            "an environment's name has 1 to 64 characters",
        ));
    }
    Ok(Environment {
        id: ids.environment(),
        name: name.to_owned(),
        created_at: now,
    })
}
