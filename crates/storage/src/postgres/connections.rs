//! Connections.

use sqlx::PgConnection;
use tidings_domain::{
    Timestamp,
    connection::{Connection, ConnectionState},
    ids::{ConnectionId, EnvironmentId},
    page::{Listing, Page},
};

use super::{
    Shared,
    changes::{Noted, noting},
    events::{Made, bind_made, making},
    lists::{List, Scan},
    row::{Columns, text},
    trouble::{self, Undone},
};
use crate::{
    Changed, StoreError,
    record::{NewEvent, Seq},
};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT seq, id, environment_id, integration_id, tenant_id, broken_reason, broken_since, created_at \
             FROM connections",
            $rest
        )
    };
}

pub(super) async fn create(
    shared: &Shared,
    sql: &mut PgConnection,
    connection: &Connection,
) -> Result<(), Undone> {
    let noted = Noted::of(Changed::Connection(connection.id));
    let (reason, since) = columns_of(&connection.state);
    let inserted = sqlx::query(noting!(
        "INSERT INTO connections (id, environment_id, integration_id, tenant_id, broken_reason, broken_since, created_at)
         VALUES ($2, $4, $5, $6, $7, $8, $9) RETURNING seq"
    ))
    .bind(noted.kind)
    .bind(noted.id)
    .bind(&shared.node)
    .bind(connection.environment.to_string())
    .bind(connection.integration.to_string())
    .bind(connection.tenant_id.to_string())
    .bind(reason.map(text))
    .bind(since)
    .bind(connection.created_at.as_millis())
    .execute(sql)
    .await;
    match inserted {
        Err(error) if trouble::is_taken(&error) => Err(Undone::Refused(StoreError::Conflict {
            what: format!("a connection to tenant {}", connection.tenant_id),
        })),
        Err(error) if trouble::is_reference(&error) => Err(Undone::Refused(StoreError::Missing {
            what: format!("integration {}", connection.integration),
        })),
        inserted => {
            inserted?;
            shared.hints.look();
            Ok(())
        }
    }
}

pub(super) async fn one(
    sql: &mut PgConnection,
    id: ConnectionId,
) -> Result<Option<Connection>, Undone> {
    let row = sqlx::query(select!(" WHERE id = $1"))
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
    environment: Option<EnvironmentId>,
    page: &Page,
    after: i64,
) -> Result<Listing<Connection>, Undone> {
    let mut list = List::new(select!(""), "seq", Scan::Indexed);
    list.only("environment_id = ?", environment);
    list.page(sql, page, after, read).await
}

/// `$4`, `$20` what the row becomes; `$5` … the events, told if it was not known; `$21` when that became known.
const SET_STATE: &str = noting!(
    "",
    "UPDATE connections SET broken_reason = $4, broken_since = $20
     WHERE id = $2 AND (broken_reason IS NULL) <> ($4::text IS NULL) RETURNING seq",
    concat!(
        ", ",
        making!("CROSS JOIN done"),
        // What waits to be tried again need not: what it failed with is over. Rows are locked in the order of their keys.
        ", waiting AS MATERIALIZED (
             SELECT s.seq FROM done CROSS JOIN subscriptions s
             WHERE $4::text IS NULL AND s.connection_id = $2 AND s.failures > 0 AND s.due_at > $21
             ORDER BY s.seq FOR UPDATE OF s),
         hastened AS (UPDATE subscriptions s SET due_at = $21 FROM waiting w WHERE s.seq = w.seq),
         compared AS MATERIALIZED (
             SELECT r.seq FROM done CROSS JOIN subscriptions s JOIN reconciles r ON r.subscription_id = s.id
             WHERE $4::text IS NULL AND s.connection_id = $2 AND r.failures > 0 AND r.due_at > $21
             ORDER BY r.subscription_id FOR UPDATE OF r),
         again AS (UPDATE reconciles r SET due_at = $21 FROM compared c WHERE r.seq = c.seq)"
    )
);

pub(super) async fn set_state(
    shared: &Shared,
    sql: &mut PgConnection,
    id: ConnectionId,
    state: &ConnectionState,
    at: Timestamp,
    events: &[NewEvent],
) -> Result<(), Undone> {
    let noted = Noted::of(Changed::Connection(id));
    let (reason, since) = columns_of(state);
    let mut made = Made::default();
    for new in events {
        made.push(Seq::default(), new);
    }
    let query = sqlx::query(SET_STATE)
        .bind(noted.kind)
        .bind(noted.id)
        .bind(&shared.node)
        .bind(reason.map(text));
    let changed = bind_made!(query, made)
        .bind(since)
        .bind(at.as_millis())
        .fetch_optional(&mut *sql)
        .await?;
    if changed.is_some() {
        shared.hints.look();
        let to = events.iter().flat_map(|new| &new.deliveries);
        shared.hints.due(to.map(|delivery| delivery.webhook));
        return Ok(());
    }
    match one(sql, id).await? {
        Some(_) => Ok(()),
        None => Err(Undone::Refused(StoreError::Missing {
            what: format!("connection {id}"),
        })),
    }
}

pub(super) async fn delete(
    shared: &Shared,
    sql: &mut PgConnection,
    id: ConnectionId,
) -> Result<bool, Undone> {
    let noted = Noted::of(Changed::Connection(id));
    let deleted = sqlx::query(noting!(
        "DELETE FROM connections WHERE id = $2 RETURNING seq"
    ))
    .bind(noted.kind)
    .bind(noted.id)
    .bind(&shared.node)
    .fetch_optional(sql)
    .await;
    match deleted {
        Err(error) if trouble::is_reference(&error) => Err(Undone::Refused(StoreError::Conflict {
            what: format!("a subscription of connection {id}"),
        })),
        deleted => {
            let deleted = deleted?.is_some();
            if deleted {
                shared.hints.look();
            }
            Ok(deleted)
        }
    }
}

fn columns_of(state: &ConnectionState) -> (Option<&str>, Option<i64>) {
    match state {
        ConnectionState::Active => (None, None),
        ConnectionState::Broken { reason, since } => (Some(reason), Some(since.as_millis())),
    }
}

fn read(columns: &mut Columns<'_>) -> Result<Connection, Undone> {
    let id = columns.parsed()?;
    let environment = columns.parsed()?;
    let integration = columns.parsed()?;
    let tenant_id = columns.parsed()?;
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
