//! What a part of an enumeration leads to: compared with what is known, and recorded.

use std::collections::HashMap;

use tidings_domain::reconcile::ReconcileScope;
use tidings_graph::wire::collection::Entry;
use tidings_storage::record::{KnownItem, ReconcilePage};

use super::{Round, Stopped};
use crate::reconcile::{
    compare::{self, Compared, View},
    find::Finder,
    key,
    wanted::Wanted,
};

/// How many items are looked at at once that an enumeration has not shown.
const NOT_SHOWN: u32 = 500;

impl Round<'_> {
    pub(super) async fn compare(
        &self,
        scope: &ReconcileScope,
        mut entries: Vec<Entry>,
    ) -> Result<Compared, Stopped> {
        entries.retain_mut(|entry| match self.path.item(&entry.id) {
            Ok(item) => {
                key::of(&item).clone_into(&mut entry.id);
                true
            }
            Err(error) => {
                tracing::warn!(
                    subscription.id = %self.subscription.id,
                    %error,
                    "Graph enumerates an item whose id fits into no path: it is passed over"
                );
                false
            }
        });
        let ids = entries.iter().map(|entry| entry.id.clone()).collect();
        let id = self.subscription.id;
        let known = self.parts.store.known_items(id, ids).await?;
        let known: HashMap<String, KnownItem> = known
            .into_iter()
            .map(|item| (item.id.clone(), item))
            .collect();
        Ok(compare::shown(
            &self.view(&scope.name, scope.enumeration),
            entries,
            &known,
        ))
    }

    /// What is known of a scope and was not shown by an enumeration, to the end.
    pub(super) async fn not_shown(&mut self, scope: &ReconcileScope) -> Result<(), Stopped> {
        let mut after = String::new();
        loop {
            self.may_go_on()?;
            let id = self.subscription.id;
            let missing = self
                .parts
                .store
                .items_not_shown(id, scope.name.clone(), scope.enumeration, after, NOT_SHOWN)
                .await?;
            let Some(last) = missing.last() else {
                return Ok(());
            };
            after = last.id.clone();
            let view = self.view(&scope.name, scope.enumeration);
            let compared = compare::not_shown(&view, missing);
            self.record(compared, scope.clone()).await?;
        }
    }

    fn view<'v>(&'v self, scope: &'v str, enumeration: u64) -> View<'v> {
        View {
            scope,
            enumeration,
            baseline: self.baseline,
            wanted: Wanted::new(&self.path, self.subscription.change_types),
        }
    }

    fn page(&self, compared: Compared, scope: ReconcileScope) -> ReconcilePage {
        let now = self.parts.clock.now();
        let finder = Finder {
            ids: &self.parts.ids,
            subscription: &self.subscription,
            connection: &self.connection,
            origin: self.origin,
            shard: self.lease.shard(),
        };
        let finds = compared.finds.into_iter().filter_map(|(id, change)| {
            // What is known by a key had a path once.
            let item = key::path(&self.path, &id).ok()?;
            Some(finder.notification(now, &item, change))
        });
        ReconcilePage {
            subscription: self.subscription.id,
            finds: finds.collect(),
            items: compared.items,
            forget: compared.forget,
            scope,
        }
    }

    /// Records what a part of an enumeration led to, and how far it is then.
    pub(super) async fn record(
        &mut self,
        compared: Compared,
        scope: ReconcileScope,
    ) -> Result<(), Stopped> {
        let page = self.page(compared, scope);
        let finds = page.finds.len() as u64;
        self.parts
            .store
            .record_reconcile_page(page, self.lease)
            .await?;
        self.finds += finds;
        self.parts.metrics.page(finds);
        if finds > 0 {
            self.parts.enrich.wake();
        }
        Ok(())
    }
}
