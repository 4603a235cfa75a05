//! The verbs of comparing what Graph has with what apps were told.

use std::time::Duration;

use async_trait::async_trait;
use tidings_domain::{
    Timestamp,
    ids::SubscriptionId,
    reconcile::{Reconcile, ReconcileScope},
};

use crate::{
    Lease, StoreError,
    record::{
        AskReconcile, DueReconcile, KnownItem, NewEvent, ReconcilePage, ReconcileUpdate,
        SubscriptionFilter,
    },
};

/// How far comparing is, and what apps know of each item.
#[async_trait]
pub trait ReconcileStore: Send + Sync {
    /// Subscriptions of held shards that are to be reconciled at `now`, the longest due first.
    async fn due_reconciles(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<DueReconcile>, StoreError>;
    /// The earliest time at which a subscription of a held shard is to be reconciled.
    async fn next_due_reconcile(&self) -> Result<Option<Timestamp>, StoreError>;
    /// Where reconciling a subscription stands; `None` if it is not reconciled.
    async fn reconcile(&self, id: SubscriptionId) -> Result<Option<Reconcile>, StoreError>;
    /// Has those of these subscriptions reconciled that are at all, and says how many. Of many it asks in slices, so that
    /// others need not wait: when it fails, some may have been asked for. It can be repeated.
    async fn ask_reconcile(
        &self,
        which: SubscriptionFilter,
        ask: AskReconcile,
    ) -> Result<u64, StoreError>;
    /// The scopes of a subscription that are known.
    async fn reconcile_scopes(&self, id: SubscriptionId)
    -> Result<Vec<ReconcileScope>, StoreError>;
    /// What is known of these items. Nothing ever is of one whose id, or whose scope's, is longer than 1,024 bytes:
    /// Microsoft's are not.
    async fn known_items(
        &self,
        id: SubscriptionId,
        items: Vec<String>,
    ) -> Result<Vec<KnownItem>, StoreError>;
    /// Items of a scope that the enumeration of this number, or a later one, has not shown; in the order of their ids,
    /// behind `after`.
    async fn items_not_shown(
        &self,
        id: SubscriptionId,
        scope: String,
        enumeration: u64,
        after: String,
        limit: u32,
    ) -> Result<Vec<KnownItem>, StoreError>;
    /// Records what one answer of an enumeration led to, all or nothing: its finds enter the queue of enrich as accepted,
    /// each a change of its own. `Missing` if the subscription is gone; `Overloaded` and `Full` as for notifications.
    async fn record_reconcile_page(
        &self,
        page: ReconcilePage,
        lease: Lease,
    ) -> Result<(), StoreError>;
    /// Records how far reconciling a subscription is. `Missing` if the subscription is gone.
    async fn update_reconcile(
        &self,
        update: ReconcileUpdate,
        lease: Lease,
    ) -> Result<(), StoreError>;
    /// Where reconciling the subscriptions of held shards stands, those behind `after`, in the order of their ids.
    async fn reconciles(
        &self,
        after: Option<SubscriptionId>,
        limit: u32,
    ) -> Result<Vec<Reconcile>, StoreError>;
    /// Records that Graph has told of nothing since `since`, and has it looked for; `false`, and nothing, if that is known.
    async fn suspect_silence(
        &self,
        id: SubscriptionId,
        since: Timestamp,
        ask: AskReconcile,
    ) -> Result<bool, StoreError>;
    /// Tells of a silence that has been looked into, and sets for how many more hours the next may last; `false`, and
    /// nothing, if it has been told, or is over.
    async fn tell_silence(
        &self,
        id: SubscriptionId,
        patience: u32,
        events: Vec<NewEvent>,
    ) -> Result<bool, StoreError>;
    /// Records that Graph tells of changes again.
    async fn end_silence(&self, id: SubscriptionId) -> Result<(), StoreError>;
    /// Records that somebody is at work at `now`. Where nobody has said so for longer than `long`, an absence is recorded
    /// with it. Gives since when it lasted, now and each time until it is answered. Where several nodes share the store,
    /// any of them counts.
    async fn note_alive(
        &self,
        now: Timestamp,
        long: Duration,
    ) -> Result<Option<Timestamp>, StoreError>;
    /// Records that all has been done that follows from the absence since `since`.
    async fn answer_absence(&self, since: Timestamp) -> Result<(), StoreError>;
}
