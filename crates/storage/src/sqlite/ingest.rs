//! What ingest writes.

use std::sync::Arc;

use rusqlite::{OptionalExtension as _, Result};
use tidings_domain::{
    ids::{Compact, IntegrationId},
    notification::{Notification, Verdict},
};

use super::{
    arrivals::{self, Arrived},
    dedup,
    row::{self, Columns, Time},
    writer::{Tx, Undone},
};
use crate::{
    StoreError,
    record::{NewNotification, Seq},
};

/// Records the notifications of one POST; gives the verdict of each.
pub(super) fn record(tx: &mut Tx<'_>, post: &Arc<[Arrived]>) -> Result<Vec<Verdict>, Undone> {
    let mut verdicts = Vec::with_capacity(post.len());
    for (place, Arrived { new, .. }) in post.iter().enumerate() {
        let mut verdict = new.notification.verdict;
        if verdict == Verdict::Accepted && !dedup::claim(tx, new.dedup_key)? {
            verdict = Verdict::Duplicate;
        }
        tx.tally.queued += i64::from(matches!(verdict, Verdict::Accepted | Verdict::Held));
        tx.left.arrivals.add(post, place, verdict);
        verdicts.push(verdict);
    }
    Ok(verdicts)
}

/// Records rejected notifications, and removes the oldest of their integration beyond `keep`.
pub(super) fn record_rejected(
    tx: &mut Tx<'_>,
    rejected: &[Notification],
    keep: u32,
) -> Result<(), Undone> {
    for notification in rejected {
        arrivals::write_rejected(tx.sql, notification)?;
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
        .query_row([integration.to_bytes()], |row| row.get(0))?;
    let surplus = kept - i64::from(keep);
    if surplus <= 0 {
        return Ok(());
    }
    // Never the newest row of all, whose place would be given again.
    let removed = tx
        .sql
        .prepare_cached(
            "DELETE FROM notifications WHERE seq IN (SELECT seq FROM notifications
                 WHERE integration_id = ? AND verdict <> 'accepted' AND verdict <> 'duplicate' AND verdict <> 'held'
                     AND seq < (SELECT max(seq) FROM notifications)
                 ORDER BY seq LIMIT ?)",
        )?
        .execute((integration.to_bytes(), surplus))?;
    tx.sql
        .prepare_cached("UPDATE rejected SET kept = kept - ? WHERE integration_id = ?")?
        .execute((
            i64::try_from(removed).unwrap_or(surplus),
            integration.to_bytes(),
        ))?;
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
    if let (Verdict::Accepted, Some(key)) = (verdict, settled.dedup_key) {
        dedup::keep(tx, key)?;
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
            notification.connection.map(Compact::to_bytes),
            notification.subscription.map(Compact::to_bytes),
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
            .execute((Time(settled.due_at), hash.map(|hash| hash.0), seq.0))?;
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
