//! What reconcile reads and writes.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Result, Row, ToSql};
use tidings_domain::{
    Timestamp,
    ids::{Compact, SubscriptionId},
    notification::Verdict,
    reconcile::{Reconcile, ReconcileScope},
};

use super::{
    arrivals::Arrived,
    known_items,
    row::{self, Columns, Time},
    subscriptions::missing,
    writer::{Tx, Undone},
};
use crate::{
    Lease,
    record::{AskReconcile, DueReconcile, ReconcilePage, ReconcileUpdate, SubscriptionFilter},
};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT subscription_id, due_at, reason, asked_at, deliver_existing, started_at, finished_at, finds, \
             failures, last_error FROM reconciles ",
            $rest
        )
    };
}

pub(super) fn due(sql: &Connection, now: Timestamp, limit: u32) -> Result<Vec<DueReconcile>> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    // What is damaged takes no place, as with subscriptions.
    let mut statement = sql.prepare_cached(select!("WHERE due_at <= ? ORDER BY due_at, seq"))?;
    let mut rows = statement.query([Time(now)])?;
    let mut due = Vec::new();
    while due.len() < limit {
        let Some(row) = rows.next()? else {
            break;
        };
        due.extend(
            row::unless_damaged(read(row))?.map(|reconcile| DueReconcile {
                reconcile,
                lease: Lease::of_the_only_node(),
            }),
        );
    }
    Ok(due)
}

pub(super) fn next_due(sql: &Connection) -> Result<Option<Timestamp>> {
    sql.prepare_cached("SELECT min(due_at) FROM reconciles")?
        .query_row([], |row| Columns::new(row).time_if_any())
}

pub(super) fn one(sql: &Connection, id: SubscriptionId) -> Result<Option<Reconcile>> {
    sql.prepare_cached(select!("WHERE subscription_id = ?"))?
        .query_row([id.to_bytes()], read)
        .optional()
}

/// What keeps rows from being read, for the check.
pub(super) fn unreadable(sql: &Connection) -> Result<Vec<rusqlite::Error>> {
    let mut statement = sql.prepare(select!("ORDER BY seq"))?;
    let rows = statement.query_map([], read)?;
    Ok(rows.filter_map(Result::err).collect())
}

pub(super) fn ask(tx: &Tx<'_>, which: SubscriptionFilter, ask: &AskReconcile) -> Result<u64> {
    macro_rules! update {
        ($which:literal) => {
            concat!(
                "UPDATE reconciles SET due_at = min(due_at, ?1), asked_at = max(asked_at, ?2), reason = ?3,
                     deliver_existing = deliver_existing OR (?4 AND finished_at IS NULL) ",
                $which
            )
        };
    }
    let (text, id) = match which {
        SubscriptionFilter::All => (update!(""), None),
        SubscriptionFilter::Connection(id) => (
            update!(
                "WHERE subscription_id IN (SELECT id FROM subscriptions WHERE connection_id = ?5)"
            ),
            Some(id.to_bytes()),
        ),
        SubscriptionFilter::Environment(id) => (
            update!(
                "WHERE subscription_id IN (SELECT id FROM subscriptions WHERE environment_id = ?5)"
            ),
            Some(id.to_bytes()),
        ),
        SubscriptionFilter::One(id) => (update!("WHERE subscription_id = ?5"), Some(id.to_bytes())),
    };
    let mut statement = tx.sql.prepare_cached(text)?;
    let values: [&dyn ToSql; 5] = [
        &Time(ask.due_at),
        &Time(ask.asked_at),
        &ask.reason.as_str(),
        &ask.deliver_existing,
        &id,
    ];
    let values = if id.is_some() {
        &values[..]
    } else {
        &values[..4]
    };
    let asked = statement.execute(values)?;
    Ok(u64::try_from(asked).unwrap_or(u64::MAX))
}

/// Has a subscription reconciled, also if it never was.
pub(super) fn begin(tx: &Tx<'_>, id: SubscriptionId, wish: &AskReconcile) -> Result<()> {
    if ask(tx, SubscriptionFilter::One(id), wish)? > 0 {
        return Ok(());
    }
    tx.sql
        .prepare_cached(
            "INSERT INTO reconciles (subscription_id, due_at, reason, asked_at, deliver_existing, finds, failures)
             VALUES (?, ?, ?, ?, ?, 0, 0)",
        )?
        .execute((
            id.to_bytes(),
            Time(wish.due_at),
            wish.reason.as_str(),
            Time(wish.asked_at),
            wish.deliver_existing,
        ))?;
    Ok(())
}

pub(super) fn update(tx: &Tx<'_>, update: &ReconcileUpdate) -> Result<(), Undone> {
    let changed = tx
        .sql
        .prepare_cached(
            "UPDATE reconciles SET due_at = iif(asked_at > ?2, min(due_at, ?1), ?1), started_at = ?3, finished_at = ?4,
                 finds = ?5, failures = ?6, last_error = ?7
             WHERE subscription_id = ?8",
        )?
        .execute((
            Time(update.due_at),
            update.answers.map(Time),
            update.started_at.map(Time),
            update.finished_at.map(Time),
            row::number(update.finds),
            update.failures,
            &update.last_error,
            update.subscription.to_bytes(),
        ))?;
    if changed == 0 {
        return Err(missing(update.subscription));
    }
    let mut statement = tx
        .sql
        .prepare_cached("DELETE FROM reconcile_scopes WHERE subscription_id = ? AND name = ?")?;
    for name in &update.gone_scopes {
        statement.execute((update.subscription.to_bytes(), name))?;
    }
    Ok(())
}

/// Records what a page of an enumeration led to; `finds` are its finds.
pub(super) fn record_page(
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
        tx.arrivals.add(finds, place, Verdict::Accepted);
        tx.tally.queued += 1;
    }
    // What was told before these items were shown is to be there first.
    tx.told.write(tx.sql)?;
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

pub(super) fn scopes(sql: &Connection, id: SubscriptionId) -> Result<Vec<ReconcileScope>> {
    sql.prepare_cached(
        "SELECT name, link, enumeration, enumerating, window_from, window_to FROM reconcile_scopes
         WHERE subscription_id = ? ORDER BY name",
    )?
    .query_map([id.to_bytes()], |row| {
        let mut columns = Columns::new(row);
        Ok(ReconcileScope {
            name: columns.value()?,
            link: columns.value()?,
            enumeration: columns.number()?,
            enumerating: columns.value()?,
            window: columns.time_if_any()?.zip(columns.time_if_any()?),
        })
    })?
    .collect()
}

pub(super) fn note_alive(tx: &Tx<'_>, now: Timestamp) -> Result<Option<Timestamp>> {
    let before = tx
        .sql
        .prepare_cached("SELECT at FROM alive")?
        .query_row([], |row| Columns::new(row).time_if_any())?;
    tx.sql
        .prepare_cached("UPDATE alive SET at = ?")?
        .execute([Time(now)])?;
    Ok(before)
}

fn read(row: &Row<'_>) -> Result<Reconcile> {
    let mut columns = Columns::new(row);
    Ok(Reconcile {
        subscription: columns.id()?,
        due_at: columns.time()?,
        reason: columns.parsed()?,
        asked_at: columns.time()?,
        deliver_existing: columns.value()?,
        started_at: columns.time_if_any()?,
        finished_at: columns.time_if_any()?,
        finds: columns.number()?,
        failures: columns.value()?,
        last_error: columns.value()?,
    })
}
