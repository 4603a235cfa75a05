//! The verbs of policies.

use async_trait::async_trait;
use tidings_domain::{
    Timestamp,
    ids::{ConnectionId, EnvironmentId, PolicyId},
    page::{Listing, Page},
    policy::Policy,
};

use crate::{
    Lease, StoreError,
    record::{DueExpansion, Expanded, ExpansionUpdate, PolicyProgress},
    sqlite::{SqliteStore, expansions, lists, policies, writer::Kind},
    store::PolicyStore,
};

#[async_trait]
impl PolicyStore for SqliteStore {
    async fn create_policy(&self, policy: Policy) -> Result<(), StoreError> {
        self.create(move |tx| policies::create(tx, &policy)).await
    }

    async fn policy(&self, id: PolicyId) -> Result<Option<Policy>, StoreError> {
        self.readers.read(move |sql| policies::one(sql, id)).await
    }

    async fn policies(
        &self,
        environment: Option<EnvironmentId>,
        page: Page,
    ) -> Result<Listing<Policy>, StoreError> {
        let after = lists::after(&page)?;
        self.readers
            .read(move |sql| policies::list(sql, environment, &page, after))
            .await
    }

    async fn policy_progress(&self, id: PolicyId) -> Result<PolicyProgress, StoreError> {
        self.readers
            .read(move |sql| policies::progress(sql, id))
            .await
    }

    async fn delete_policy(&self, id: PolicyId, now: Timestamp) -> Result<bool, StoreError> {
        self.change(move |tx| policies::delete(tx, id, now)).await
    }

    async fn make_expansions(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.change(move |tx| Ok(expansions::make(tx, now)?)).await
    }

    async fn due_expansions(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<DueExpansion>, StoreError> {
        self.readers
            .read(move |sql| expansions::due(sql, now, limit))
            .await
    }

    async fn next_due_expansion(&self) -> Result<Option<Timestamp>, StoreError> {
        self.readers.read(expansions::next_due).await
    }

    async fn record_expansion(
        &self,
        update: ExpansionUpdate,
        _: Lease,
    ) -> Result<Expanded, StoreError> {
        let rows = 1 + update.wishes.len() + update.gone.len();
        self.writer
            .write(Kind::New, rows, move |tx| expansions::record(tx, &update))
            .await
    }

    async fn retire_expanded(
        &self,
        policy: PolicyId,
        connection: ConnectionId,
        enumeration: u64,
        now: Timestamp,
        limit: u32,
        _: Lease,
    ) -> Result<u64, StoreError> {
        let of = (policy, connection);
        self.change(move |tx| Ok(expansions::retire(tx, of, enumeration, now, limit)?))
            .await
    }

    async fn end_expansion(
        &self,
        policy: PolicyId,
        connection: ConnectionId,
        _: Lease,
    ) -> Result<(), StoreError> {
        self.change(move |tx| Ok(expansions::end(tx, policy, connection)?))
            .await
    }
}
