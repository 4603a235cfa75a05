//! What enrich reads and writes.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Result, Row};
use tidings_domain::{
    Timestamp,
    ids::{Compact as _, WebhookId},
};

use super::{
    completeness, notifications,
    outcomes::SummedEvent,
    reconcile,
    row::{self, Columns, Time, unreadable},
    subscriptions,
    writer::{Tx, Undone},
};
use crate::{
    Lease,
    record::{KeyedHash, NewEvent, Outcome, QueuedNotification, Seq},
};

/// How many bytes of items one answer holds at most: an item can be as large as a POST.
const ANSWER_BYTES: usize = 16 << 20;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT q.due_at, q.failures, q.client_state_hash, ",
            notifications::columns!(),
            ", n.checksum, n.item FROM queue q JOIN notifications n ON n.seq = q.seq ",
            $rest
        )
    };
}

pub(super) fn queued(sql: &Connection, after: Seq, limit: u32) -> Result<Vec<QueuedNotification>> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut statement = sql.prepare_cached(select!("WHERE q.seq > ? ORDER BY q.seq"))?;
    let mut rows = statement.query([after.0])?;
    let mut found = Vec::new();
    let mut bytes = 0;
    while found.len() < limit && bytes < ANSWER_BYTES {
        let Some(row) = rows.next()? else {
            break;
        };
        let Some(queued) = row::unless_damaged(read(row))? else {
            continue;
        };
        bytes += queued.notification.item.len();
        found.push(queued);
    }
    Ok(found)
}

pub(super) fn queued_at(sql: &Connection, places: &[Seq]) -> Result<Vec<QueuedNotification>> {
    let mut statement = sql.prepare_cached(select!("WHERE q.seq = ?"))?;
    let mut found = Vec::with_capacity(places.len());
    for place in places {
        let read = statement.query_row([place.0], read).optional();
        found.extend(row::unless_damaged(read)?.flatten());
    }
    Ok(found)
}

pub(super) fn postpone(tx: &Tx<'_>, seq: Seq, due_at: Timestamp) -> Result<(), Undone> {
    tx.sql
        .prepare_cached("UPDATE queue SET due_at = ?, failures = failures + 1 WHERE seq = ?")?
        .execute((Time(due_at), seq.0))?;
    Ok(())
}

pub(super) fn finish(
    tx: &mut Tx<'_>,
    seq: Seq,
    outcome: &Arc<Outcome>,
    events: &Arc<[SummedEvent]>,
) -> Result<bool, Undone> {
    let taken = tx
        .sql
        .prepare_cached("DELETE FROM queue WHERE seq = ?")?
        .execute([seq.0])?;
    if taken == 0 {
        return Ok(false);
    }
    tx.tally.queued -= 1;
    leave(tx, events)?;
    tx.left.told.add(outcome);
    if let Some(note) = &outcome.lifecycle {
        subscriptions::note_lifecycle(tx, note)?;
    }
    if let Some((subscription, ask)) = &outcome.reconcile {
        reconcile::ask(tx, &[*subscription], ask)?;
    }
    if let Some(counted) = outcome.counted {
        completeness::add(tx, &[counted])?;
    }
    Ok(true)
}

/// Has events kept, each with a delivery to each of its webhooks that still exists.
pub(super) fn tell(tx: &mut Tx<'_>, events: &[NewEvent]) -> Result<()> {
    let events: Arc<[SummedEvent]> = events.iter().cloned().map(SummedEvent::new).collect();
    leave(tx, &events)
}

fn leave(tx: &mut Tx<'_>, events: &Arc<[SummedEvent]>) -> Result<()> {
    for (place, SummedEvent { new, .. }) in events.iter().enumerate() {
        tx.left.outcomes.add(events, place);
        for &delivery in &new.deliveries {
            if exists(tx, delivery.webhook)? {
                tx.left.outcomes.add_delivery(delivery);
                tx.tally.pending += 1;
            }
        }
    }
    Ok(())
}

fn exists(tx: &mut Tx<'_>, webhook: WebhookId) -> Result<bool> {
    if tx.left.webhooks.contains(&webhook) {
        return Ok(true);
    }
    let exists = tx
        .sql
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM webhooks WHERE id = ?)")?
        .query_row([webhook.to_bytes()], |row| row.get(0))?;
    if exists {
        tx.left.webhooks.push(webhook);
    }
    Ok(exists)
}

fn read(row: &Row<'_>) -> Result<QueuedNotification> {
    let mut columns = Columns::new(row);
    let due_at = columns.time()?;
    let failures = columns.value()?;
    let hash: Option<Vec<u8>> = columns.value()?;
    let client_state_hash = hash
        .map(|hash| hash.try_into().map(KeyedHash))
        .transpose()
        .map_err(|_| unreadable(2, &"a keyed hash has 32 bytes"))?;
    let seq = Seq(columns.value()?);
    let mut notification = notifications::read(&mut columns)?;
    notification.item = columns.checked_bytes()?;
    Ok(QueuedNotification {
        seq,
        due_at,
        failures,
        client_state_hash,
        notification,
        lease: Lease::of_the_only_node(),
    })
}
