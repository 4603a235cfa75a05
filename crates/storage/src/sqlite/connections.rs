//! Connections.

use rusqlite::{Connection as Sql, OptionalExtension as _, Result};
use tidings_domain::{
    Timestamp,
    connection::{Connection, ConnectionIntent, ConnectionState},
    ids::{Compact, ConnectionId, EnvironmentId},
    page::{Listing, Page},
};

use super::{
    enrich,
    lists::{List, Scan},
    row::{Columns, Time, unreadable},
    trouble,
    writer::{Tx, Undone},
};
use crate::{
    Lease, StoreError, connection,
    record::{DueConnection, NewEvent, Settled},
};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT seq, id, environment_id, integration_id, tenant_id, broken_reason, broken_since, intent, \
             intent_since, created_at \
             FROM connections",
            $rest
        )
    };
}

pub(super) fn create(tx: &Tx<'_>, connection: &Connection) -> Result<(), Undone> {
    let (reason, since) = columns_of(&connection.state);
    let (intent, intent_since) = intent_columns(connection.intent);
    let inserted = tx
        .sql
        .prepare_cached(
            "INSERT INTO connections (id, environment_id, integration_id, tenant_id, broken_reason, broken_since,
                 intent, intent_since, created_at, due_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9)",
        )?
        .execute((
            connection.id.to_bytes(),
            connection.environment.to_bytes(),
            connection.integration.to_bytes(),
            connection.tenant_id.to_bytes(),
            reason,
            since,
            intent,
            intent_since,
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

pub(super) fn set_intent(
    tx: &Tx<'_>,
    id: ConnectionId,
    intent: ConnectionIntent,
    now: Timestamp,
) -> Result<Option<Connection>> {
    let (word, since) = intent_columns(intent);
    tx.sql
        .prepare_cached(
            "UPDATE connections SET intent = ?1, intent_since = ?2, due_at = ?3
             WHERE id = ?4 AND intent <> ?1 AND intent <> 'deleting'",
        )?
        .execute((word, since, Time(now), id.to_bytes()))?;
    one(tx.sql, id)
}

pub(super) fn due(sql: &Sql, now: Timestamp, limit: u32) -> Result<Vec<DueConnection>> {
    sql.prepare_cached(
        "SELECT id, environment_id, integration_id, tenant_id, broken_reason, broken_since, intent, intent_since,
             created_at, due_at, listed_at
         FROM connections WHERE due_at <= ? ORDER BY due_at, seq LIMIT ?",
    )?
    .query_map((Time(now), limit), |row| {
        let mut columns = Columns::new(row);
        Ok(DueConnection {
            connection: read(&mut columns)?,
            due_at: columns.time()?,
            listed_at: columns.time_if_any()?,
            lease: Lease::of_the_only_node(),
        })
    })?
    .collect()
}

pub(super) fn next_due(sql: &Sql) -> Result<Option<Timestamp>> {
    sql.prepare_cached("SELECT min(due_at) FROM connections")?
        .query_row([], |row| Columns::new(row).time_if_any())
}

pub(super) fn settle(
    tx: &Tx<'_>,
    id: ConnectionId,
    now: Timestamp,
    limit: u32,
) -> Result<Settled, Undone> {
    let Some(row) = one(tx.sql, id)? else {
        return Err(missing(id));
    };
    let changed = tx
        .sql
        .prepare_cached(&numbered(connection::settling(row.intent)))?
        .execute((id.to_bytes(), Time(now), limit))?;
    let served = match row.intent {
        ConnectionIntent::Kept => 0,
        ConnectionIntent::Disabled { .. } | ConnectionIntent::Deleting { .. } => tx
            .sql
            .prepare_cached(&numbered(connection::SERVED))?
            .query_row([id.to_bytes()], |row| Columns::new(row).number())?,
    };
    Ok(Settled {
        changed: u64::try_from(changed).unwrap_or(u64::MAX),
        served,
    })
}

pub(super) fn put_off(
    tx: &Tx<'_>,
    id: ConnectionId,
    seen: Timestamp,
    due_at: Timestamp,
    listed_at: Option<Timestamp>,
) -> Result<(), Undone> {
    let changed = tx
        .sql
        .prepare_cached(
            "UPDATE connections SET listed_at = iif(due_at > ?2, NULL, ?4), due_at = iif(due_at > ?2, due_at, ?3)
             WHERE id = ?1",
        )?
        .execute((
            id.to_bytes(),
            Time(seen),
            Time(due_at),
            listed_at.map(Time),
        ))?;
    if changed == 0 {
        return Err(missing(id));
    }
    Ok(())
}

/// With parameters that have numbers in SQLite, too: `$1` is a name there.
fn numbered(text: &str) -> String {
    text.replace('$', "?")
}

fn missing(id: ConnectionId) -> Undone {
    Undone::Refused(StoreError::Missing {
        what: format!("connection {id}"),
    })
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

/// The word of an intent, and since when.
fn intent_columns(intent: ConnectionIntent) -> (&'static str, Option<Time>) {
    let (word, since) = connection::intent_word(intent);
    (word, since.map(Time))
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
    let word: String = columns.value()?;
    let since = columns.time_if_any()?;
    let intent = connection::intent(&word, since)
        .ok_or_else(|| unreadable(7, &format_args!("unknown intent `{word}`")))?;
    Ok(Connection {
        id,
        environment,
        integration,
        tenant_id,
        state,
        intent,
        created_at: columns.time()?,
    })
}
