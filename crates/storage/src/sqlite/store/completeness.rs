//! The verbs of how complete notifications were.

use async_trait::async_trait;
use tidings_domain::{
    completeness::{Completeness, Counted, Day, DayCounts},
    ids::SubscriptionId,
};

use crate::{
    StoreError,
    record::SubscriptionFilter,
    sqlite::{SqliteStore, completeness},
    store::CompletenessStore,
};

#[async_trait]
impl CompletenessStore for SqliteStore {
    async fn count_changes(&self, counted: Vec<Counted>) -> Result<(), StoreError> {
        self.change(move |tx| Ok(completeness::add(tx, &counted)?))
            .await
    }

    async fn completeness(
        &self,
        which: SubscriptionFilter,
        from: Day,
    ) -> Result<Completeness, StoreError> {
        self.readers
            .read(move |sql| completeness::total(sql, which, from))
            .await
    }

    async fn counted_days(
        &self,
        these: Vec<SubscriptionId>,
        from: Day,
    ) -> Result<Vec<DayCounts>, StoreError> {
        self.readers
            .read(move |sql| completeness::days(sql, &these, from))
            .await
    }

    async fn forget_days(&self, before: Day, limit: u32) -> Result<u64, StoreError> {
        self.change(move |tx| Ok(completeness::forget(tx, before, limit)?))
            .await
    }
}
