//! Deliveries and their attempts as they are read.

use std::{ops::Range, time::Duration};

use rusqlite::{Connection, OptionalExtension as _, Result};
use tidings_domain::{
    delivery::{Attempt, AttemptOutcome, DeadReason, Delivery, DeliveryState},
    ids::{Compact, DeliveryId, EventId},
    page::{Listing, Page},
};

use super::{
    lists::{List, Scan},
    row::Columns,
    tries,
};
use crate::record::DeliveryFilter;

macro_rules! select {
    ($index:literal, $rest:literal) => {
        // A pending delivery of a disabled webhook is held: computed here, so that disabling writes one row.
        concat!(
            "SELECT d.seq, d.id, d.environment_id, e.id, e.trigger, d.webhook_id, \
             CASE WHEN d.state = 'pending' AND w.disabled_reason IS NOT NULL THEN 'held' ELSE d.state END, \
             d.dead_reason, d.attempts, d.due_at, d.last_status, d.created_at, d.finished_at \
             FROM deliveries d ",
            $index,
            " JOIN events e ON e.seq = d.event_seq LEFT JOIN webhooks w ON w.id = d.webhook_id",
            $rest
        )
    };
}

pub(super) fn one(sql: &Connection, id: DeliveryId) -> Result<Option<Delivery>> {
    sql.prepare_cached(select!("", " WHERE d.id = ?"))?
        .query_row([id.to_bytes()], |row| {
            let mut columns = Columns::new(row);
            columns.value::<i64>()?;
            read(&mut columns)
        })
        .optional()
}

pub(super) fn list(
    sql: &Connection,
    filter: &DeliveryFilter,
    page: &Page,
    after: i64,
) -> Result<Listing<Delivery>> {
    let waiting = matches!(
        filter.state,
        Some(DeliveryState::Pending | DeliveryState::Held)
    );
    let indexed = waiting
        || filter.webhook.is_some()
        || filter.event.is_some()
        || filter.state == Some(DeliveryState::Dead);
    let scan = if indexed {
        Scan::Indexed
    } else {
        Scan::Windows("deliveries")
    };
    // Few deliveries wait, but they may be old: the newest of them are found among them, not among all.
    let select = if waiting && filter.webhook.is_none() && filter.event.is_none() {
        select!("INDEXED BY deliveries_pending", "")
    } else {
        select!("", "")
    };
    let mut list = List::new(select, "d.seq", scan);
    list.only_id("d.environment_id = ?", filter.environment);
    list.only_id("d.webhook_id = ?", filter.webhook);
    if let Some(event) = filter.event {
        list.only_places("d.seq >= ?", "d.seq < ?", of_event(sql, event)?);
    }
    match filter.state {
        None => {}
        Some(DeliveryState::Dead) => list.only_if("d.state = 'dead'"),
        Some(DeliveryState::Delivered) => list.only_if("d.state = 'delivered'"),
        Some(DeliveryState::Held) => {
            list.only_if("d.state = 'pending' AND w.disabled_reason IS NOT NULL");
        }
        Some(DeliveryState::Pending) => {
            list.only_if("d.state = 'pending' AND w.disabled_reason IS NULL");
        }
    }
    list.page(sql, page, after, read)
}

/// The places of the deliveries of an event. Events and their deliveries are written in one order, so that these stand
/// together and are found without an index.
fn of_event(sql: &Connection, event: EventId) -> Result<Range<i64>> {
    let seq: Option<i64> = sql
        .prepare_cached("SELECT seq FROM events WHERE id = ?")?
        .query_row([event.to_bytes()], |row| row.get(0))
        .optional()?;
    match seq {
        Some(seq) => Ok(first_of(sql, seq)?..first_of(sql, seq + 1)?),
        None => Ok(0..0),
    }
}

/// A place before which all deliveries are of events before this one, and behind which none is.
fn first_of(sql: &Connection, event_seq: i64) -> Result<i64> {
    let newest: Option<i64> = sql
        .prepare_cached("SELECT max(seq) FROM deliveries")?
        .query_row([], |row| row.get(0))?;
    let mut next = sql.prepare_cached(
        "SELECT seq, event_seq FROM deliveries WHERE seq >= ? ORDER BY seq LIMIT 1",
    )?;
    let (mut low, mut high) = (0, newest.unwrap_or(0) + 1);
    while low < high {
        let middle = i64::midpoint(low, high);
        let found: Option<(i64, i64)> = next
            .query_row([middle], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        match found {
            Some((seq, event)) if event < event_seq => low = seq + 1,
            _ => high = middle,
        }
    }
    Ok(low)
}

pub(super) fn attempts(sql: &Connection, delivery: DeliveryId) -> Result<Vec<Attempt>> {
    sql.prepare_cached(concat!(
        "SELECT a.id, a.number, a.started_at, a.took_ms, a.outcome, a.status, a.error, a.answer
         FROM deliveries d CROSS JOIN attempts a WHERE d.id = ? AND ",
        tries::of!("d.seq"),
        " ORDER BY a.seq"
    ))?
    .query_map([delivery.to_bytes()], |row| {
        let mut columns = Columns::new(row);
        Ok(Attempt {
            id: columns.id()?,
            number: columns.value()?,
            started_at: columns.time()?,
            took: Duration::from_millis(u64::try_from(columns.value::<i64>()?).unwrap_or(0)),
            outcome: columns.word(&AttemptOutcome::ALL, AttemptOutcome::as_str)?,
            status: columns.value()?,
            error: columns.value()?,
            answer: columns.bytes()?,
        })
    })?
    .collect()
}

fn read(columns: &mut Columns<'_>) -> Result<Delivery> {
    Ok(Delivery {
        id: columns.id()?,
        environment: columns.id()?,
        event: columns.id()?,
        trigger: columns.trigger()?,
        webhook: columns.id()?,
        state: columns.word(&DeliveryState::ALL, DeliveryState::as_str)?,
        dead_reason: columns.word_if_any(&[DeadReason::Exhausted], DeadReason::as_str)?,
        attempts: columns.value()?,
        due_at: columns.time_if_any()?,
        last_status: columns.value()?,
        created_at: columns.time()?,
        finished_at: columns.time_if_any()?,
    })
}
