//! The verbs of how complete notifications were.

use async_trait::async_trait;
use tidings_domain::{
    completeness::{Completeness, Counted, Day, DayCounts},
    ids::SubscriptionId,
};

use crate::{StoreError, record::SubscriptionFilter};

/// How many changes became known on each day, and how.
#[async_trait]
pub trait CompletenessStore: Send + Sync {
    /// Adds to what became known of the changes of subscriptions; of those that are gone it does not. Several nodes may
    /// add to one subscription.
    async fn count_changes(&self, counted: Vec<Counted>) -> Result<(), StoreError>;
    /// What became known of the changes of these subscriptions, together, from a day on.
    async fn completeness(
        &self,
        which: SubscriptionFilter,
        from: Day,
    ) -> Result<Completeness, StoreError>;
    /// What became known on each day from this one on, in the order of the days of each.
    async fn counted_days(
        &self,
        these: Vec<SubscriptionId>,
        from: Day,
    ) -> Result<Vec<DayCounts>, StoreError>;
    /// Forgets up to `limit` rows of days before this one, and says how many those were.
    async fn forget_days(&self, before: Day, limit: u32) -> Result<u64, StoreError>;
}
