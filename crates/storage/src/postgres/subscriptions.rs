//! Subscriptions.

use std::borrow::Cow;

use sqlx::{PgConnection, Row as _, postgres::PgRow};
use tidings_domain::{
    Timestamp,
    ids::{ConnectionId, EnvironmentId, IntegrationId, SubscriptionId},
    page::{Listing, Page},
    resource::ResourceKind,
    shard::Shard,
    subscription::{Former, Lifecycle, Subscription},
};

use super::{
    Shared,
    changes::{Noted, noting},
    completeness,
    enrich::fenced,
    events::{Made, bind_made, making},
    known_items,
    lists::{List, Scan},
    reconcile::{asking, set},
    row::{self, Columns, number, shown, text, text_if_any, time},
    trouble::{self, Undone},
};
use crate::{
    Changed, Lease, StoreError,
    record::{DueSubscription, Seq, SubscriptionUpdate},
    seal::{Place, Seal},
};

macro_rules! columns {
    () => {
        "seq, id, environment_id, integration_id, connection_id, policy_id, resource, kind, change_types, state, \
         client_state, \
         graph_id, expires_at, due_at, failures, last_error, created_at, renewed_at, deliver_existing, \
         lifecycle_reauthorize, lifecycle_removed, lifecycle_count, patched_at, notification_url, lifecycle_url, \
         former_graph_id, former_since"
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
    let lifecycle = subscription.lifecycle.unwrap_or_default();
    let sealed = shared
        .seal
        .seal(client_state(&noted.id), subscription.client_state.expose());
    let inserted = sqlx::query(noting!(
        "INSERT INTO subscriptions (id, environment_id, integration_id, connection_id, policy_id, policy_seen, resource,
             kind, change_types, state, client_state, graph_id, expires_at, due_at, failures, last_error, created_at, renewed_at, shard,
             deliver_existing, lifecycle_reauthorize, lifecycle_removed, lifecycle_count, patched_at,
             notification_url, lifecycle_url, former_graph_id, former_since)
         VALUES ($2, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24,
             $25, $26, $27, $28, $29, $30)
         RETURNING seq"
    ))
    .bind(noted.kind)
    .bind(noted.id)
    .bind(&shared.node)
    .bind(subscription.environment.to_string())
    .bind(subscription.integration.to_string())
    .bind(subscription.connection.to_string())
    .bind(shown(subscription.policy))
    .bind(0_i64)
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
    .bind(subscription.deliver_existing)
    .bind(lifecycle.reauthorize)
    .bind(lifecycle.removed)
    .bind(number(lifecycle.count))
    .bind(time(subscription.patched_at))
    .bind(text_if_any(subscription.notification_url.as_deref()))
    .bind(text_if_any(subscription.lifecycle_url.as_deref()))
    .bind(former_id(subscription.former.as_ref()))
    .bind(former_since(subscription.former.as_ref()))
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

/// `$4`: nobody's lease is needed, since somebody asks for it himself; else `$20`, `$21` are the lease. `$5` … the events;
/// `$22` … what the row becomes, `$29` up to which lifecycle notification it was seen to: any after that keep it due.
/// `$30` … the wish that it be reconciled; `$34` … what else the row becomes.
const UPDATE: &str = noting!(
    "leased AS MATERIALIZED (
         SELECT 1 FROM shards WHERE shard = $20 AND epoch = $21 AND node = $3 FOR KEY SHARE),",
    "UPDATE subscriptions SET state = CASE WHEN state = 'deleting' THEN state ELSE $22 END, graph_id = $23, expires_at = $24, failures = $26, last_error = $27,
         renewed_at = $28,
         due_at = CASE WHEN (lifecycle_count IS NOT DISTINCT FROM $29 OR NOT (lifecycle_reauthorize OR lifecycle_removed))
                 AND (state <> 'deleting' OR $22 = 'deleting')
             THEN $25 ELSE least(due_at, $25) END,
         lifecycle_reauthorize = lifecycle_reauthorize AND lifecycle_count IS DISTINCT FROM $29,
         lifecycle_removed = lifecycle_removed AND lifecycle_count IS DISTINCT FROM $29,
         patched_at = $34, notification_url = $35, lifecycle_url = $36, former_graph_id = $37, former_since = $38
     WHERE id = $2 AND ($4 OR EXISTS (SELECT 1 FROM leased)) RETURNING seq, shard",
    concat!(
        ", ",
        making!("CROSS JOIN done"),
        ", asked AS (
             INSERT INTO reconciles AS r (subscription_id, due_at, reason, asked_at, deliver_existing, finds, failures,
                 shard)
             SELECT $2, $32, $30, $31, $33, 0, 0, done.shard FROM done WHERE $30 IS NOT NULL
             ON CONFLICT (subscription_id) DO UPDATE SET ",
        asking!("excluded"),
        ")"
    )
);

pub(super) async fn update(
    shared: &Shared,
    sql: &mut PgConnection,
    update: &SubscriptionUpdate,
    lease: Option<Lease>,
) -> Result<(), Undone> {
    let noted = Noted::of(Changed::Subscription(update.id));
    let mut made = Made::default();
    for new in &update.events {
        made.push(Seq::default(), new);
    }
    let ask = update.reconcile.as_ref();
    let query = sqlx::query_as(UPDATE)
        .bind(noted.kind)
        .bind(noted.id)
        .bind(&shared.node)
        .bind(lease.is_none());
    let changed: Option<(i64, i16)> = bind_made!(query, made)
        .bind(lease.map(|lease| i16::from(lease.shard().get())))
        .bind(lease.map(Lease::epoch))
        .bind(update.state.as_str())
        .bind(text_if_any(update.graph_id.as_deref()))
        .bind(time(update.expires_at))
        .bind(update.due_at.as_millis())
        .bind(i32::try_from(update.failures).unwrap_or(i32::MAX))
        .bind(text_if_any(update.last_error.as_deref()))
        .bind(time(update.renewed_at))
        .bind(update.attended.map(number))
        .bind(ask.map(|ask| ask.reason.as_str()))
        .bind(ask.map(|ask| ask.asked_at.as_millis()))
        .bind(ask.map(|ask| ask.due_at.as_millis()))
        .bind(ask.map(|ask| ask.deliver_existing))
        .bind(time(update.patched_at))
        .bind(text_if_any(update.notification_url.as_deref()))
        .bind(text_if_any(update.lifecycle_url.as_deref()))
        .bind(former_id(update.former.as_ref()))
        .bind(former_since(update.former.as_ref()))
        .fetch_optional(&mut *sql)
        .await?;
    if let Some((_, shard)) = changed {
        shared.hints.look();
        if ask.is_some() {
            shared.hints.reconcile(set(std::iter::once(shard)));
        }
        let to = update.events.iter().flat_map(|new| &new.deliveries);
        shared.hints.due(to.map(|delivery| delivery.webhook));
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
    Err(missing(update.id))
}

pub(super) fn missing(id: SubscriptionId) -> Undone {
    Undone::Refused(StoreError::Missing {
        what: format!("subscription {id}"),
    })
}

pub(super) async fn hasten_sent_elsewhere(
    sql: &mut PgConnection,
    integration: IntegrationId,
    notification_url: &str,
    due_at: Timestamp,
    limit: u32,
) -> Result<u64, Undone> {
    // In the order of their places, as nodes that start at the same time may do it too.
    let hastened = sqlx::query(
        "UPDATE subscriptions SET due_at = $1
         WHERE seq IN (SELECT seq FROM subscriptions
                       WHERE integration_id = $2 AND notification_url <> $3 AND due_at > $1
                       ORDER BY seq LIMIT $4 FOR UPDATE)",
    )
    .bind(due_at.as_millis())
    .bind(integration.to_string())
    .bind(notification_url)
    .bind(i64::from(limit))
    .execute(sql)
    .await?;
    Ok(hastened.rows_affected())
}

pub(super) async fn delete(
    shared: &Shared,
    sql: &mut PgConnection,
    id: SubscriptionId,
) -> Result<bool, Undone> {
    let noted = Noted::of(Changed::Subscription(id));
    let deleted = sqlx::query(noting!(
        "noted_down AS (INSERT INTO deleted_subscriptions (id, deleted_at)
             SELECT id, database_ms() FROM subscriptions WHERE id = $2 ON CONFLICT DO NOTHING),",
        "DELETE FROM subscriptions WHERE id = $2 RETURNING seq"
    ))
    .bind(noted.kind)
    .bind(&noted.id)
    .bind(&shared.node)
    .fetch_optional(&mut *sql)
    .await?;
    if deleted.is_none() {
        return Ok(false);
    }
    shared.hints.look();
    // Usually this is all of what is known; what is left goes later, so that nobody waits for a million rows.
    known_items::remove(sql, &noted.id).await?;
    completeness::forget_all(sql, &noted.id).await?;
    Ok(true)
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
        policy: columns.parsed_if_any()?,
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
        deliver_existing: columns.value()?,
        lifecycle: lifecycle(columns)?,
        patched_at: columns.time_if_any()?,
        notification_url: columns.value()?,
        lifecycle_url: columns.value()?,
        former: former(columns)?,
    })
}

fn former(columns: &mut Columns<'_>) -> Result<Option<Former>, Undone> {
    let graph_id: Option<String> = columns.value()?;
    let since = columns.time_if_any()?;
    Ok(graph_id
        .zip(since)
        .map(|(graph_id, since)| Former { graph_id, since }))
}

fn former_id(former: Option<&Former>) -> Option<Cow<'_, str>> {
    former.map(|former| text(&former.graph_id))
}

fn former_since(former: Option<&Former>) -> Option<i64> {
    former.map(|former| former.since.as_millis())
}

/// `None` unless there is something to see to: how many there were is kept all the same.
fn lifecycle(columns: &mut Columns<'_>) -> Result<Option<Lifecycle>, Undone> {
    let lifecycle = Lifecycle {
        reauthorize: columns.value()?,
        removed: columns.value()?,
        count: columns.number()?,
    };
    Ok((lifecycle.reauthorize || lifecycle.removed).then_some(lifecycle))
}

pub(super) fn client_state(row: &str) -> Place<'_> {
    Place {
        table: "subscriptions",
        column: "client_state",
        row,
    }
}
