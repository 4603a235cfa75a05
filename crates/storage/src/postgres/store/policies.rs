//! The verbs of policies.

use async_trait::async_trait;
use tidings_domain::{
    Timestamp,
    ids::{ConnectionId, EnvironmentId, PolicyId},
    page::{Listing, Page},
    policy::Policy,
};

use super::on::on;
use crate::{
    Lease, StoreError,
    postgres::{PostgresStore, expansions, lists, policies},
    record::{DueExpansion, Expanded, ExpansionUpdate, PolicyProgress},
    store::PolicyStore,
};

#[async_trait]
impl PolicyStore for PostgresStore {
    async fn create_policy(&self, policy: Policy) -> Result<(), StoreError> {
        on!(self, write sql => policies::create(&self.shared, sql, &policy))
    }

    async fn policy(&self, id: PolicyId) -> Result<Option<Policy>, StoreError> {
        on!(self, read sql => policies::one(sql, id))
    }

    async fn policies(
        &self,
        environment: Option<EnvironmentId>,
        page: Page,
    ) -> Result<Listing<Policy>, StoreError> {
        let after = lists::after(&page)?;
        on!(self, read sql => policies::list(sql, environment, &page, after))
    }

    async fn policy_progress(&self, id: PolicyId) -> Result<PolicyProgress, StoreError> {
        on!(self, read sql => policies::progress(sql, id))
    }

    async fn delete_policy(&self, id: PolicyId, now: Timestamp) -> Result<bool, StoreError> {
        on!(self, write sql => policies::delete(&self.shared, sql, id, now))
    }

    async fn make_expansions(&self, now: Timestamp) -> Result<u64, StoreError> {
        on!(self, complete sql => expansions::make(sql, now))
    }

    async fn due_expansions(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<DueExpansion>, StoreError> {
        on!(self, take sql => expansions::due(&self.shared, sql, now, limit))
    }

    async fn next_due_expansion(&self) -> Result<Option<Timestamp>, StoreError> {
        on!(self, take sql => expansions::next_due(&self.shared, sql))
    }

    async fn record_expansion(
        &self,
        update: ExpansionUpdate,
        lease: Lease,
    ) -> Result<Expanded, StoreError> {
        on!(self, complete sql => expansions::record(&self.shared, sql, &update, lease))
    }

    async fn retire_expanded(
        &self,
        policy: PolicyId,
        connection: ConnectionId,
        enumeration: u64,
        now: Timestamp,
        limit: u32,
        lease: Lease,
    ) -> Result<u64, StoreError> {
        let of = (policy, connection);
        on!(self, complete sql => expansions::retire(&self.shared, sql, of, enumeration, now, limit, lease))
    }

    async fn end_expansion(
        &self,
        policy: PolicyId,
        connection: ConnectionId,
        lease: Lease,
    ) -> Result<(), StoreError> {
        on!(self, complete sql => expansions::end(&self.shared, sql, policy, connection, lease))
    }
}
