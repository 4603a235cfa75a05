//! The verbs of what people configure: environments, integrations, connections and keys.

use async_trait::async_trait;
use tidings_domain::{
    Timestamp,
    connection::{Connection, ConnectionIntent, ConnectionState},
    environment::Environment,
    ids::{ConnectionId, EnvironmentId, IntegrationId, KeyId},
    integration::{Integration, IntegrationKey},
    key::ApiKey,
    page::{Listing, Page},
};

use crate::{
    Lease, StoreError,
    record::{DueConnection, NewApiKey, NewEvent, Settled},
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
    /// Sets what is wanted of a connection, makes its subscriptions due to be looked at as a whole at `now`, and gives it as
    /// it then is; `None` if there is none. One that is to be deleted stays so.
    async fn set_connection_intent(
        &self,
        id: ConnectionId,
        intent: ConnectionIntent,
        now: Timestamp,
    ) -> Result<Option<Connection>, StoreError>;
    /// Connections of held shards whose subscriptions are to be looked at as a whole, the longest due first.
    async fn due_connections(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<DueConnection>, StoreError>;
    /// The earliest time at which [`ConfiguredStore::due_connections`] has something.
    async fn next_due_connection(&self) -> Result<Option<Timestamp>, StoreError>;
    /// Has up to `limit` subscriptions of a connection follow what is wanted of it, and says how many did, and how many
    /// there are that Graph may still serve though it is not to.
    ///
    /// Of a connection that is to be deleted those that Graph may serve are marked to be removed. Of a disabled one they
    /// become due. Of a kept one those that were disabled are wanted again, and due.
    async fn settle_connection(
        &self,
        id: ConnectionId,
        now: Timestamp,
        limit: u32,
        lease: Lease,
    ) -> Result<Settled, StoreError>;
    /// Sets when a connection's subscriptions are next looked at as a whole, and when Graph was last asked which it has.
    /// `Missing` if the connection is gone. What was asked for after `seen`, the time at which it was due, holds.
    async fn put_off_connection(
        &self,
        id: ConnectionId,
        seen: Timestamp,
        due_at: Timestamp,
        listed_at: Option<Timestamp>,
        lease: Lease,
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
