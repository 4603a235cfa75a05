//! Subscriptions.

use rusqlite::{Connection, OptionalExtension as _, Result};
use tidings_domain::{
    Timestamp,
    ids::{Compact, ConnectionId, EnvironmentId, SubscriptionId},
    page::{Listing, Page},
    resource::ResourceKind,
    subscription::Subscription,
};

use super::{
    lists::{List, Scan},
    row::{self, Columns, Text, Time},
    trouble,
    writer::{Tx, Undone},
};
use crate::{
    Lease, StoreError,
    record::{DueSubscription, SubscriptionUpdate},
    seal::{Place, Seal},
};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT seq, id, environment_id, integration_id, connection_id, resource, kind, change_types, state, \
             client_state, graph_id, expires_at, due_at, failures, last_error, created_at, renewed_at \
             FROM subscriptions",
            $rest
        )
    };
}

pub(super) fn create(tx: &Tx<'_>, subscription: &Subscription) -> Result<(), Undone> {
    let row = subscription.id.to_string();
    let inserted = tx
        .sql
        .prepare_cached(
            "INSERT INTO subscriptions (id, environment_id, integration_id, connection_id, resource, kind,
                 change_types, state, client_state, graph_id, expires_at, due_at, failures, last_error, created_at,
                 renewed_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute((
            subscription.id.to_bytes(),
            subscription.environment.to_bytes(),
            subscription.integration.to_bytes(),
            subscription.connection.to_bytes(),
            &subscription.resource,
            subscription.kind.as_str(),
            Text(subscription.change_types),
            subscription.state.as_str(),
            tx.seal
                .seal(client_state(&row), subscription.client_state.expose()),
            &subscription.graph_id,
            subscription.expires_at.map(Time),
            Time(subscription.due_at),
            subscription.failures,
            &subscription.last_error,
            Time(subscription.created_at),
            subscription.renewed_at.map(Time),
        ));
    match inserted {
        Err(error) if trouble::is_taken(&error) => Err(Undone::Refused(StoreError::Conflict {
            what: format!(
                "a subscription to {} ({})",
                subscription.resource, subscription.change_types
            ),
        })),
        Err(error) if trouble::is_reference(&error) => Err(Undone::Refused(StoreError::Missing {
            what: format!("connection {}", subscription.connection),
        })),
        inserted => Ok(inserted.map(|_| ())?),
    }
}

pub(super) fn one(
    sql: &Connection,
    seal: &Seal,
    id: SubscriptionId,
) -> Result<Option<Subscription>> {
    sql.prepare_cached(select!(" WHERE id = ?"))?
        .query_row([id.to_bytes()], |row| read_row(row, seal))
        .optional()
}

/// Reads the row at this place, secrets included, for the check.
pub(super) fn readable(sql: &Connection, seal: &Seal, seq: i64) -> Result<()> {
    sql.prepare_cached(select!(" WHERE seq = ?"))?
        .query_row([seq], |row| read_row(row, seal).map(|_| ()))
}

pub(super) fn list(
    sql: &Connection,
    seal: &Seal,
    environment: Option<EnvironmentId>,
    connection: Option<ConnectionId>,
    page: &Page,
    after: i64,
) -> Result<Listing<Subscription>> {
    let mut list = List::new(select!(""), "seq", Scan::Indexed);
    list.only_id("environment_id = ?", environment);
    list.only_id("connection_id = ?", connection);
    list.page(sql, page, after, |columns| read(columns, seal))
}

pub(super) fn due(
    sql: &Connection,
    seal: &Seal,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<DueSubscription>> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    // What is damaged takes no place: else enough of it would keep all others from being renewed.
    let mut statement = sql.prepare_cached(select!(" WHERE due_at <= ? ORDER BY due_at, seq"))?;
    let mut rows = statement.query([Time(now)])?;
    let mut due = Vec::new();
    while due.len() < limit {
        let Some(row) = rows.next()? else {
            break;
        };
        let read = row::unless_damaged(read_row(row, seal))?;
        due.extend(read.map(|subscription| DueSubscription {
            subscription,
            lease: Lease::of_the_only_node(),
        }));
    }
    Ok(due)
}

pub(super) fn next_due(sql: &Connection) -> Result<Option<Timestamp>> {
    sql.prepare_cached("SELECT min(due_at) FROM subscriptions")?
        .query_row([], |row| Columns::new(row).time_if_any())
}

pub(super) fn update(tx: &Tx<'_>, update: &SubscriptionUpdate) -> Result<(), Undone> {
    let changed = tx
        .sql
        .prepare_cached(
            "UPDATE subscriptions SET state = ?, graph_id = ?, expires_at = ?, due_at = ?, failures = ?,
                 last_error = ?, renewed_at = ?
             WHERE id = ?",
        )?
        .execute((
            update.state.as_str(),
            &update.graph_id,
            update.expires_at.map(Time),
            Time(update.due_at),
            update.failures,
            &update.last_error,
            update.renewed_at.map(Time),
            update.id.to_bytes(),
        ))?;
    if changed == 0 {
        return Err(Undone::Refused(StoreError::Missing {
            what: format!("subscription {}", update.id),
        }));
    }
    Ok(())
}

pub(super) fn delete(tx: &Tx<'_>, id: SubscriptionId) -> Result<bool, Undone> {
    let deleted = tx
        .sql
        .prepare_cached("DELETE FROM subscriptions WHERE id = ?")?
        .execute([id.to_bytes()])?;
    Ok(deleted > 0)
}

fn read_row(row: &rusqlite::Row<'_>, seal: &Seal) -> Result<Subscription> {
    let mut columns = Columns::new(row);
    columns.value::<i64>()?;
    read(&mut columns, seal)
}

fn read(columns: &mut Columns<'_>, seal: &Seal) -> Result<Subscription> {
    let id: SubscriptionId = columns.id()?;
    Ok(Subscription {
        id,
        environment: columns.id()?,
        integration: columns.id()?,
        connection: columns.id()?,
        resource: columns.value()?,
        kind: columns.word(ResourceKind::ALL, ResourceKind::as_str)?,
        change_types: columns.parsed()?,
        state: columns.parsed()?,
        client_state: columns.secret(seal, client_state(&id.to_string()))?,
        graph_id: columns.value()?,
        expires_at: columns.time_if_any()?,
        due_at: columns.time()?,
        failures: columns.value()?,
        last_error: columns.value()?,
        created_at: columns.time()?,
        renewed_at: columns.time_if_any()?,
    })
}

fn client_state(row: &str) -> Place<'_> {
    Place {
        table: "subscriptions",
        column: "client_state",
        row,
    }
}
