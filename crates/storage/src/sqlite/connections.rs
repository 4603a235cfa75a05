//! Connections.

use rusqlite::{Connection as Sql, OptionalExtension as _, Result};
use tidings_domain::{
    Timestamp,
    connection::{Connection, ConnectionState},
    ids::{Compact, ConnectionId, EnvironmentId},
    page::{Listing, Page},
};

use super::{
    enrich,
    lists::{List, Scan},
    row::{Columns, Time},
    trouble,
    writer::{Tx, Undone},
};
use crate::{StoreError, record::NewEvent};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT seq, id, environment_id, integration_id, tenant_id, broken_reason, broken_since, created_at \
             FROM connections",
            $rest
        )
    };
}

pub(super) fn create(tx: &Tx<'_>, connection: &Connection) -> Result<(), Undone> {
    let (reason, since) = columns_of(&connection.state);
    let inserted = tx
        .sql
        .prepare_cached(
            "INSERT INTO connections (id, environment_id, integration_id, tenant_id, broken_reason, broken_since,
                 created_at)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute((
            connection.id.to_bytes(),
            connection.environment.to_bytes(),
            connection.integration.to_bytes(),
            connection.tenant_id.to_bytes(),
            reason,
            since,
            Time(connection.created_at),
        ));
    match inserted {
        Err(error) if trouble::is_taken(&error) => Err(Undone::Refused(StoreError::Conflict {
            what: format!("a connection to tenant {}", connection.tenant_id),
        })),
        Err(error) if trouble::is_reference(&error) => Err(Undone::Refused(StoreError::Missing {
            what: format!("integration {}", connection.integration),
        })),
        inserted => Ok(inserted.map(|_| ())?),
    }
}

pub(super) fn one(sql: &Sql, id: ConnectionId) -> Result<Option<Connection>> {
    sql.prepare_cached(select!(" WHERE id = ?"))?
        .query_row([id.to_bytes()], |row| {
            let mut columns = Columns::new(row);
            columns.value::<i64>()?;
            read(&mut columns)
        })
        .optional()
}

pub(super) fn list(
    sql: &Sql,
    environment: Option<EnvironmentId>,
    page: &Page,
    after: i64,
) -> Result<Listing<Connection>> {
    let mut list = List::new(select!(""), "seq", Scan::Indexed);
    list.only_id("environment_id = ?", environment);
    list.page(sql, page, after, read)
}

pub(super) fn set_state(
    tx: &mut Tx<'_>,
    id: ConnectionId,
    state: &ConnectionState,
    at: Timestamp,
    events: &[NewEvent],
) -> Result<(), Undone> {
    let (reason, since) = columns_of(state);
    let changed = tx
        .sql
        .prepare_cached(
            "UPDATE connections SET broken_reason = ?1, broken_since = ?2
             WHERE id = ?3 AND (broken_reason IS NULL) <> (?1 IS NULL)",
        )?
        .execute((reason, since, id.to_bytes()))?;
    if changed > 0 {
        if *state == ConnectionState::Active {
            hasten_failed(tx, id, at)?;
        }
        return Ok(enrich::tell(tx, events)?);
    }
    match one(tx.sql, id)? {
        Some(_) => Ok(()),
        None => Err(Undone::Refused(StoreError::Missing {
            what: format!("connection {id}"),
        })),
    }
}

/// What waits to be tried again need not: what it failed with is over.
fn hasten_failed(tx: &Tx<'_>, id: ConnectionId, at: Timestamp) -> Result<()> {
    for text in [
        "UPDATE subscriptions SET due_at = ?1 WHERE connection_id = ?2 AND failures > 0 AND due_at > ?1",
        "UPDATE reconciles SET due_at = ?1
         WHERE failures > 0 AND due_at > ?1
             AND subscription_id IN (SELECT id FROM subscriptions WHERE connection_id = ?2)",
    ] {
        let mut statement = tx.sql.prepare_cached(text)?;
        statement.execute((Time(at), id.to_bytes()))?;
    }
    Ok(())
}

pub(super) fn delete(tx: &Tx<'_>, id: ConnectionId) -> Result<bool, Undone> {
    let deleted = tx
        .sql
        .prepare_cached("DELETE FROM connections WHERE id = ?")?
        .execute([id.to_bytes()]);
    match deleted {
        Err(error) if trouble::is_reference(&error) => Err(Undone::Refused(StoreError::Conflict {
            what: format!("a subscription of connection {id}"),
        })),
        deleted => Ok(deleted? > 0),
    }
}

fn columns_of(state: &ConnectionState) -> (Option<&str>, Option<Time>) {
    match state {
        ConnectionState::Active => (None, None),
        ConnectionState::Broken { reason, since } => (Some(reason), Some(Time(*since))),
    }
}

fn read(columns: &mut Columns<'_>) -> Result<Connection> {
    let id = columns.id()?;
    let environment = columns.id()?;
    let integration = columns.id()?;
    let tenant_id = columns.id()?;
    let reason: Option<String> = columns.value()?;
    let since = columns.time_if_any()?;
    let state = match (reason, since) {
        (Some(reason), Some(since)) => ConnectionState::Broken { reason, since },
        _ => ConnectionState::Active,
    };
    Ok(Connection {
        id,
        environment,
        integration,
        tenant_id,
        state,
        created_at: columns.time()?,
    })
}
