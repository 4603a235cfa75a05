//! Subscriptions.

use sqlx::{PgConnection, Row as _, postgres::PgRow};
use tidings_domain::{
    Timestamp,
    ids::{ConnectionId, EnvironmentId, SubscriptionId},
    page::{Listing, Page},
    resource::ResourceKind,
    shard::Shard,
    subscription::Subscription,
};

use super::{
    Shared,
    changes::{Noted, noting},
    enrich::fenced,
    lists::{List, Scan},
    row::{self, Columns, text, text_if_any, time},
    trouble::{self, Undone},
};
use crate::{
    Changed, Lease, StoreError,
    record::{DueSubscription, SubscriptionUpdate},
    seal::{Place, Seal},
};

macro_rules! columns {
    () => {
        "seq, id, environment_id, integration_id, connection_id, resource, kind, change_types, state, client_state, \
         graph_id, expires_at, due_at, failures, last_error, created_at, renewed_at"
    };
}

macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT ", columns!(), " FROM subscriptions", $rest)
    };
}

pub(super) async fn create(
    shared: &Shared,
    sql: &mut PgConnection,
    subscription: &Subscription,
    shard: Shard,
) -> Result<(), Undone> {
    let noted = Noted::of(Changed::Subscription(subscription.id));
    let sealed = shared
        .seal
        .seal(client_state(&noted.id), subscription.client_state.expose());
    let inserted = sqlx::query(noting!(
        "INSERT INTO subscriptions (id, environment_id, integration_id, connection_id, resource, kind, change_types,
             state, client_state, graph_id, expires_at, due_at, failures, last_error, created_at, renewed_at, shard)
         VALUES ($2, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19) RETURNING seq"
    ))
    .bind(noted.kind)
    .bind(noted.id)
    .bind(&shared.node)
    .bind(subscription.environment.to_string())
    .bind(subscription.integration.to_string())
    .bind(subscription.connection.to_string())
    .bind(text(&subscription.resource))
    .bind(subscription.kind.as_str())
    .bind(subscription.change_types.to_string())
    .bind(subscription.state.as_str())
    .bind(sealed)
    .bind(text_if_any(subscription.graph_id.as_deref()))
    .bind(time(subscription.expires_at))
    .bind(subscription.due_at.as_millis())
    .bind(i32::try_from(subscription.failures).unwrap_or(i32::MAX))
    .bind(text_if_any(subscription.last_error.as_deref()))
    .bind(subscription.created_at.as_millis())
    .bind(time(subscription.renewed_at))
    .bind(i16::from(shard.get()))
    .execute(sql)
    .await;
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
        inserted => {
            inserted?;
            shared.hints.look();
            Ok(())
        }
    }
}

pub(super) async fn one(
    shared: &Shared,
    sql: &mut PgConnection,
    id: SubscriptionId,
) -> Result<Option<Subscription>, Undone> {
    let row = sqlx::query(select!(" WHERE id = $1"))
        .bind(id.to_string())
        .fetch_optional(sql)
        .await?;
    row.map(|row| read_row(&row, &shared.seal)).transpose()
}

pub(super) async fn list(
    shared: &Shared,
    sql: &mut PgConnection,
    environment: Option<EnvironmentId>,
    connection: Option<ConnectionId>,
    page: &Page,
    after: i64,
) -> Result<Listing<Subscription>, Undone> {
    let mut list = List::new(select!(""), "seq", Scan::Indexed);
    list.only("environment_id = ?", environment);
    list.only("connection_id = ?", connection);
    list.page(sql, page, after, |columns| read(columns, &shared.seal))
        .await
}

pub(super) async fn due(
    shared: &Shared,
    sql: &mut PgConnection,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<DueSubscription>, Undone> {
    let leases = shared.holdings.leases();
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut due = Vec::new();
    let mut after = (i64::MIN, i64::MIN);
    // What is damaged takes no place: else enough of it would keep all others from being renewed.
    while due.len() < limit {
        let room = limit - due.len();
        let rows = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            ", shard FROM subscriptions WHERE due_at <= $1 AND shard = ANY($2) AND (due_at, seq) > ($4, $5)
             ORDER BY due_at, seq LIMIT $3"
        ))
        .bind(now.as_millis())
        .bind(row::shards(&leases))
        .bind(i64::try_from(room).unwrap_or(i64::MAX))
        .bind(after.0)
        .bind(after.1)
        .fetch_all(&mut *sql)
        .await?;
        for row in &rows {
            due.extend(row::unless_damaged(read_due(row, &shared.seal, &leases))?.flatten());
        }
        let Some(last) = rows.last().filter(|_| rows.len() == room) else {
            break;
        };
        after = (last.try_get("due_at")?, last.try_get("seq")?);
    }
    Ok(due)
}

/// Reads a row with its shard behind it; `None` if that is none of `leases`.
fn read_due(row: &PgRow, seal: &Seal, leases: &[Lease]) -> Result<Option<DueSubscription>, Undone> {
    let mut columns = Columns::new(row);
    columns.skip();
    let subscription = read(&mut columns, seal)?;
    let shard: i16 = columns.value()?;
    let lease = leases
        .iter()
        .find(|lease| i16::from(lease.shard().get()) == shard);
    Ok(lease.map(|&lease| DueSubscription {
        subscription,
        lease,
    }))
}

pub(super) async fn next_due(
    shared: &Shared,
    sql: &mut PgConnection,
) -> Result<Option<Timestamp>, Undone> {
    let (due_at,): (Option<i64>,) =
        sqlx::query_as("SELECT min(due_at) FROM subscriptions WHERE shard = ANY($1)")
            .bind(row::shards(&shared.holdings.leases()))
            .fetch_one(sql)
            .await?;
    Ok(due_at.map(Timestamp::from_millis))
}

pub(super) async fn update(
    shared: &Shared,
    sql: &mut PgConnection,
    update: &SubscriptionUpdate,
    lease: Option<Lease>,
) -> Result<(), Undone> {
    let noted = Noted::of(Changed::Subscription(update.id));
    // Who asks for something himself needs no lease: $12 is NULL then.
    let changed = sqlx::query(noting!(
        "leased AS MATERIALIZED (
             SELECT 1 FROM shards WHERE shard = $12 AND epoch = $13 AND node = $3 FOR KEY SHARE),",
        "UPDATE subscriptions SET state = $4, graph_id = $5, expires_at = $6, due_at = $7, failures = $8,
             last_error = $9, renewed_at = $10
         WHERE id = $2 AND ($11 OR EXISTS (SELECT 1 FROM leased)) RETURNING seq"
    ))
    .bind(noted.kind)
    .bind(noted.id)
    .bind(&shared.node)
    .bind(update.state.as_str())
    .bind(text_if_any(update.graph_id.as_deref()))
    .bind(time(update.expires_at))
    .bind(update.due_at.as_millis())
    .bind(i32::try_from(update.failures).unwrap_or(i32::MAX))
    .bind(text_if_any(update.last_error.as_deref()))
    .bind(time(update.renewed_at))
    .bind(lease.is_none())
    .bind(lease.map(|lease| i16::from(lease.shard().get())))
    .bind(lease.map(Lease::epoch))
    .fetch_optional(&mut *sql)
    .await?;
    if changed.is_some() {
        shared.hints.look();
        return Ok(());
    }
    if let Some(lease) = lease {
        let (there,): (bool,) =
            sqlx::query_as("SELECT EXISTS (SELECT 1 FROM subscriptions WHERE id = $1)")
                .bind(update.id.to_string())
                .fetch_one(sql)
                .await?;
        if there {
            return Err(fenced(lease.shard()));
        }
    }
    Err(Undone::Refused(StoreError::Missing {
        what: format!("subscription {}", update.id),
    }))
}

pub(super) async fn delete(
    shared: &Shared,
    sql: &mut PgConnection,
    id: SubscriptionId,
) -> Result<bool, Undone> {
    let noted = Noted::of(Changed::Subscription(id));
    let deleted = sqlx::query(noting!(
        "DELETE FROM subscriptions WHERE id = $2 RETURNING seq"
    ))
    .bind(noted.kind)
    .bind(noted.id)
    .bind(&shared.node)
    .fetch_optional(sql)
    .await?;
    if deleted.is_some() {
        shared.hints.look();
    }
    Ok(deleted.is_some())
}

fn read_row(row: &PgRow, seal: &Seal) -> Result<Subscription, Undone> {
    let mut columns = Columns::new(row);
    columns.skip();
    read(&mut columns, seal)
}

fn read(columns: &mut Columns<'_>, seal: &Seal) -> Result<Subscription, Undone> {
    let id: SubscriptionId = columns.parsed()?;
    Ok(Subscription {
        id,
        environment: columns.parsed()?,
        integration: columns.parsed()?,
        connection: columns.parsed()?,
        resource: columns.value()?,
        kind: columns.word(ResourceKind::ALL, ResourceKind::as_str)?,
        change_types: columns.parsed()?,
        state: columns.parsed()?,
        client_state: columns.secret(seal, client_state(&id.to_string()))?,
        graph_id: columns.value()?,
        expires_at: columns.time_if_any()?,
        due_at: columns.time()?,
        failures: columns.count()?,
        last_error: columns.value()?,
        created_at: columns.time()?,
        renewed_at: columns.time_if_any()?,
        lifecycle: None,
    })
}

fn client_state(row: &str) -> Place<'_> {
    Place {
        table: "subscriptions",
        column: "client_state",
        row,
    }
}
