//! What deliver reads and writes.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Result, Row};
use tidings_domain::{
    Timestamp,
    delivery::{DeadReason, Delivery},
    ids::{Compact, DeliveryId, WebhookId},
};

use super::{
    deliveries,
    row::{self, Columns, Time},
    tries,
    writer::{Tx, Undone},
};
use crate::{
    Lease, StoreError,
    record::{AfterAttempt, AttemptResult, DueDelivery, HealthChange},
};

/// How many bytes of bodies one answer holds at most.
const ANSWER_BYTES: usize = 16 << 20;

pub(super) fn webhooks_with_pending(sql: &Connection) -> Result<Vec<(WebhookId, Timestamp)>> {
    // One look into the index per webhook, however many deliveries wait.
    sql.prepare_cached(
        "SELECT id, due_at FROM (
             SELECT w.id, (SELECT min(d.due_at) FROM deliveries d WHERE d.webhook_id = w.id AND d.state = 'pending')
                 AS due_at
             FROM webhooks w WHERE w.disabled_reason IS NULL)
         WHERE due_at IS NOT NULL",
    )?
    .query_map([], |row| {
        let mut columns = Columns::new(row);
        Ok((columns.id()?, columns.time()?))
    })?
    .collect()
}

pub(super) fn due(
    sql: &Connection,
    webhook: WebhookId,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<DueDelivery>> {
    let mut statement = sql.prepare_cached(
        "SELECT d.id, e.id, d.attempts, d.due_at, e.checksum, e.body
         FROM deliveries d JOIN events e ON e.seq = d.event_seq
         WHERE d.webhook_id = ?1 AND d.state = 'pending' AND d.due_at <= ?2
             AND EXISTS (SELECT 1 FROM webhooks w WHERE w.id = ?1 AND w.disabled_reason IS NULL)
         ORDER BY d.due_at, d.seq",
    )?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut rows = statement.query((webhook.to_bytes(), Time(now)))?;
    let mut found = Vec::new();
    let mut bytes = 0;
    while found.len() < limit && bytes < ANSWER_BYTES {
        let Some(row) = rows.next()? else {
            break;
        };
        let Some(delivery) = row::unless_damaged(read_due(row, webhook))? else {
            continue;
        };
        bytes += delivery.body.len();
        found.push(delivery);
    }
    Ok(found)
}

fn read_due(row: &Row<'_>, webhook: WebhookId) -> Result<DueDelivery> {
    let mut columns = Columns::new(row);
    Ok(DueDelivery {
        id: columns.id()?,
        webhook,
        event: columns.id()?,
        attempts: columns.value()?,
        due_at: columns.time()?,
        body: columns.checked_bytes()?,
        lease: Lease::of_the_only_node(),
    })
}

pub(super) fn next_due(
    sql: &Connection,
    webhook: WebhookId,
    now: Timestamp,
) -> Result<Option<Timestamp>> {
    sql.prepare_cached(
        "SELECT min(due_at) FROM deliveries WHERE webhook_id = ? AND state = 'pending' AND due_at > ?",
    )?
    .query_row((webhook.to_bytes(), Time(now)), |row| {
        Columns::new(row).time_if_any()
    })
}

pub(super) fn record_attempt(tx: &mut Tx<'_>, result: &Arc<AttemptResult>) -> Result<(), Undone> {
    let found: Option<(i64, bool, Option<i64>)> = tx
        .sql
        .prepare_cached(concat!(
            "SELECT d.seq, d.state = 'pending', (SELECT max(a.seq) FROM attempts a WHERE ",
            tries::of!("d.seq"),
            ") FROM deliveries d WHERE d.id = ?"
        ))?
        .query_row([result.delivery.to_bytes()], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let Some((seq, pending, last)) = found else {
        return Ok(());
    };
    if !tx.left.tries.add(tx.sql, seq, last, result)? {
        // Recorded before, by a call whose answer was lost.
        return Ok(());
    }
    let ended_at = result.attempt.started_at + result.attempt.took;
    if pending {
        after_attempt(tx, seq, result, ended_at)?;
    }
    change_health(tx, result.webhook, result.health, ended_at)?;
    Ok(())
}

fn after_attempt(
    tx: &mut Tx<'_>,
    seq: i64,
    result: &AttemptResult,
    ended_at: Timestamp,
) -> Result<()> {
    let (state, reason, due_at, finished_at) = match result.next {
        AfterAttempt::Retry(due_at) => ("pending", None, Some(due_at), None),
        AfterAttempt::Delivered => ("delivered", None, None, Some(ended_at)),
        AfterAttempt::Dead(reason) => ("dead", Some(reason), None, Some(ended_at)),
    };
    tx.sql
        .prepare_cached(
            "UPDATE OR FAIL deliveries SET state = ?, dead_reason = ?, attempts = attempts + 1, due_at = ?,
                 last_status = ?, finished_at = ?
             WHERE seq = ?",
        )?
        .execute((
            state,
            reason.map(DeadReason::as_str),
            due_at.map(Time),
            result.attempt.status,
            finished_at.map(Time),
            seq,
        ))?;
    if finished_at.is_some() {
        tx.tally.pending -= 1;
    }
    Ok(())
}

fn change_health(
    tx: &Tx<'_>,
    webhook: WebhookId,
    change: HealthChange,
    ended_at: Timestamp,
) -> Result<()> {
    match change {
        HealthChange::None => {}
        HealthChange::Healthy => {
            tx.sql
                .prepare_cached("UPDATE webhooks SET failing_since = NULL WHERE id = ?")?
                .execute([webhook.to_bytes()])?;
        }
        HealthChange::Failing(since) => {
            // Attempts end in another order than they began in: the earliest failure counts.
            tx.sql
                .prepare_cached(
                    "UPDATE webhooks SET failing_since = min(coalesce(failing_since, ?1), ?1) WHERE id = ?2",
                )?
                .execute((Time(since), webhook.to_bytes()))?;
        }
        HealthChange::Disable(reason) => {
            tx.sql
                .prepare_cached(
                    "UPDATE webhooks SET disabled_reason = ?, disabled_since = ?
                     WHERE id = ? AND disabled_reason IS NULL",
                )?
                .execute((reason.as_str(), Time(ended_at), webhook.to_bytes()))?;
        }
    }
    Ok(())
}

pub(super) fn redeliver(
    tx: &mut Tx<'_>,
    id: DeliveryId,
    now: Timestamp,
) -> Result<Option<Delivery>, Undone> {
    let found: Option<(bool, WebhookId, bool)> = tx
        .sql
        .prepare_cached(
            "SELECT d.state = 'pending', d.webhook_id, w.id IS NOT NULL
             FROM deliveries d LEFT JOIN webhooks w ON w.id = d.webhook_id WHERE d.id = ?",
        )?
        .query_row([id.to_bytes()], |row| {
            let mut columns = Columns::new(row);
            Ok((columns.value()?, columns.id()?, columns.value()?))
        })
        .optional()?;
    let Some((was_pending, webhook, has_webhook)) = found else {
        return Ok(None);
    };
    if !has_webhook {
        return Err(Undone::Refused(StoreError::Missing {
            what: format!("webhook {webhook}"),
        }));
    }
    tx.sql
        .prepare_cached(
            "UPDATE deliveries SET state = 'pending', dead_reason = NULL, attempts = 0, due_at = ?, finished_at = NULL
             WHERE id = ?",
        )?
        .execute((Time(now), id.to_bytes()))?;
    tx.tally.pending += i64::from(!was_pending);
    Ok(deliveries::one(tx.sql, id)?)
}
