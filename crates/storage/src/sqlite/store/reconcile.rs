//! The verbs of comparing.

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
    sqlite::{SqliteStore, absence, known_items, reconcile, reconcile_page, silence, writer::Kind},
    store::{ASKED_AT_ONCE, ReconcileStore},
};

#[async_trait]
impl ReconcileStore for SqliteStore {
    async fn due_reconciles(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<DueReconcile>, StoreError> {
        self.readers
            .read(move |sql| reconcile::due(sql, now, limit))
            .await
    }

    async fn next_due_reconcile(&self) -> Result<Option<Timestamp>, StoreError> {
        self.readers.read(reconcile::next_due).await
    }

    async fn reconcile(&self, id: SubscriptionId) -> Result<Option<Reconcile>, StoreError> {
        self.readers.read(move |sql| reconcile::one(sql, id)).await
    }

    async fn ask_reconcile(
        &self,
        which: SubscriptionFilter,
        ask: AskReconcile,
    ) -> Result<u64, StoreError> {
        let meant = self
            .readers
            .read(move |sql| reconcile::meant(sql, which))
            .await?;
        let mut asked = 0;
        for slice in meant.chunks(ASKED_AT_ONCE) {
            let slice = slice.to_vec();
            asked += self
                .change(move |tx| Ok(reconcile::ask(tx, &slice, &ask)?))
                .await?;
        }
        Ok(asked)
    }

    async fn reconcile_scopes(
        &self,
        id: SubscriptionId,
    ) -> Result<Vec<ReconcileScope>, StoreError> {
        self.readers
            .read(move |sql| reconcile::scopes(sql, id))
            .await
    }

    async fn known_items(
        &self,
        id: SubscriptionId,
        items: Vec<String>,
    ) -> Result<Vec<KnownItem>, StoreError> {
        self.readers
            .read(move |sql| known_items::these(sql, id, &items))
            .await
    }

    async fn items_not_shown(
        &self,
        id: SubscriptionId,
        scope: String,
        enumeration: u64,
        after: String,
        limit: u32,
    ) -> Result<Vec<KnownItem>, StoreError> {
        self.readers
            .read(move |sql| known_items::not_shown(sql, id, &scope, enumeration, &after, limit))
            .await
    }

    async fn record_reconcile_page(
        &self,
        mut page: ReconcilePage,
        _: Lease,
    ) -> Result<(), StoreError> {
        let finds = reconcile_page::finds(&mut page);
        let rows = 1 + finds.len() + page.items.len() + page.forget.len();
        self.writer
            .write(Kind::New, rows, move |tx| {
                reconcile_page::record(tx, &page, &finds)
            })
            .await
    }

    async fn update_reconcile(&self, update: ReconcileUpdate, _: Lease) -> Result<(), StoreError> {
        self.change(move |tx| reconcile::update(tx, &update)).await
    }

    async fn reconciles(
        &self,
        after: Option<SubscriptionId>,
        limit: u32,
    ) -> Result<Vec<Reconcile>, StoreError> {
        self.readers
            .read(move |sql| reconcile::behind(sql, after, limit))
            .await
    }

    async fn suspect_silence(
        &self,
        id: SubscriptionId,
        since: Timestamp,
        ask: AskReconcile,
    ) -> Result<bool, StoreError> {
        self.change(move |tx| Ok(silence::suspect(tx, id, since, &ask)?))
            .await
    }

    async fn tell_silence(
        &self,
        id: SubscriptionId,
        patience: u32,
        events: Vec<NewEvent>,
    ) -> Result<bool, StoreError> {
        self.change(move |tx| Ok(silence::tell(tx, id, patience, &events)?))
            .await
    }

    async fn end_silence(&self, id: SubscriptionId) -> Result<(), StoreError> {
        self.change(move |tx| Ok(silence::end(tx, id)?)).await
    }

    async fn note_alive(
        &self,
        now: Timestamp,
        long: Duration,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.change(move |tx| Ok(absence::note(tx, now, long)?))
            .await
    }

    async fn answer_absence(&self, since: Timestamp) -> Result<(), StoreError> {
        self.change(move |tx| Ok(absence::answer(tx, since)?)).await
    }
}
