//! What ingest writes.

use rusqlite::{OptionalExtension as _, Result};
use tidings_domain::{
    ids::IntegrationId,
    notification::{Notification, Verdict},
};

use super::{
    dedup,
    row::{self, Columns, Text, Time},
    writer::{Tx, Undone},
};
use crate::{
    StoreError,
    record::{NewNotification, Seq},
};

/// Records the notifications of one POST; gives the verdict of each.
pub(super) fn record(tx: &mut Tx<'_>, new: &[NewNotification]) -> Result<Vec<Verdict>, Undone> {
    let mut verdicts = Vec::with_capacity(new.len());
    for one in new {
        verdicts.push(record_one(tx, one)?);
    }
    Ok(verdicts)
}

fn record_one(tx: &mut Tx<'_>, new: &NewNotification) -> Result<Verdict, Undone> {
    let mut verdict = new.notification.verdict;
    if verdict == Verdict::Accepted && !dedup::claim(tx, new.dedup_key)? {
        verdict = Verdict::Duplicate;
    }
    let seq = insert(tx, &new.notification, verdict, &new.notification.item)?;
    let hash = match verdict {
        Verdict::Accepted => None,
        Verdict::Held => new.client_state_hash,
        _ => return Ok(verdict),
    };
    tx.sql
        .prepare_cached(
            "INSERT INTO queue (seq, due_at, failures, client_state_hash) VALUES (?, ?, 0, ?)",
        )?
        .execute((
            seq.0,
            Time(new.due_at),
            hash.as_ref().map(|hash| hash.0.as_slice()),
        ))?;
    tx.tally.queued += 1;
    Ok(verdict)
}

fn insert(tx: &Tx<'_>, notification: &Notification, verdict: Verdict, item: &[u8]) -> Result<Seq> {
    // The newest row is never removed, so SQLite's next row id is higher than all that were ever given.
    tx.sql
        .prepare_cached(
            "INSERT INTO notifications (id, environment_id, integration_id, received_at, verdict, connection_id,
                 subscription_id, graph_subscription_id, tenant_id, change_type, lifecycle_event, resource, etag,
                 checksum, item)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .insert((
            Text(notification.id),
            Text(notification.environment),
            Text(notification.integration),
            Time(notification.received_at),
            verdict.as_str(),
            notification.connection.map(Text),
            notification.subscription.map(Text),
            &notification.graph_subscription_id,
            notification.tenant_id.map(Text),
            notification.change_type.map(tidings_domain::resource::ChangeType::as_str),
            notification.lifecycle_event.map(tidings_domain::notification::LifecycleEvent::as_str),
            &notification.resource,
            &notification.etag,
            row::checksum(item),
            item,
        ))
        .map(Seq)
}

/// Records rejected notifications, and removes the oldest of their integration beyond `keep`.
pub(super) fn record_rejected(
    tx: &mut Tx<'_>,
    rejected: &[Notification],
    keep: u32,
) -> Result<(), Undone> {
    for notification in rejected {
        insert(tx, notification, notification.verdict, &notification.item)?;
        count_rejected(tx, notification.integration, keep)?;
    }
    Ok(())
}

/// Counts a notification that was rejected just now, and removes the oldest beyond `keep`.
pub(super) fn count_rejected(tx: &Tx<'_>, integration: IntegrationId, keep: u32) -> Result<()> {
    let kept: i64 = tx
        .sql
        .prepare_cached(
            "INSERT INTO rejected (integration_id, kept) VALUES (?, 1)
             ON CONFLICT (integration_id) DO UPDATE SET kept = kept + 1 RETURNING kept",
        )?
        .query_row([Text(integration)], |row| row.get(0))?;
    let surplus = kept - i64::from(keep);
    if surplus <= 0 {
        return Ok(());
    }
    let removed = tx
        .sql
        .prepare_cached(
            "DELETE FROM notifications WHERE seq IN (SELECT seq FROM notifications
                 WHERE integration_id = ? AND verdict NOT IN ('accepted', 'duplicate', 'held')
                 ORDER BY seq LIMIT ?)",
        )?
        .execute((Text(integration), surplus))?;
    tx.sql
        .prepare_cached("UPDATE rejected SET kept = kept - ? WHERE integration_id = ?")?
        .execute((i64::try_from(removed).unwrap_or(surplus), Text(integration)))?;
    Ok(())
}

/// Ends a held notification's wait.
pub(super) fn settle_held(
    tx: &mut Tx<'_>,
    seq: Seq,
    settled: &NewNotification,
    keep_rejected: u32,
) -> Result<Verdict, Undone> {
    let found: Option<Verdict> = tx
        .sql
        .prepare_cached("SELECT verdict FROM notifications WHERE seq = ?")?
        .query_row([seq.0], |row| Columns::new(row).parsed())
        .optional()?;
    match found {
        None => {
            return Err(Undone::Refused(StoreError::Missing {
                what: format!("notification {}", settled.notification.id),
            }));
        }
        Some(Verdict::Held) => {}
        // It was settled before, by a call whose answer was lost.
        Some(verdict) => return Ok(verdict),
    }
    let mut verdict = settled.notification.verdict;
    if verdict == Verdict::Accepted && !dedup::claim(tx, settled.dedup_key)? {
        verdict = Verdict::Duplicate;
    }
    let stays = matches!(verdict, Verdict::Accepted | Verdict::Held);
    let notification = &settled.notification;
    tx.sql
        .prepare_cached(
            "UPDATE notifications SET verdict = ?, connection_id = ?, subscription_id = ?, resource = ?, checksum = ?,
                 item = ?
             WHERE seq = ?",
        )?
        .execute((
            verdict.as_str(),
            notification.connection.map(Text),
            notification.subscription.map(Text),
            &notification.resource,
            row::checksum(&notification.item),
            &notification.item[..],
            seq.0,
        ))?;
    if stays {
        let hash = settled
            .client_state_hash
            .filter(|_| verdict == Verdict::Held);
        tx.sql
            .prepare_cached("UPDATE queue SET due_at = ?, client_state_hash = ? WHERE seq = ?")?
            .execute((
                Time(settled.due_at),
                hash.as_ref().map(|hash| hash.0.as_slice()),
                seq.0,
            ))?;
    } else {
        let gone = tx
            .sql
            .prepare_cached("DELETE FROM queue WHERE seq = ?")?
            .execute([seq.0])?;
        tx.tally.queued -= i64::try_from(gone).unwrap_or(0);
    }
    if verdict.is_rejection() {
        count_rejected(tx, notification.integration, keep_rejected)?;
    }
    Ok(verdict)
}
