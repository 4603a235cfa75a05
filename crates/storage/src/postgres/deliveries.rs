//! Deliveries and their attempts as they are read.

use std::time::Duration;

use sqlx::PgConnection;
use tidings_domain::{
    delivery::{Attempt, AttemptOutcome, DeadReason, Delivery, DeliveryState},
    ids::DeliveryId,
    page::{Listing, Page},
};

use super::{
    lists::{List, Scan},
    row::Columns,
    trouble::Undone,
};
use crate::record::DeliveryFilter;

macro_rules! select {
    ($rest:literal) => {
        // A pending delivery of a disabled webhook is held: computed here, so that disabling writes one row.
        concat!(
            "SELECT d.seq, d.id, d.environment_id, e.id, e.trigger, d.webhook_id, \
             CASE WHEN d.state = 'pending' AND w.disabled_reason IS NOT NULL THEN 'held' ELSE d.state END, \
             d.dead_reason, d.attempts, d.due_at, d.last_status, d.created_at, d.finished_at \
             FROM deliveries d CROSS JOIN LATERAL ( \
                 SELECT id, trigger FROM events WHERE seq = d.event_seq AND created_at = d.created_at OFFSET 0) e \
             LEFT JOIN webhooks w ON w.id = d.webhook_id",
            $rest
        )
    };
}

pub(super) async fn one(
    sql: &mut PgConnection,
    id: DeliveryId,
) -> Result<Option<Delivery>, Undone> {
    let row = sqlx::query(select!(" WHERE d.id = $1"))
        .bind(id.to_string())
        .fetch_optional(sql)
        .await?;
    row.as_ref()
        .map(|row| {
            let mut columns = Columns::new(row);
            columns.skip();
            read(&mut columns)
        })
        .transpose()
}

pub(super) async fn list(
    sql: &mut PgConnection,
    filter: &DeliveryFilter,
    page: &Page,
    after: i64,
) -> Result<Listing<Delivery>, Undone> {
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
    let mut list = List::new(select!(""), "d.seq", scan);
    list.only("d.environment_id = ?", filter.environment);
    list.only("d.webhook_id = ?", filter.webhook);
    list.only(
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
    list.page(sql, page, after, read).await
}

pub(super) async fn attempts(
    sql: &mut PgConnection,
    delivery: DeliveryId,
) -> Result<Vec<Attempt>, Undone> {
    let rows = sqlx::query(
        "SELECT a.id, a.number, a.started_at, a.took_ms, a.outcome, a.status, a.error, a.answer
         FROM attempts a WHERE a.delivery_seq = (SELECT seq FROM deliveries WHERE id = $1) ORDER BY a.seq",
    )
    .bind(delivery.to_string())
    .fetch_all(sql)
    .await?;
    rows.iter()
        .map(|row| {
            let mut columns = Columns::new(row);
            Ok(Attempt {
                id: columns.parsed()?,
                number: columns.count()?,
                started_at: columns.time()?,
                took: Duration::from_millis(u64::try_from(columns.value::<i64>()?).unwrap_or(0)),
                outcome: columns.word(&AttemptOutcome::ALL, AttemptOutcome::as_str)?,
                status: columns.status()?,
                error: columns.value()?,
                answer: columns.bytes()?,
            })
        })
        .collect()
}

fn read(columns: &mut Columns<'_>) -> Result<Delivery, Undone> {
    Ok(Delivery {
        id: columns.parsed()?,
        environment: columns.parsed()?,
        event: columns.parsed()?,
        trigger: columns.trigger()?,
        webhook: columns.parsed()?,
        state: columns.word(&DeliveryState::ALL, DeliveryState::as_str)?,
        dead_reason: columns.word_if_any(&[DeadReason::Exhausted], DeadReason::as_str)?,
        attempts: columns.count()?,
        due_at: columns.time_if_any()?,
        last_status: columns.status()?,
        created_at: columns.time()?,
        finished_at: columns.time_if_any()?,
    })
}
