//! What reconcile reads and writes.

use futures_util::TryStreamExt as _;
use sqlx::{PgConnection, Row as _, postgres::PgRow};
use tidings_domain::{
    Timestamp,
    ids::SubscriptionId,
    reconcile::{Reconcile, ReconcileScope, Silence},
    shard::{Shard, ShardSet},
};

use super::{
    Shared,
    enrich::fenced,
    row::{self, Columns, number, text_if_any, time},
    subscriptions::missing,
    trouble::Undone,
};
use crate::{
    Lease, StoreError,
    record::{AskReconcile, DueReconcile, ReconcileUpdate, SubscriptionFilter},
};

macro_rules! columns {
    () => {
        "r.seq, r.subscription_id, r.due_at, r.reason, r.asked_at, r.deliver_existing, r.started_at, r.finished_at, \
         r.finds, r.failures, r.last_error, r.silent_since, r.silence_told, r.patience, r.shard"
    };
}

/// The first few of each shard, by its part of the index, then of all.
const DUE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM unnest($2::smallint[]) AS w(shard) CROSS JOIN LATERAL (
         SELECT * FROM reconciles r WHERE r.shard = w.shard AND r.due_at <= $1 AND (r.due_at, r.seq) > ($4, $5)
             AND NOT EXISTS (SELECT 1 FROM subscriptions s WHERE s.id = r.subscription_id AND s.state = 'disabled')
         ORDER BY r.due_at, r.seq LIMIT $3) r
     ORDER BY r.due_at, r.seq LIMIT $3"
);

pub(super) async fn due(
    shared: &Shared,
    sql: &mut PgConnection,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<DueReconcile>, Undone> {
    let leases = shared.holdings.leases();
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut due = Vec::new();
    let mut after = (i64::MIN, i64::MIN);
    // What is damaged takes no place, as with subscriptions.
    while due.len() < limit {
        let room = limit - due.len();
        let rows = sqlx::query(DUE)
            .bind(now.as_millis())
            .bind(numbers(&leases))
            .bind(i64::try_from(room).unwrap_or(i64::MAX))
            .bind(after.0)
            .bind(after.1)
            .fetch_all(&mut *sql)
            .await?;
        for row in &rows {
            due.extend(row::unless_damaged(read_due(row, &leases))?.flatten());
        }
        let Some(last) = rows.last().filter(|_| rows.len() == room) else {
            break;
        };
        after = (last.try_get("due_at")?, last.try_get("seq")?);
    }
    Ok(due)
}

/// Reads a row; `None` if its shard is none of `leases`.
fn read_due(row: &PgRow, leases: &[Lease]) -> Result<Option<DueReconcile>, Undone> {
    let reconcile = read(row)?;
    let shard: i16 = row.try_get("shard")?;
    let lease = leases
        .iter()
        .find(|lease| i16::from(lease.shard().get()) == shard);
    Ok(lease.map(|&lease| DueReconcile { reconcile, lease }))
}

pub(super) async fn next_due(
    shared: &Shared,
    sql: &mut PgConnection,
) -> Result<Option<Timestamp>, Undone> {
    let (due_at,): (Option<i64>,) = sqlx::query_as(
        "SELECT min(r.due_at) FROM unnest($1::smallint[]) AS w(shard) CROSS JOIN LATERAL (
             SELECT due_at FROM reconciles r WHERE r.shard = w.shard ORDER BY r.due_at, r.seq LIMIT 1) r",
    )
    .bind(numbers(&shared.holdings.leases()))
    .fetch_one(sql)
    .await?;
    Ok(due_at.map(Timestamp::from_millis))
}

pub(super) async fn one(
    sql: &mut PgConnection,
    id: SubscriptionId,
) -> Result<Option<Reconcile>, Undone> {
    let row = sqlx::query(concat!(
        "SELECT ",
        columns!(),
        " FROM reconciles r WHERE subscription_id = $1"
    ))
    .bind(id.to_string())
    .fetch_optional(sql)
    .await?;
    row.as_ref().map(read).transpose()
}

/// Those of held shards behind a subscription, in the order of the subscriptions.
pub(super) async fn behind(
    shared: &Shared,
    sql: &mut PgConnection,
    after: Option<SubscriptionId>,
    limit: u32,
) -> Result<Vec<Reconcile>, Undone> {
    let rows = sqlx::query(concat!(
        "SELECT ",
        columns!(),
        " FROM reconciles r WHERE r.subscription_id > $1 AND r.shard = ANY($2) ORDER BY r.subscription_id LIMIT $3"
    ))
    .bind(after.map_or_else(String::new, |id| id.to_string()))
    .bind(numbers(&shared.holdings.leases()))
    .bind(i64::from(limit))
    .fetch_all(sql)
    .await?;
    rows.iter().map(read).collect()
}

/// What keeps rows from being read, for the check.
pub(super) async fn unreadable(sql: &mut PgConnection) -> Result<Vec<StoreError>, Undone> {
    let mut found = Vec::new();
    let mut rows = sqlx::query(concat!(
        "SELECT ",
        columns!(),
        " FROM reconciles r ORDER BY r.seq"
    ))
    .fetch(sql);
    while let Some(row) = rows.try_next().await? {
        found.extend(read(&row).err().map(StoreError::from));
    }
    Ok(found)
}

/// Those of these subscriptions that are reconciled at all.
pub(super) async fn meant(
    sql: &mut PgConnection,
    which: SubscriptionFilter,
) -> Result<Vec<String>, Undone> {
    let (query, id) = match which {
        SubscriptionFilter::All => ("SELECT subscription_id FROM reconciles", None),
        SubscriptionFilter::Connection(id) => (
            "SELECT r.subscription_id FROM subscriptions s JOIN reconciles r ON r.subscription_id = s.id
             WHERE s.connection_id = $1",
            Some(id.to_string()),
        ),
        SubscriptionFilter::Environment(id) => (
            "SELECT r.subscription_id FROM subscriptions s JOIN reconciles r ON r.subscription_id = s.id
             WHERE s.environment_id = $1",
            Some(id.to_string()),
        ),
        SubscriptionFilter::Integration(id) => (
            "SELECT r.subscription_id FROM subscriptions s JOIN reconciles r ON r.subscription_id = s.id
             WHERE s.integration_id = $1",
            Some(id.to_string()),
        ),
        SubscriptionFilter::One(id) => (
            "SELECT subscription_id FROM reconciles WHERE subscription_id = $1",
            Some(id.to_string()),
        ),
    };
    let query = sqlx::query_as(query);
    let rows: Vec<(String,)> = match id {
        Some(id) => query.bind(id).fetch_all(sql).await?,
        None => query.fetch_all(sql).await?,
    };
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// What a wish changes of a row `r`, where `w` is the wish.
macro_rules! asking {
    ($w:literal) => {
        concat!(
            "due_at = least(r.due_at, ",
            $w,
            ".due_at), asked_at = greatest(r.asked_at, ",
            $w,
            ".asked_at),
                 reason = ",
            $w,
            ".reason,
                 deliver_existing = r.deliver_existing OR (",
            $w,
            ".deliver_existing AND r.finished_at IS NULL)"
        )
    };
}
pub(super) use asking;

/// Has these subscriptions reconciled, and says how many still are.
pub(super) async fn ask(
    shared: &Shared,
    sql: &mut PgConnection,
    these: &[String],
    ask: &AskReconcile,
) -> Result<u64, Undone> {
    let shards: Vec<(i16,)> = sqlx::query_as(concat!(
        "WITH meant AS MATERIALIZED (
             SELECT r.seq FROM reconciles r WHERE subscription_id = ANY($1) ORDER BY r.subscription_id FOR UPDATE)
         UPDATE reconciles r SET ",
        asking!("w"),
        " FROM meant m, (SELECT $2::bigint AS due_at, $3::bigint AS asked_at, $4::text AS reason,
                 $5::boolean AS deliver_existing) w
         WHERE r.seq = m.seq RETURNING r.shard"
    ))
    .bind(these)
    .bind(ask.due_at.as_millis())
    .bind(ask.asked_at.as_millis())
    .bind(ask.reason.as_str())
    .bind(ask.deliver_existing)
    .fetch_all(sql)
    .await?;
    shared
        .hints
        .reconcile(set(shards.iter().map(|(shard,)| *shard)));
    Ok(shards.len() as u64)
}

/// The shards with these numbers.
pub(super) fn set(numbers: impl Iterator<Item = i16>) -> ShardSet {
    numbers
        .filter_map(|number| Shard::try_from(u8::try_from(number).ok()?).ok())
        .collect()
}

const UPDATE: &str = "WITH leased AS MATERIALIZED (
         SELECT 1 FROM shards WHERE shard = $1 AND epoch = $2 AND node = $3 FOR KEY SHARE),
     done AS (
         UPDATE reconciles SET due_at = CASE WHEN asked_at > $6 THEN least(due_at, $5) ELSE $5 END, started_at = $7,
             finished_at = $8, finds = $9, failures = $10, last_error = $11
         WHERE subscription_id = $4 AND EXISTS (SELECT 1 FROM leased) RETURNING subscription_id),
     gone AS (
         DELETE FROM reconcile_scopes s USING done d
         WHERE s.subscription_id = d.subscription_id AND s.name = ANY($12))
     SELECT EXISTS (SELECT 1 FROM done), EXISTS (SELECT 1 FROM leased)";

pub(super) async fn update(
    shared: &Shared,
    sql: &mut PgConnection,
    update: &ReconcileUpdate,
    lease: Lease,
) -> Result<(), Undone> {
    let gone = update.gone_scopes.iter().map(|name| row::text(name));
    let (done, leased): (bool, bool) = sqlx::query_as(UPDATE)
        .bind(i16::from(lease.shard().get()))
        .bind(lease.epoch())
        .bind(&shared.node)
        .bind(update.subscription.to_string())
        .bind(update.due_at.as_millis())
        .bind(time(update.answers))
        .bind(time(update.started_at))
        .bind(time(update.finished_at))
        .bind(number(update.finds))
        .bind(i32::try_from(update.failures).unwrap_or(i32::MAX))
        .bind(text_if_any(update.last_error.as_deref()))
        .bind(gone.collect::<Vec<_>>())
        .fetch_one(sql)
        .await?;
    match (done, leased) {
        (true, _) => Ok(()),
        (false, true) => Err(missing(update.subscription)),
        (false, false) => Err(fenced(lease.shard())),
    }
}

pub(super) async fn scopes(
    sql: &mut PgConnection,
    id: SubscriptionId,
) -> Result<Vec<ReconcileScope>, Undone> {
    let rows = sqlx::query(
        "SELECT name, link, enumeration, enumerating, window_from, window_to FROM reconcile_scopes
         WHERE subscription_id = $1 ORDER BY name",
    )
    .bind(id.to_string())
    .fetch_all(sql)
    .await?;
    rows.iter()
        .map(|row| {
            let mut columns = Columns::new(row);
            Ok(ReconcileScope {
                name: columns.value()?,
                link: columns.value()?,
                enumeration: columns.number()?,
                enumerating: columns.value()?,
                window: columns.time_if_any()?.zip(columns.time_if_any()?),
            })
        })
        .collect()
}

fn numbers(leases: &[Lease]) -> Vec<i16> {
    leases
        .iter()
        .map(|lease| i16::from(lease.shard().get()))
        .collect()
}

fn silence(columns: &mut Columns<'_>) -> Result<Option<Silence>, Undone> {
    let (since, told) = (columns.time_if_any()?, columns.value()?);
    Ok(since.map(|since| Silence { since, told }))
}

fn read(row: &PgRow) -> Result<Reconcile, Undone> {
    let mut columns = Columns::new(row);
    columns.skip();
    Ok(Reconcile {
        subscription: columns.parsed()?,
        due_at: columns.time()?,
        reason: columns.parsed()?,
        asked_at: columns.time()?,
        deliver_existing: columns.value()?,
        started_at: columns.time_if_any()?,
        finished_at: columns.time_if_any()?,
        finds: columns.number()?,
        failures: columns.count()?,
        last_error: columns.value()?,
        silence: silence(&mut columns)?,
        patience: columns.count()?,
    })
}
