//! Connections.

use tidings_domain::{
    connection::{Connection, ConnectionIntent, ConnectionState},
    ids::{ConnectionId, EnvironmentId},
    integration::Integration,
};
use tidings_graph::Access;
use uuid::Uuid;

use super::{Manage, ManageError, invalid};
use crate::directory::Change;

/// A consent to be made use of, as typed.
#[derive(Clone, Debug)]
pub struct NewConnection {
    /// Where its integration lives.
    pub environment: EnvironmentId,
    /// The key of the integration that was consented to.
    pub integration: String,
    /// The tenant that consented: a GUID or one of its domains.
    pub tenant_id: String,
}

impl Manage {
    /// Connects a tenant: signs in to it once, which proves the consent and tells the tenant's id.
    pub async fn connect(&self, new: NewConnection) -> Result<Connection, ManageError> {
        let integration = self
            .directory
            .integration(new.environment, &new.integration)
            .ok_or_else(|| ManageError::Missing {
                what: format!(
                    "integration `{}`",
                    new.integration.chars().take(64).collect::<String>()
                ),
            })?;
        let tenant = tenant(&new.tenant_id)?;
        let given = Uuid::try_parse(&tenant).ok();
        if let Some(id) = given {
            self.not_yet_connected(&integration, id)?;
        }
        let token = self
            .graph
            .token(&access(&integration, tenant))
            .await
            .map_err(ManageError::Graph)?;
        let tenant_id = match (given, token.tenant_id) {
            (Some(given), Some(told)) if given != told => {
                return Err(invalid(
                    "/tenant_id",
                    format!(
                        "the sign-in for this tenant answered with a token of tenant {told}: give that id"
                    ),
                ));
            }
            (_, Some(told)) => told,
            (Some(given), None) => given,
            (None, None) => {
                return Err(invalid(
                    "/tenant_id",
                    "the token does not tell the tenant's id: give the id (a GUID) instead of a domain",
                ));
            }
        };
        self.not_yet_connected(&integration, tenant_id)?;
        let connection = Connection {
            id: self.ids.next(),
            environment: integration.environment,
            integration: integration.id,
            tenant_id,
            state: ConnectionState::Active,
            intent: ConnectionIntent::Kept,
            created_at: self.clock.now(),
        };
        let _expanded = self.policies.at_the_end();
        let create = self.store.create_connection(connection.clone());
        let change = Change::Connection(connection.id);
        self.directory.change(change, create).await?;
        Ok(connection)
    }

    /// Removes a connection without subscriptions; `false` if there is none.
    pub async fn disconnect(&self, id: ConnectionId) -> Result<bool, ManageError> {
        let delete = self.store.delete_connection(id);
        let change = Change::Connection(id);
        Ok(self.directory.change(change, delete).await?)
    }

    /// Has a connection deleted with its subscriptions: those are removed at Graph and here, then it goes. Gives it as it
    /// then is; `None` if there is none (any more).
    pub async fn delete_connection(
        &self,
        id: ConnectionId,
    ) -> Result<Option<Connection>, ManageError> {
        let since = self.clock.now();
        self.want(id, ConnectionIntent::Deleting { since }).await
    }

    /// Has a connection's subscriptions removed at Graph; they wait here until it is enabled. `None` if there is none.
    pub async fn disable_connection(
        &self,
        id: ConnectionId,
    ) -> Result<Option<Connection>, ManageError> {
        let since = self.clock.now();
        self.want(id, ConnectionIntent::Disabled { since }).await
    }

    /// Has the subscriptions of a disabled connection made anew, and compared; `None` if there is none.
    pub async fn enable_connection(
        &self,
        id: ConnectionId,
    ) -> Result<Option<Connection>, ManageError> {
        self.want(id, ConnectionIntent::Kept).await
    }

    async fn want(
        &self,
        id: ConnectionId,
        intent: ConnectionIntent,
    ) -> Result<Option<Connection>, ManageError> {
        let (_settled, _expanded) = (self.connections.at_the_end(), self.policies.at_the_end());
        let set = self
            .store
            .set_connection_intent(id, intent, self.clock.now());
        Ok(self.directory.change(Change::Connection(id), set).await?)
    }

    fn not_yet_connected(
        &self,
        integration: &Integration,
        tenant: Uuid,
    ) -> Result<(), ManageError> {
        match self.directory.connection_for_tenant(integration.id, tenant) {
            None => Ok(()),
            Some(there) => Err(ManageError::Conflict {
                what: format!(
                    "connection {} of integration `{}` to tenant {tenant}",
                    there.id, integration.key
                ),
            }),
        }
    }
}

/// What calls to `tenant` for `integration` are made with.
pub fn access(integration: &Integration, tenant: String) -> Access {
    Access {
        integration: integration.id,
        tenant,
        client_id: integration.client_id.clone(),
        client_secret: integration.client_secret.clone(),
        login_url: integration.login_url.clone(),
        graph_url: integration.graph_url.clone(),
    }
}

fn tenant(text: &str) -> Result<String, ManageError> {
    let text = text.trim().to_ascii_lowercase();
    let many = matches!(text.as_str(), "common" | "organizations" | "consumers");
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    // A domain has a dot; whatever else is no GUID is a typing error that sign-in would answer less clearly.
    let fits = !many
        && text.len() <= 253
        && text.bytes().all(plain)
        && !text.contains("..")
        && !text.starts_with(['-', '.'])
        && (text.contains('.') || (text.len() == 36 && Uuid::try_parse(&text).is_ok()));
    if fits {
        Ok(text)
    } else {
        Err(invalid(
            "/tenant_id",
            "give the tenant's id (a GUID) or one of its domains, such as contoso.onmicrosoft.com",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenants_are_guids_or_domains() {
        for good in [
            "5D9C1F6A-1b7e-4f57-8f0e-2c3a4b5c6d7e",
            "contoso.onmicrosoft.com",
            " Example.org ",
        ] {
            assert_eq!(tenant(good).ok(), Some(good.trim().to_ascii_lowercase()));
        }
        for bad in [
            "",
            "common",
            "organizations",
            "contoso",
            "../x",
            "a/b.com",
            "a..b",
            "a b.com",
            ".com",
            "x.com?y",
        ] {
            assert!(tenant(bad).is_err(), "{bad}");
        }
    }
}
