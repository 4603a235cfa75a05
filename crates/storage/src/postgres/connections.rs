//! Connections.

use sqlx::PgConnection;
use tidings_domain::{
    connection::{Connection, ConnectionState},
    ids::{ConnectionId, EnvironmentId},
    page::{Listing, Page},
};

use super::{
    Shared,
    changes::{Noted, noting},
    lists::{List, Scan},
    row::{Columns, text},
    trouble::{self, Undone},
};
use crate::{Changed, StoreError};

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

pub(super) async fn set_state(
    shared: &Shared,
    sql: &mut PgConnection,
    id: ConnectionId,
    state: &ConnectionState,
) -> Result<(), Undone> {
    let noted = Noted::of(Changed::Connection(id));
    let (reason, since) = columns_of(state);
    let changed = sqlx::query(noting!(
        "UPDATE connections SET broken_reason = $4, broken_since = $5 WHERE id = $2 RETURNING seq"
    ))
    .bind(noted.kind)
    .bind(noted.id)
    .bind(&shared.node)
    .bind(reason.map(text))
    .bind(since)
    .fetch_optional(sql)
    .await?;
    if changed.is_none() {
        return Err(Undone::Refused(StoreError::Missing {
            what: format!("connection {id}"),
        }));
    }
    shared.hints.look();
    Ok(())
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
