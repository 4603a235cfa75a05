//! What is known of subscriptions of which Graph tells nothing.

use rusqlite::Result;
use tidings_domain::{
    Timestamp,
    ids::{Compact, SubscriptionId},
};

use super::{enrich, reconcile, row::Time, writer::Tx};
use crate::record::{AskReconcile, NewEvent};

pub(super) fn suspect(
    tx: &Tx<'_>,
    id: SubscriptionId,
    since: Timestamp,
    ask: &AskReconcile,
) -> Result<bool> {
    let changed = tx
        .sql
        .prepare_cached(
            "UPDATE reconciles SET silent_since = ?, silence_told = 0
             WHERE subscription_id = ? AND silent_since IS NULL",
        )?
        .execute((Time(since), id.to_bytes()))?;
    if changed > 0 {
        reconcile::ask(tx, &[id], ask)?;
    }
    Ok(changed > 0)
}

pub(super) fn tell(
    tx: &mut Tx<'_>,
    id: SubscriptionId,
    patience: u32,
    events: &[NewEvent],
) -> Result<bool> {
    let changed = tx
        .sql
        .prepare_cached(
            "UPDATE reconciles SET silence_told = 1, patience = ?
             WHERE subscription_id = ? AND silent_since IS NOT NULL AND NOT silence_told",
        )?
        .execute((patience, id.to_bytes()))?;
    if changed > 0 {
        enrich::tell(tx, events)?;
    }
    Ok(changed > 0)
}

pub(super) fn end(tx: &Tx<'_>, id: SubscriptionId) -> Result<()> {
    tx.sql
        .prepare_cached(
            "UPDATE reconciles SET silent_since = NULL, silence_told = 0 WHERE subscription_id = ?",
        )?
        .execute([id.to_bytes()])?;
    Ok(())
}
