//! The verbs of what people configure: environments, integrations, connections and keys.

use async_trait::async_trait;
use tidings_domain::{
    Timestamp,
    connection::{Connection, ConnectionState},
    environment::Environment,
    ids::{ConnectionId, EnvironmentId, IntegrationId, KeyId},
    integration::{Integration, IntegrationKey},
    key::ApiKey,
    page::{Listing, Page},
};

use crate::{
    StoreError,
    record::{NewApiKey, NewEvent},
};

/// What people configure.
#[async_trait]
pub trait ConfiguredStore: Send + Sync {
    // --- environments ---

    /// Adds an environment. `Conflict` if the name is taken.
    async fn create_environment(&self, environment: Environment) -> Result<(), StoreError>;
    /// Every environment, oldest first; there are few.
    async fn environments(&self) -> Result<Vec<Environment>, StoreError>;
    /// Removes an environment that has no integrations and no webhooks (`Conflict` otherwise), with its keys; `false` if
    /// there was none.
    async fn delete_environment(&self, id: EnvironmentId) -> Result<bool, StoreError>;

    // --- integrations ---

    /// Adds an integration. `Conflict` if the key is taken in its environment.
    async fn create_integration(&self, integration: Integration) -> Result<(), StoreError>;
    /// Every integration, oldest first; there are few.
    async fn integrations(&self) -> Result<Vec<Integration>, StoreError>;
    /// The integration with this key in this environment.
    async fn integration(
        &self,
        environment: EnvironmentId,
        key: &IntegrationKey,
    ) -> Result<Option<Integration>, StoreError>;
    /// Removes an integration that has no connections (`Conflict` otherwise); `false` if there was none.
    async fn delete_integration(&self, id: IntegrationId) -> Result<bool, StoreError>;

    // --- connections ---

    /// Adds a connection. `Conflict` if its integration has one to that tenant.
    async fn create_connection(&self, connection: Connection) -> Result<(), StoreError>;
    /// One connection.
    async fn connection(&self, id: ConnectionId) -> Result<Option<Connection>, StoreError>;
    /// Connections, newest first, of one environment or of all.
    async fn connections(
        &self,
        environment: Option<EnvironmentId>,
        page: Page,
    ) -> Result<Listing<Connection>, StoreError>;
    /// Sets whether a connection can be used, and tells the events of that, in one transaction. Does nothing if that has
    /// been known before: of several that find out at the same time, one tells.
    ///
    /// When it can be used again, its subscriptions and their reconciling that have failed and wait to be tried again are
    /// due `at` once.
    async fn set_connection_state(
        &self,
        id: ConnectionId,
        state: ConnectionState,
        at: Timestamp,
        events: Vec<NewEvent>,
    ) -> Result<(), StoreError>;
    /// Removes a connection that has no subscriptions (`Conflict` otherwise); `false` if there was none. What its past
    /// notifications led to stays.
    async fn delete_connection(&self, id: ConnectionId) -> Result<bool, StoreError>;

    // --- API keys ---

    /// Adds a key.
    async fn create_key(&self, key: NewApiKey) -> Result<(), StoreError>;
    /// The key with this hash.
    async fn key_by_hash(&self, hash: [u8; 32]) -> Result<Option<ApiKey>, StoreError>;
    /// Keys, newest first, of one environment or of all.
    async fn keys(
        &self,
        environment: Option<EnvironmentId>,
        page: Page,
    ) -> Result<Listing<ApiKey>, StoreError>;
    /// Removes a key; `false` if there was none.
    async fn delete_key(&self, id: KeyId) -> Result<bool, StoreError>;
}
