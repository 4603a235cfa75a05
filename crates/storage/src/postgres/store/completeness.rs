//! The verbs of how complete notifications were.

use async_trait::async_trait;
use tidings_domain::{
    completeness::{Completeness, Counted, Day, DayCounts},
    ids::SubscriptionId,
};

use super::on::on;
use crate::{
    StoreError,
    postgres::{PostgresStore, completeness},
    record::SubscriptionFilter,
    store::CompletenessStore,
};

#[async_trait]
impl CompletenessStore for PostgresStore {
    async fn count_changes(&self, counted: Vec<Counted>) -> Result<(), StoreError> {
        on!(self, complete sql => completeness::add(sql, &counted))
    }

    async fn completeness(
        &self,
        which: SubscriptionFilter,
        from: Day,
    ) -> Result<Completeness, StoreError> {
        on!(self, read sql => completeness::total(sql, which, from))
    }

    async fn counted_days(
        &self,
        these: Vec<SubscriptionId>,
        from: Day,
    ) -> Result<Vec<DayCounts>, StoreError> {
        on!(self, read sql => completeness::days(sql, &these, from))
    }

    async fn forget_days(&self, before: Day, limit: u32) -> Result<u64, StoreError> {
        on!(self, complete sql => completeness::forget(sql, before, limit))
    }
}
