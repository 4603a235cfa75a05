//! The row that a policy wants for a user or a team.

use tidings_domain::{
    connection::Connection,
    policy::Policy,
    shard::Shard,
    subscription::{Subscription, SubscriptionState},
};
use tidings_graph::resource::{PolicyPath, SubscriptionPath};
use tidings_storage::record::Wish;

use super::PolicyParts;
use crate::subscribe::client_state;

/// Makes rows.
pub(super) struct Wishes<'a> {
    parts: &'a PolicyParts,
    policy: &'a Policy,
    connection: Connection,
    path: &'a PolicyPath,
}

impl<'a> Wishes<'a> {
    pub(super) fn new(
        parts: &'a PolicyParts,
        policy: &'a Policy,
        connection: &Connection,
        path: &'a PolicyPath,
    ) -> Self {
        Self {
            parts,
            policy,
            connection: connection.clone(),
            path,
        }
    }

    /// The row for the user or team with this id, who has these names too. None for an id that can stand in no path.
    pub(super) fn of(&self, id: &str, names: &[String]) -> Option<Wish> {
        let path = self.path.of(id).ok()?;
        let mut aliases: Vec<String> = Vec::new();
        for name in names {
            // A row can have been asked for with the name in any case.
            for name in [name.clone(), name.to_lowercase()] {
                let alias = self.path.of(&name).ok();
                let alias = alias.map(|alias| alias.canonical().to_owned());
                aliases
                    .extend(alias.filter(|one| one != path.canonical() && !aliases.contains(one)));
            }
        }
        Some(self.wish(&path, aliases))
    }

    /// The row for the only thing that is watched.
    pub(super) fn of_all(&self) -> Wish {
        self.wish(self.path.sample(), Vec::new())
    }

    /// What is watched of the user or team with this id.
    pub(super) fn resource(&self, id: &str) -> Option<String> {
        let path = self.path.of(id).ok()?;
        Some(path.canonical().to_owned())
    }

    fn wish(&self, path: &SubscriptionPath, aliases: Vec<String>) -> Wish {
        let (parts, connection) = (self.parts, &self.connection);
        let now = parts.clock.now();
        let shard = Shard::of_mailbox(connection.integration, connection.tenant_id, path.mailbox());
        Wish {
            subscription: Subscription {
                id: parts.ids.next(),
                environment: connection.environment,
                integration: connection.integration,
                connection: connection.id,
                policy: Some(self.policy.id),
                resource: path.canonical().to_owned(),
                kind: path.kind(),
                change_types: self.policy.change_types,
                state: SubscriptionState::Pending,
                client_state: client_state(&*parts.entropy),
                graph_id: None,
                expires_at: None,
                due_at: now,
                failures: 0,
                last_error: None,
                created_at: now,
                renewed_at: None,
                deliver_existing: self.policy.deliver_existing,
                lifecycle: None,
                patched_at: None,
                notification_url: None,
                lifecycle_url: None,
                former: None,
            },
            shard,
            aliases,
        }
    }
}
