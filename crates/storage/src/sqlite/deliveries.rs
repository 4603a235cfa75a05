//! Deliveries and their attempts as they are read.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Result};
use tidings_domain::{
    delivery::{Attempt, AttemptOutcome, DeadReason, Delivery, DeliveryState},
    ids::{Compact, DeliveryId},
    page::{Listing, Page},
};

use super::{
    lists::{List, Scan},
    row::Columns,
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
    list.only_id(
        "d.event_seq = (SELECT seq FROM events WHERE id = ?)",
        filter.event,
    );
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

pub(super) fn attempts(sql: &Connection, delivery: DeliveryId) -> Result<Vec<Attempt>> {
    sql.prepare_cached(
        "SELECT a.id, a.number, a.started_at, a.took_ms, a.outcome, a.status, a.error, a.answer
         FROM attempts a WHERE a.delivery_seq = (SELECT seq FROM deliveries WHERE id = ?) ORDER BY a.seq",
    )?
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
