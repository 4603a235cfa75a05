//! What one answer of an enumeration led to.

use std::sync::Arc;

use tidings_domain::{ids::Compact, notification::Verdict};

use super::{
    arrivals::Arrived,
    known_items,
    row::{self, Time},
    subscriptions::missing,
    writer::{Tx, Undone},
};
use crate::record::{NewNotification, ReconcilePage};

/// Its finds, taken out of it: each a change of its own.
pub(super) fn finds(page: &mut ReconcilePage) -> Arc<[Arrived]> {
    let finds = page.finds.drain(..).map(|find| NewNotification {
        dedup_key: None,
        ..find
    });
    finds.map(Arrived::new).collect()
}

/// Records it; `finds` are its finds.
pub(super) fn record(
    tx: &mut Tx<'_>,
    page: &ReconcilePage,
    finds: &Arc<[Arrived]>,
) -> Result<(), Undone> {
    let id = page.subscription;
    let exists: bool = tx
        .sql
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM subscriptions WHERE id = ?)")?
        .query_row([id.to_bytes()], |row| row.get(0))?;
    if !exists {
        return Err(missing(id));
    }
    for place in 0..finds.len() {
        tx.left.arrivals.add(finds, place, Verdict::Accepted);
        tx.tally.queued += 1;
    }
    // What was told before these items were shown is to be there first.
    tx.left.told.write(tx.sql)?;
    known_items::show(tx, id, &page.items)?;
    known_items::forget_untold(tx, id, &page.forget)?;
    let scope = &page.scope;
    let (from, to) = scope.window.unzip();
    tx.sql
        .prepare_cached(
            "INSERT INTO reconcile_scopes (subscription_id, name, link, enumeration, enumerating, window_from, window_to)
             VALUES (?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (subscription_id, name) DO UPDATE SET link = excluded.link,
                 enumeration = excluded.enumeration, enumerating = excluded.enumerating,
                 window_from = excluded.window_from, window_to = excluded.window_to",
        )?
        .execute((
            id.to_bytes(),
            &scope.name,
            &scope.link,
            row::number(scope.enumeration),
            scope.enumerating,
            from.map(Time),
            to.map(Time),
        ))?;
    Ok(())
}
