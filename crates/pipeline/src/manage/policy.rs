//! Policies.

use tidings_domain::{
    ids::{ConnectionId, EnvironmentId, PolicyId},
    policy::Policy,
    resource::ChangeTypes,
};
use tidings_graph::resource::PolicyPath;

use super::{Manage, ManageError, invalid};
use crate::{directory::Change, subscribe};

/// For which connections a policy is to hold.
#[derive(Clone, Debug)]
pub enum PolicyScope {
    /// For this one.
    Connection(ConnectionId),
    /// For every one of the integration with this key, those to come included.
    Integration(String),
}

/// A wish for subscriptions to many resources, as typed.
#[derive(Clone, Debug)]
pub struct NewPolicy {
    /// Where its integration or connection lives.
    pub environment: EnvironmentId,
    /// For which connections it is to hold.
    pub scope: PolicyScope,
    /// What to watch: `users/{user}/events`, or `users/*/events` for short.
    pub resource: String,
    /// Which changes are wanted.
    pub change_types: ChangeTypes,
    /// Whether what is there already is to be told, too.
    pub deliver_existing: bool,
}

impl Manage {
    /// Makes a policy. Its subscriptions follow.
    pub async fn create_policy(&self, new: NewPolicy) -> Result<Policy, ManageError> {
        let missing = |what: String| ManageError::Missing { what };
        let (integration, connection) = match &new.scope {
            PolicyScope::Connection(id) => {
                let connection = self
                    .directory
                    .connection(*id)
                    .filter(|one| one.environment == new.environment)
                    .ok_or_else(|| missing(format!("connection {id}")))?;
                (connection.integration, Some(connection.id))
            }
            PolicyScope::Integration(key) => {
                let integration = self
                    .directory
                    .integration(new.environment, key)
                    .ok_or_else(|| {
                        let key: String = key.chars().take(64).collect();
                        missing(format!("integration `{key}`"))
                    })?;
                (integration.id, None)
            }
        };
        let path = PolicyPath::parse(&new.resource)
            .map_err(|error| invalid("/resource", error.to_string()))?;
        subscribe::check(path.sample(), new.change_types, new.deliver_existing)?;
        if connection.is_some() && path.each().is_none() {
            return Err(invalid(
                "/resource",
                "for one connection and one resource, ask for a subscription: a policy has `{user}`, `{team}` or `*` in it",
            ));
        }
        let policy = Policy {
            id: self.ids.next(),
            environment: new.environment,
            integration,
            connection,
            resource: path.canonical().to_owned(),
            change_types: new.change_types,
            deliver_existing: new.deliver_existing,
            deleting: false,
            created_at: self.clock.now(),
        };
        let _expanded = self.policies.at_the_end();
        let create = self.store.create_policy(policy.clone());
        let change = Change::Integration(integration);
        self.directory.change(change, create).await?;
        Ok(policy)
    }

    /// Removes a policy, and with it the subscriptions that it has made; `false` if there is none. They go one after the
    /// other: it shows as `deleting` until the last has been given up.
    pub async fn delete_policy(&self, id: PolicyId) -> Result<bool, ManageError> {
        let _expanded = self.policies.at_the_end();
        Ok(self.store.delete_policy(id, self.clock.now()).await?)
    }
}
