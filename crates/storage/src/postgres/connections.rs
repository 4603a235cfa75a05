//! Connections.

use sqlx::{Connection as _, PgConnection};
use tidings_domain::{
    Timestamp,
    connection::{Connection, ConnectionIntent, ConnectionState},
    ids::{ConnectionId, EnvironmentId},
    page::{Listing, Page},
    shard::Shard,
};

use super::{
    Shared,
    changes::{Noted, noting},
    events::{Made, bind_made, making},
    expansions,
    lists::{List, Scan},
    row::{self, Columns, corrupt, text, time},
    trouble::{self, Undone},
};
use crate::{
    Changed, Lease, StoreError, connection,
    record::{DueConnection, NewEvent, Seq, Settled},
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

pub(super) async fn create(
    shared: &Shared,
    sql: &mut PgConnection,
    connection: &Connection,
) -> Result<(), Undone> {
    let noted = Noted::of(Changed::Connection(connection.id));
    let (reason, since) = columns_of(&connection.state);
    let (intent, intent_since) = connection::intent_word(connection.intent);
    let shard = Shard::of_mailbox(connection.integration, connection.tenant_id, None);
    let inserted = sqlx::query(noting!(
        "INSERT INTO connections (id, environment_id, integration_id, tenant_id, broken_reason, broken_since, intent,
             intent_since, created_at, shard, due_at)
         VALUES ($2, $4, $5, $6, $7, $8, $9, $10, $11, $12, $11) RETURNING seq"
    ))
    .bind(noted.kind)
    .bind(noted.id)
    .bind(&shared.node)
    .bind(connection.environment.to_string())
    .bind(connection.integration.to_string())
    .bind(connection.tenant_id.to_string())
    .bind(reason.map(text))
    .bind(since)
    .bind(intent)
    .bind(time(intent_since))
    .bind(connection.created_at.as_millis())
    .bind(i16::from(shard.get()))
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

pub(super) async fn set_intent(
    shared: &Shared,
    sql: &mut PgConnection,
    id: ConnectionId,
    intent: ConnectionIntent,
    now: Timestamp,
) -> Result<Option<Connection>, Undone> {
    let noted = Noted::of(Changed::Connection(id));
    let (word, since) = connection::intent_word(intent);
    let changed = sqlx::query(noting!(
        "UPDATE connections SET intent = $4, intent_since = $5, due_at = $6
         WHERE id = $2 AND intent <> $4 AND intent <> 'deleting' RETURNING seq"
    ))
    .bind(noted.kind)
    .bind(noted.id)
    .bind(&shared.node)
    .bind(word)
    .bind(time(since))
    .bind(now.as_millis())
    .fetch_optional(&mut *sql)
    .await?;
    if changed.is_some() {
        shared.hints.look();
    }
    one(sql, id).await
}

pub(super) async fn due(
    shared: &Shared,
    sql: &mut PgConnection,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<DueConnection>, Undone> {
    let leases = shared.holdings.leases();
    let rows = sqlx::query(
        "SELECT id, environment_id, integration_id, tenant_id, broken_reason, broken_since, intent, intent_since,
             created_at, due_at, listed_at, shard
         FROM connections WHERE due_at <= $1 AND shard = ANY($2) ORDER BY due_at, seq LIMIT $3",
    )
    .bind(now.as_millis())
    .bind(row::shards(&leases))
    .bind(i64::from(limit))
    .fetch_all(sql)
    .await?;
    let mut due = Vec::new();
    for row in &rows {
        let mut columns = Columns::new(row);
        let connection = read(&mut columns)?;
        let (due_at, listed_at) = (columns.time()?, columns.time_if_any()?);
        let shard: i16 = columns.value()?;
        let lease = leases
            .iter()
            .find(|lease| i16::from(lease.shard().get()) == shard);
        due.extend(lease.map(|&lease| DueConnection {
            connection,
            due_at,
            listed_at,
            lease,
        }));
    }
    Ok(due)
}

pub(super) async fn next_due(
    shared: &Shared,
    sql: &mut PgConnection,
) -> Result<Option<Timestamp>, Undone> {
    let (due_at,): (Option<i64>,) =
        sqlx::query_as("SELECT min(due_at) FROM connections WHERE shard = ANY($1)")
            .bind(row::shards(&shared.holdings.leases()))
            .fetch_one(sql)
            .await?;
    Ok(due_at.map(Timestamp::from_millis))
}

pub(super) async fn settle(
    shared: &Shared,
    sql: &mut PgConnection,
    id: ConnectionId,
    now: Timestamp,
    limit: u32,
    lease: Lease,
) -> Result<Settled, Undone> {
    let mut transaction = sql.begin().await?;
    expansions::fence(shared, &mut transaction, lease).await?;
    let Some(row) = one(&mut transaction, id).await? else {
        return Err(missing(id));
    };
    let changed = sqlx::query(connection::settling(row.intent))
        .bind(id.to_string())
        .bind(now.as_millis())
        .bind(i64::from(limit))
        .execute(&mut *transaction)
        .await?
        .rows_affected();
    let served: i64 = match row.intent {
        ConnectionIntent::Kept => 0,
        ConnectionIntent::Disabled { .. } | ConnectionIntent::Deleting { .. } => {
            let (served,) = sqlx::query_as(connection::SERVED)
                .bind(id.to_string())
                .fetch_one(&mut *transaction)
                .await?;
            served
        }
    };
    if changed > 0 {
        expansions::tell(shared, &mut transaction, &id.to_string()).await?;
    }
    transaction.commit().await?;
    if changed > 0 {
        shared.hints.look();
    }
    Ok(Settled {
        changed,
        served: u64::try_from(served).unwrap_or(0),
    })
}

pub(super) async fn put_off(
    shared: &Shared,
    sql: &mut PgConnection,
    id: ConnectionId,
    seen: Timestamp,
    due_at: Timestamp,
    listed_at: Option<Timestamp>,
    lease: Lease,
) -> Result<(), Undone> {
    let mut transaction = sql.begin().await?;
    expansions::fence(shared, &mut transaction, lease).await?;
    let changed = sqlx::query(
        "UPDATE connections SET listed_at = CASE WHEN due_at > $2 THEN NULL ELSE $4 END,
             due_at = CASE WHEN due_at > $2 THEN due_at ELSE $3 END
         WHERE id = $1",
    )
    .bind(id.to_string())
    .bind(seen.as_millis())
    .bind(due_at.as_millis())
    .bind(time(listed_at))
    .execute(&mut *transaction)
    .await?;
    if changed.rows_affected() == 0 {
        return Err(missing(id));
    }
    Ok(transaction.commit().await?)
}

fn missing(id: ConnectionId) -> Undone {
    Undone::Refused(StoreError::Missing {
        what: format!("connection {id}"),
    })
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
    let word: String = columns.value()?;
    let since = columns.time_if_any()?;
    let intent = connection::intent(&word, since)
        .ok_or_else(|| corrupt(7, &format_args!("unknown intent `{word}`")))?;
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
