//! What reconcile reads and writes.

use rusqlite::{Connection, OptionalExtension as _, Result, Row, params_from_iter};
use tidings_domain::{
    Timestamp,
    ids::{Compact, SubscriptionId},
    reconcile::{Reconcile, ReconcileScope, Silence},
};

use super::{
    row::{self, Columns, Time},
    subscriptions::missing,
    writer::{Tx, Undone},
};
use crate::{
    Lease,
    record::{AskReconcile, DueReconcile, ReconcileUpdate, SubscriptionFilter},
};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT subscription_id, due_at, reason, asked_at, deliver_existing, started_at, finished_at, finds, \
             failures, last_error, silent_since, silence_told, patience FROM reconciles ",
            $rest
        )
    };
}

pub(super) fn due(sql: &Connection, now: Timestamp, limit: u32) -> Result<Vec<DueReconcile>> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    // What is damaged takes no place, as with subscriptions.
    let mut statement = sql.prepare_cached(select!(
        "WHERE due_at <= ? AND NOT EXISTS (SELECT 1 FROM subscriptions s WHERE s.id = subscription_id \
         AND s.state = 'disabled') ORDER BY due_at, seq"
    ))?;
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
    // Those of disabled connections wait: usually there is none before the first.
    sql.prepare_cached(
        "SELECT due_at FROM reconciles
         WHERE NOT EXISTS (SELECT 1 FROM subscriptions s WHERE s.id = subscription_id AND s.state = 'disabled')
         ORDER BY due_at LIMIT 1",
    )?
    .query_row([], |row| Columns::new(row).time())
    .optional()
}

pub(super) fn one(sql: &Connection, id: SubscriptionId) -> Result<Option<Reconcile>> {
    sql.prepare_cached(select!("WHERE subscription_id = ?"))?
        .query_row([id.to_bytes()], read)
        .optional()
}

/// Those behind a subscription, in the order of the subscriptions.
pub(super) fn behind(
    sql: &Connection,
    after: Option<SubscriptionId>,
    limit: u32,
) -> Result<Vec<Reconcile>> {
    let after = after.map_or_else(Vec::new, |id| id.to_bytes().to_vec());
    sql.prepare_cached(select!(
        "WHERE subscription_id > ? ORDER BY subscription_id LIMIT ?"
    ))?
    .query_map((after, limit), read)?
    .collect()
}

/// What keeps rows from being read, for the check.
pub(super) fn unreadable(sql: &Connection) -> Result<Vec<rusqlite::Error>> {
    let mut statement = sql.prepare(select!("ORDER BY seq"))?;
    let rows = statement.query_map([], read)?;
    Ok(rows.filter_map(Result::err).collect())
}

/// Those of these subscriptions that are reconciled at all.
pub(super) fn meant(sql: &Connection, which: SubscriptionFilter) -> Result<Vec<SubscriptionId>> {
    let (text, id) = match which {
        SubscriptionFilter::All => ("SELECT subscription_id FROM reconciles", None),
        SubscriptionFilter::Connection(id) => (
            "SELECT r.subscription_id FROM subscriptions s JOIN reconciles r ON r.subscription_id = s.id
             WHERE s.connection_id = ?",
            Some(id.to_bytes()),
        ),
        SubscriptionFilter::Environment(id) => (
            "SELECT r.subscription_id FROM subscriptions s JOIN reconciles r ON r.subscription_id = s.id
             WHERE s.environment_id = ?",
            Some(id.to_bytes()),
        ),
        SubscriptionFilter::Integration(id) => (
            "SELECT r.subscription_id FROM subscriptions s JOIN reconciles r ON r.subscription_id = s.id
             WHERE s.integration_id = ?",
            Some(id.to_bytes()),
        ),
        SubscriptionFilter::One(id) => (
            "SELECT subscription_id FROM reconciles WHERE subscription_id = ?",
            Some(id.to_bytes()),
        ),
    };
    sql.prepare_cached(text)?
        .query_map(params_from_iter(id), |row| Columns::new(row).id())?
        .collect()
}

/// Has these subscriptions reconciled, and says how many still are.
pub(super) fn ask(tx: &Tx<'_>, these: &[SubscriptionId], ask: &AskReconcile) -> Result<u64> {
    let mut statement = tx.sql.prepare_cached(
        "UPDATE reconciles SET due_at = min(due_at, ?1), asked_at = max(asked_at, ?2), reason = ?3,
             deliver_existing = deliver_existing OR (?4 AND finished_at IS NULL)
         WHERE subscription_id = ?5",
    )?;
    let mut asked = 0;
    for id in these {
        asked += statement.execute((
            Time(ask.due_at),
            Time(ask.asked_at),
            ask.reason.as_str(),
            ask.deliver_existing,
            id.to_bytes(),
        ))?;
    }
    Ok(u64::try_from(asked).unwrap_or(u64::MAX))
}

/// Has a subscription reconciled, also if it never was.
pub(super) fn begin(tx: &Tx<'_>, id: SubscriptionId, wish: &AskReconcile) -> Result<()> {
    if ask(tx, &[id], wish)? > 0 {
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

fn silence(columns: &mut Columns<'_>) -> Result<Option<Silence>> {
    let (since, told) = (columns.time_if_any()?, columns.value()?);
    Ok(since.map(|since| Silence { since, told }))
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
        silence: silence(&mut columns)?,
        patience: columns.value()?,
    })
}
