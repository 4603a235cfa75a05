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

use super::on::on;
use crate::{
    Lease, StoreError,
    postgres::{PostgresStore, connections, environments, integrations, keys, lists},
    record::{DueConnection, NewApiKey, NewEvent, Settled},
    store::ConfiguredStore,
};

#[async_trait]
impl ConfiguredStore for PostgresStore {
    async fn create_environment(&self, environment: Environment) -> Result<(), StoreError> {
        on!(self, write sql => environments::create(&self.shared, sql, &environment))
    }

    async fn environments(&self) -> Result<Vec<Environment>, StoreError> {
        on!(self, read sql => environments::all(sql))
    }

    async fn delete_environment(&self, id: EnvironmentId) -> Result<bool, StoreError> {
        on!(self, write sql => environments::delete(&self.shared, sql, id))
    }

    async fn create_integration(&self, integration: Integration) -> Result<(), StoreError> {
        on!(self, write sql => integrations::create(&self.shared, sql, &integration))
    }

    async fn integrations(&self) -> Result<Vec<Integration>, StoreError> {
        on!(self, read sql => integrations::all(&self.shared, sql))
    }

    async fn integration(
        &self,
        environment: EnvironmentId,
        key: &IntegrationKey,
    ) -> Result<Option<Integration>, StoreError> {
        on!(self, read sql => integrations::by_key(&self.shared, sql, environment, key))
    }

    async fn delete_integration(&self, id: IntegrationId) -> Result<bool, StoreError> {
        on!(self, write sql => integrations::delete(&self.shared, sql, id))
    }

    async fn create_connection(&self, connection: Connection) -> Result<(), StoreError> {
        on!(self, write sql => connections::create(&self.shared, sql, &connection))
    }

    async fn connection(&self, id: ConnectionId) -> Result<Option<Connection>, StoreError> {
        on!(self, read sql => connections::one(sql, id))
    }

    async fn connections(
        &self,
        environment: Option<EnvironmentId>,
        page: Page,
    ) -> Result<Listing<Connection>, StoreError> {
        let after = lists::after(&page)?;
        on!(self, read sql => connections::list(sql, environment, &page, after))
    }

    async fn set_connection_state(
        &self,
        id: ConnectionId,
        state: ConnectionState,
        at: Timestamp,
        events: Vec<NewEvent>,
    ) -> Result<(), StoreError> {
        on!(self, write sql => connections::set_state(&self.shared, sql, id, &state, at, &events))
    }

    async fn set_connection_intent(
        &self,
        id: ConnectionId,
        intent: ConnectionIntent,
        now: Timestamp,
    ) -> Result<Option<Connection>, StoreError> {
        on!(self, write sql => connections::set_intent(&self.shared, sql, id, intent, now))
    }

    async fn due_connections(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<DueConnection>, StoreError> {
        on!(self, take sql => connections::due(&self.shared, sql, now, limit))
    }

    async fn next_due_connection(&self) -> Result<Option<Timestamp>, StoreError> {
        on!(self, take sql => connections::next_due(&self.shared, sql))
    }

    async fn settle_connection(
        &self,
        id: ConnectionId,
        now: Timestamp,
        limit: u32,
        lease: Lease,
    ) -> Result<Settled, StoreError> {
        on!(self, complete sql => connections::settle(&self.shared, sql, id, now, limit, lease))
    }

    async fn put_off_connection(
        &self,
        id: ConnectionId,
        seen: Timestamp,
        due_at: Timestamp,
        listed_at: Option<Timestamp>,
        lease: Lease,
    ) -> Result<(), StoreError> {
        on!(self, complete sql => connections::put_off(&self.shared, sql, id, seen, due_at, listed_at, lease))
    }

    async fn delete_connection(&self, id: ConnectionId) -> Result<bool, StoreError> {
        on!(self, write sql => connections::delete(&self.shared, sql, id))
    }

    async fn create_key(&self, key: NewApiKey) -> Result<(), StoreError> {
        on!(self, write sql => keys::create(sql, &key))
    }

    async fn key_by_hash(&self, hash: [u8; 32]) -> Result<Option<ApiKey>, StoreError> {
        on!(self, read sql => keys::by_hash(sql, hash))
    }

    async fn keys(
        &self,
        environment: Option<EnvironmentId>,
        page: Page,
    ) -> Result<Listing<ApiKey>, StoreError> {
        let after = lists::after(&page)?;
        on!(self, read sql => keys::list(sql, environment, &page, after))
    }

    async fn delete_key(&self, id: KeyId) -> Result<bool, StoreError> {
        on!(self, write sql => keys::delete(sql, id))
    }
}
