//! The verbs of what people configure.

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
    sqlite::{SqliteStore, connections, environments, integrations, keys, lists},
    store::ConfiguredStore,
};

#[async_trait]
impl ConfiguredStore for SqliteStore {
    async fn create_environment(&self, environment: Environment) -> Result<(), StoreError> {
        self.create(move |tx| environments::create(tx, &environment))
            .await
    }

    async fn environments(&self) -> Result<Vec<Environment>, StoreError> {
        self.readers.read(environments::all).await
    }

    async fn delete_environment(&self, id: EnvironmentId) -> Result<bool, StoreError> {
        self.change(move |tx| environments::delete(tx, id)).await
    }

    async fn create_integration(&self, integration: Integration) -> Result<(), StoreError> {
        self.create(move |tx| integrations::create(tx, &integration))
            .await
    }

    async fn integrations(&self) -> Result<Vec<Integration>, StoreError> {
        self.read_sealed(integrations::all).await
    }

    async fn integration(
        &self,
        environment: EnvironmentId,
        key: &IntegrationKey,
    ) -> Result<Option<Integration>, StoreError> {
        let key = key.clone();
        self.read_sealed(move |sql, seal| integrations::by_key(sql, seal, environment, &key))
            .await
    }

    async fn delete_integration(&self, id: IntegrationId) -> Result<bool, StoreError> {
        self.change(move |tx| integrations::delete(tx, id)).await
    }

    async fn create_connection(&self, connection: Connection) -> Result<(), StoreError> {
        self.create(move |tx| connections::create(tx, &connection))
            .await
    }

    async fn connection(&self, id: ConnectionId) -> Result<Option<Connection>, StoreError> {
        self.readers
            .read(move |sql| connections::one(sql, id))
            .await
    }

    async fn connections(
        &self,
        environment: Option<EnvironmentId>,
        page: Page,
    ) -> Result<Listing<Connection>, StoreError> {
        let after = lists::after(&page)?;
        self.readers
            .read(move |sql| connections::list(sql, environment, &page, after))
            .await
    }

    async fn set_connection_state(
        &self,
        id: ConnectionId,
        state: ConnectionState,
        at: Timestamp,
        events: Vec<NewEvent>,
    ) -> Result<(), StoreError> {
        self.change(move |tx| connections::set_state(tx, id, &state, at, &events))
            .await
    }

    async fn set_connection_intent(
        &self,
        id: ConnectionId,
        intent: ConnectionIntent,
        now: Timestamp,
    ) -> Result<Option<Connection>, StoreError> {
        self.change(move |tx| Ok(connections::set_intent(tx, id, intent, now)?))
            .await
    }

    async fn due_connections(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<DueConnection>, StoreError> {
        self.readers
            .read(move |sql| connections::due(sql, now, limit))
            .await
    }

    async fn next_due_connection(&self) -> Result<Option<Timestamp>, StoreError> {
        self.readers.read(connections::next_due).await
    }

    async fn settle_connection(
        &self,
        id: ConnectionId,
        now: Timestamp,
        limit: u32,
        _: Lease,
    ) -> Result<Settled, StoreError> {
        self.change(move |tx| connections::settle(tx, id, now, limit))
            .await
    }

    async fn put_off_connection(
        &self,
        id: ConnectionId,
        seen: Timestamp,
        due_at: Timestamp,
        listed_at: Option<Timestamp>,
        _: Lease,
    ) -> Result<(), StoreError> {
        self.change(move |tx| connections::put_off(tx, id, seen, due_at, listed_at))
            .await
    }

    async fn delete_connection(&self, id: ConnectionId) -> Result<bool, StoreError> {
        self.change(move |tx| connections::delete(tx, id)).await
    }

    async fn create_key(&self, key: NewApiKey) -> Result<(), StoreError> {
        self.create(move |tx| keys::create(tx, &key)).await
    }

    async fn key_by_hash(&self, hash: [u8; 32]) -> Result<Option<ApiKey>, StoreError> {
        self.readers.read(move |sql| keys::by_hash(sql, hash)).await
    }

    async fn keys(
        &self,
        environment: Option<EnvironmentId>,
        page: Page,
    ) -> Result<Listing<ApiKey>, StoreError> {
        let after = lists::after(&page)?;
        self.readers
            .read(move |sql| keys::list(sql, environment, &page, after))
            .await
    }

    async fn delete_key(&self, id: KeyId) -> Result<bool, StoreError> {
        self.change(move |tx| keys::delete(tx, id)).await
    }
}
