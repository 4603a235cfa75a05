//! The verbs of comparing.

use std::time::Duration;

use async_trait::async_trait;
use tidings_domain::{
    Timestamp,
    ids::SubscriptionId,
    reconcile::{Reconcile, ReconcileScope},
};

use super::on::on;
use crate::{
    Lease, StoreError,
    postgres::{PostgresStore, absence, known_items, reconcile, reconcile_page, silence},
    record::{
        AskReconcile, DueReconcile, KnownItem, NewEvent, ReconcilePage, ReconcileUpdate,
        SubscriptionFilter,
    },
    store::{ASKED_AT_ONCE, ReconcileStore},
};

#[async_trait]
impl ReconcileStore for PostgresStore {
    async fn due_reconciles(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<DueReconcile>, StoreError> {
        on!(self, take sql => reconcile::due(&self.shared, sql, now, limit))
    }

    async fn next_due_reconcile(&self) -> Result<Option<Timestamp>, StoreError> {
        on!(self, take sql => reconcile::next_due(&self.shared, sql))
    }

    async fn reconcile(&self, id: SubscriptionId) -> Result<Option<Reconcile>, StoreError> {
        on!(self, read sql => reconcile::one(sql, id))
    }

    async fn ask_reconcile(
        &self,
        which: SubscriptionFilter,
        ask: AskReconcile,
    ) -> Result<u64, StoreError> {
        let meant: Result<Vec<String>, StoreError> =
            on!(self, read sql => reconcile::meant(sql, which));
        let mut asked = 0;
        for slice in meant?.chunks(ASKED_AT_ONCE) {
            let done: Result<u64, StoreError> =
                on!(self, write sql => reconcile::ask(&self.shared, sql, slice, &ask));
            asked += done?;
        }
        Ok(asked)
    }

    async fn reconcile_scopes(
        &self,
        id: SubscriptionId,
    ) -> Result<Vec<ReconcileScope>, StoreError> {
        on!(self, take sql => reconcile::scopes(sql, id))
    }

    async fn known_items(
        &self,
        id: SubscriptionId,
        items: Vec<String>,
    ) -> Result<Vec<KnownItem>, StoreError> {
        on!(self, take sql => known_items::these(sql, id, &items))
    }

    async fn items_not_shown(
        &self,
        id: SubscriptionId,
        scope: String,
        enumeration: u64,
        after: String,
        limit: u32,
    ) -> Result<Vec<KnownItem>, StoreError> {
        on!(self, take sql => known_items::not_shown(sql, id, &scope, enumeration, &after, limit))
    }

    async fn record_reconcile_page(
        &self,
        page: ReconcilePage,
        lease: Lease,
    ) -> Result<(), StoreError> {
        on!(self, complete sql => reconcile_page::record(&self.shared, sql, &page, lease))
    }

    async fn update_reconcile(
        &self,
        update: ReconcileUpdate,
        lease: Lease,
    ) -> Result<(), StoreError> {
        on!(self, complete sql => reconcile::update(&self.shared, sql, &update, lease))
    }

    async fn reconciles(
        &self,
        after: Option<SubscriptionId>,
        limit: u32,
    ) -> Result<Vec<Reconcile>, StoreError> {
        on!(self, take sql => reconcile::behind(&self.shared, sql, after, limit))
    }

    async fn suspect_silence(
        &self,
        id: SubscriptionId,
        since: Timestamp,
        ask: AskReconcile,
    ) -> Result<bool, StoreError> {
        on!(self, complete sql => silence::suspect(&self.shared, sql, id, since, &ask))
    }

    async fn tell_silence(
        &self,
        id: SubscriptionId,
        patience: u32,
        events: Vec<NewEvent>,
    ) -> Result<bool, StoreError> {
        on!(self, complete sql => silence::tell(&self.shared, sql, id, patience, &events))
    }

    async fn end_silence(&self, id: SubscriptionId) -> Result<(), StoreError> {
        on!(self, complete sql => silence::end(sql, id))
    }

    async fn note_alive(
        &self,
        now: Timestamp,
        long: Duration,
    ) -> Result<Option<Timestamp>, StoreError> {
        on!(self, complete sql => absence::note(sql, now, long))
    }

    async fn answer_absence(&self, since: Timestamp) -> Result<(), StoreError> {
        on!(self, complete sql => absence::answer(sql, since))
    }
}
