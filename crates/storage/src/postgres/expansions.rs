//! How far policies have come, and the subscriptions that they make and remove.

use std::borrow::Cow;

use sqlx::{Connection as _, PgConnection};
use tidings_domain::{
    Timestamp,
    ids::{ConnectionId, PolicyId},
    policy::Expansion,
};

use super::{
    Shared,
    changes::{Noted, noting},
    enrich::fenced,
    policies,
    row::{self, Columns, number, text, text_if_any, time},
    subscriptions,
    trouble::{self, Undone},
};
use crate::{
    Changed, Lease, StoreError,
    record::{DueExpansion, Expanded, ExpansionUpdate},
};

macro_rules! columns {
    () => {
        "e.policy_id, e.connection_id, e.due_at, e.enumeration, e.enumerating, e.link, e.checked_at, e.finished_at, \
         e.passed_over, e.failures, e.last_error"
    };
}

/// Those that there is something to do for.
macro_rules! work {
    () => {
        "FROM expansions e JOIN policies p ON p.id = e.policy_id JOIN connections c ON c.id = e.connection_id
         WHERE (p.deleting OR c.intent = 'kept')"
    };
}

pub(super) async fn of(sql: &mut PgConnection, policy: PolicyId) -> Result<Vec<Expansion>, Undone> {
    let rows = sqlx::query(concat!(
        "SELECT ",
        columns!(),
        " FROM expansions e WHERE policy_id = $1 ORDER BY connection_id"
    ))
    .bind(policy.to_string())
    .fetch_all(sql)
    .await?;
    rows.iter()
        .map(|row| read(&mut Columns::new(row)))
        .collect()
}

pub(super) async fn make(sql: &mut PgConnection, now: Timestamp) -> Result<u64, Undone> {
    let made = sqlx::query(
        "INSERT INTO expansions (policy_id, connection_id, due_at, enumeration, enumerating, passed_over, failures, shard)
         SELECT p.id, c.id, $1, 0, false, 0, 0, c.shard
         FROM policies p JOIN connections c ON c.integration_id = p.integration_id
         WHERE NOT p.deleting AND c.intent = 'kept' AND (p.connection_id IS NULL OR p.connection_id = c.id)
             AND NOT EXISTS (SELECT 1 FROM expansions e WHERE e.policy_id = p.id AND e.connection_id = c.id)
         ON CONFLICT DO NOTHING",
    )
    .bind(now.as_millis())
    .execute(sql)
    .await;
    match made {
        // A policy or a connection went just now: the others are seen to the next time.
        Err(error) if trouble::is_reference(&error) => Ok(0),
        made => Ok(made?.rows_affected()),
    }
}

pub(super) async fn due(
    shared: &Shared,
    sql: &mut PgConnection,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<DueExpansion>, Undone> {
    let leases = shared.holdings.leases();
    let rows = sqlx::query(concat!(
        "SELECT ",
        columns!(),
        ", p.id, p.environment_id, p.integration_id, p.connection_id, p.resource, p.change_types, p.deliver_existing, p.deleting,
             p.created_at, e.shard ",
        work!(),
        " AND e.due_at <= $1 AND e.shard = ANY($2) ORDER BY e.due_at, e.seq LIMIT $3"
    ))
    .bind(now.as_millis())
    .bind(row::shards(&leases))
    .bind(i64::from(limit))
    .fetch_all(sql)
    .await?;
    let mut due = Vec::new();
    for row in &rows {
        let mut columns = Columns::new(row);
        let (expansion, policy) = (read(&mut columns)?, policies::read(&mut columns)?);
        let shard: i16 = columns.value()?;
        let lease = leases
            .iter()
            .find(|lease| i16::from(lease.shard().get()) == shard);
        due.extend(lease.map(|&lease| DueExpansion {
            policy,
            expansion,
            lease,
        }));
    }
    Ok(due)
}

pub(super) async fn next_due(
    shared: &Shared,
    sql: &mut PgConnection,
) -> Result<Option<Timestamp>, Undone> {
    let (due_at,): (Option<i64>,) = sqlx::query_as(concat!(
        "SELECT min(e.due_at) ",
        work!(),
        " AND e.shard = ANY($1)"
    ))
    .bind(row::shards(&shared.holdings.leases()))
    .fetch_one(sql)
    .await?;
    Ok(due_at.map(Timestamp::from_millis))
}

/// Refuses what was worked on under a lease that is none any more, and keeps the shard where it is until the commit.
pub(super) async fn fence(
    shared: &Shared,
    sql: &mut PgConnection,
    lease: Lease,
) -> Result<(), Undone> {
    let held = sqlx::query(
        "SELECT 1 FROM shards WHERE shard = $1 AND epoch = $2 AND node = $3 FOR KEY SHARE",
    )
    .bind(i16::from(lease.shard().get()))
    .bind(lease.epoch())
    .bind(&shared.node)
    .fetch_optional(sql)
    .await?;
    match held {
        Some(_) => Ok(()),
        None => Err(fenced(lease.shard())),
    }
}

/// Tells the other nodes that there are subscriptions to be seen to: as a change of the integration, once for all of them.
pub(super) async fn tell(
    shared: &Shared,
    sql: &mut PgConnection,
    connection: &str,
) -> Result<(), Undone> {
    let integration: Option<(String,)> =
        sqlx::query_as("SELECT integration_id FROM connections WHERE id = $1")
            .bind(connection)
            .fetch_optional(&mut *sql)
            .await?;
    let id = integration.and_then(|(id,)| id.parse().ok());
    let Some(id) = id else {
        return Ok(());
    };
    let noted = Noted::of(Changed::Integration(id));
    sqlx::query(noting!("SELECT seq FROM integrations WHERE id = $2 AND $4"))
        .bind(noted.kind)
        .bind(noted.id)
        .bind(&shared.node)
        .bind(true)
        .execute(sql)
        .await?;
    Ok(())
}

pub(super) async fn record(
    shared: &Shared,
    sql: &mut PgConnection,
    update: &ExpansionUpdate,
    lease: Lease,
) -> Result<Expanded, Undone> {
    let expansion = &update.expansion;
    let connection = expansion.connection.to_string();
    let mut transaction = sql.begin().await?;
    fence(shared, &mut transaction, lease).await?;
    // Whoever marks the policy as one that is to go waits until the rows are there that have to go with it.
    let wanted = sqlx::query("SELECT 1 FROM policies WHERE id = $1 AND NOT deleting FOR SHARE")
        .bind(expansion.policy.to_string())
        .fetch_optional(&mut *transaction)
        .await?;
    if wanted.is_none() || !set(&mut transaction, expansion).await? {
        return Err(Undone::Refused(StoreError::Missing {
            what: format!(
                "policy {} with connection {}",
                expansion.policy, expansion.connection
            ),
        }));
    }
    let expanded = wish_for(shared, &mut transaction, update).await?;
    let gone: Vec<Cow<'_, str>> = update.gone.iter().map(|resource| text(resource)).collect();
    let removed = if gone.is_empty() {
        0
    } else {
        sqlx::query(
            "UPDATE subscriptions SET state = 'deleting', due_at = $1, failures = 0
             WHERE seq IN (SELECT seq FROM subscriptions
                           WHERE connection_id = $2 AND policy_id = $3 AND resource = ANY($4) AND state <> 'deleting'
                           ORDER BY seq FOR UPDATE)",
        )
        .bind(update.now.as_millis())
        .bind(&connection)
        .bind(expansion.policy.to_string())
        .bind(gone)
        .execute(&mut *transaction)
        .await?
        .rows_affected()
    };
    let told = expanded.made + removed > 0;
    if told {
        tell(shared, &mut transaction, &connection).await?;
    }
    transaction.commit().await?;
    if told {
        shared.hints.look();
    }
    Ok(expanded)
}

async fn set(sql: &mut PgConnection, expansion: &Expansion) -> Result<bool, Undone> {
    let changed = sqlx::query(
        "UPDATE expansions SET due_at = $1, enumeration = $2, enumerating = $3, link = $4, checked_at = $5,
             finished_at = $6, passed_over = $7, failures = $8, last_error = $9
         WHERE policy_id = $10 AND connection_id = $11",
    )
    .bind(expansion.due_at.as_millis())
    .bind(number(expansion.enumeration))
    .bind(expansion.enumerating)
    .bind(text_if_any(expansion.link.as_deref()))
    .bind(time(expansion.checked_at))
    .bind(time(expansion.finished_at))
    .bind(number(expansion.passed_over))
    .bind(i32::try_from(expansion.failures).unwrap_or(i32::MAX))
    .bind(text_if_any(expansion.last_error.as_deref()))
    .bind(expansion.policy.to_string())
    .bind(expansion.connection.to_string())
    .execute(sql)
    .await?;
    Ok(changed.rows_affected() > 0)
}

/// `$1` … `$4` connection, policy, changes, pass; `$5` … each wish, `$11` … the aliases of the wish at a place; `$13` …
/// what all wishes have in common.
const WISH: &str = "WITH wished AS MATERIALIZED (
         SELECT * FROM unnest($5::text[], $6::text[], $7::bytea[], $8::smallint[], $9::text[])
             WITH ORDINALITY AS w(id, resource, client_state, shard, kind, place)
         WHERE NOT EXISTS (
             SELECT 1 FROM unnest($10::bigint[], $11::text[]) AS a(place, resource)
                 JOIN subscriptions s ON s.connection_id = $1 AND s.resource = a.resource AND s.change_types = $3
             WHERE a.place = w.place)),
     made AS (
         INSERT INTO subscriptions AS s (id, environment_id, integration_id, connection_id, policy_id, policy_seen,
             resource, kind, change_types, state, client_state, due_at, failures, created_at, deliver_existing,
             lifecycle_reauthorize, lifecycle_removed, lifecycle_count, shard)
         SELECT w.id, $12, $13, $1, $2, $4, w.resource, w.kind, $3, 'pending', w.client_state, $14, 0, $15, $16, false,
             false, 0, w.shard
         FROM wished w ORDER BY w.resource
         ON CONFLICT (connection_id, resource, change_types) DO UPDATE SET policy_seen = excluded.policy_seen
             WHERE s.policy_id = excluded.policy_id AND s.state <> 'deleting'
         RETURNING s.xmax = 0 AS new)
     SELECT count(*) FROM made WHERE new";

async fn wish_for(
    shared: &Shared,
    sql: &mut PgConnection,
    update: &ExpansionUpdate,
) -> Result<Expanded, Undone> {
    let Some(first) = update.wishes.first().map(|wish| &wish.subscription) else {
        return Ok(Expanded::default());
    };
    let (mut ids, mut resources, mut states) = (Vec::new(), Vec::new(), Vec::new());
    let (mut shards, mut kinds) = (Vec::new(), Vec::new());
    let (mut places, mut aliases) = (Vec::new(), Vec::new());
    for (place, wish) in (1_i64..).zip(&update.wishes) {
        let subscription = &wish.subscription;
        let id = subscription.id.to_string();
        let place_of_secret = subscriptions::client_state(&id);
        states.push(
            shared
                .seal
                .seal(place_of_secret, subscription.client_state.expose()),
        );
        ids.push(id);
        resources.push(text(&subscription.resource));
        shards.push(i16::from(wish.shard.get()));
        kinds.push(subscription.kind.as_str());
        for alias in &wish.aliases {
            places.push(place);
            aliases.push(text(alias));
        }
    }
    let (connection, changes) = (first.connection.to_string(), first.change_types.to_string());
    let (made,): (i64,) = sqlx::query_as(WISH)
        .bind(&connection)
        .bind(update.expansion.policy.to_string())
        .bind(&changes)
        .bind(number(update.expansion.enumeration))
        .bind(ids)
        .bind(&resources)
        .bind(states)
        .bind(shards)
        .bind(kinds)
        .bind(places)
        .bind(&aliases)
        .bind(first.environment.to_string())
        .bind(first.integration.to_string())
        .bind(first.due_at.as_millis())
        .bind(first.created_at.as_millis())
        .bind(first.deliver_existing)
        .fetch_one(&mut *sql)
        .await
        .map_err(|error| gone_meanwhile(error, update))?;
    resources.extend(aliases);
    let (going,): (i64,) = sqlx::query_as(
        "SELECT count(*) FROM subscriptions
         WHERE connection_id = $1 AND change_types = $2 AND resource = ANY($3) AND state = 'deleting'",
    )
    .bind(&connection)
    .bind(&changes)
    .bind(resources)
    .fetch_one(sql)
    .await?;
    Ok(Expanded {
        made: u64::try_from(made).unwrap_or(0),
        going: u64::try_from(going).unwrap_or(0),
    })
}

fn gone_meanwhile(error: sqlx::Error, update: &ExpansionUpdate) -> Undone {
    if trouble::is_reference(&error) {
        return Undone::Refused(StoreError::Missing {
            what: format!("connection {}", update.expansion.connection),
        });
    }
    error.into()
}

pub(super) async fn retire(
    shared: &Shared,
    sql: &mut PgConnection,
    (policy, connection): (PolicyId, ConnectionId),
    enumeration: u64,
    now: Timestamp,
    limit: u32,
    lease: Lease,
) -> Result<u64, Undone> {
    let connection = connection.to_string();
    let mut transaction = sql.begin().await?;
    fence(shared, &mut transaction, lease).await?;
    // What is to go belongs to nobody any more, so that the policy need not wait for Graph.
    let retired = sqlx::query(
        "UPDATE subscriptions SET state = 'deleting', due_at = least(due_at, $1), failures = 0, policy_id = NULL
         WHERE seq IN (SELECT seq FROM subscriptions
                       WHERE policy_id = $2 AND connection_id = $3 AND policy_seen < $4
                       ORDER BY seq LIMIT $5 FOR UPDATE)",
    )
    .bind(now.as_millis())
    .bind(policy.to_string())
    .bind(&connection)
    .bind(number(enumeration))
    .bind(i64::from(limit))
    .execute(&mut *transaction)
    .await?
    .rows_affected();
    if retired > 0 {
        tell(shared, &mut transaction, &connection).await?;
    }
    transaction.commit().await?;
    if retired > 0 {
        shared.hints.look();
    }
    Ok(retired)
}

pub(super) async fn end(
    shared: &Shared,
    sql: &mut PgConnection,
    policy: PolicyId,
    connection: ConnectionId,
    lease: Lease,
) -> Result<(), Undone> {
    let mut transaction = sql.begin().await?;
    fence(shared, &mut transaction, lease).await?;
    sqlx::query(
        "DELETE FROM expansions WHERE policy_id = $1 AND connection_id = $2
             AND EXISTS (SELECT 1 FROM policies WHERE id = $1 AND deleting)
             AND NOT EXISTS (SELECT 1 FROM subscriptions WHERE policy_id = $1 AND connection_id = $2)",
    )
    .bind(policy.to_string())
    .bind(connection.to_string())
    .execute(&mut *transaction)
    .await?;
    policies::go_if_done(&mut transaction, policy).await?;
    Ok(transaction.commit().await?)
}

fn read(columns: &mut Columns<'_>) -> Result<Expansion, Undone> {
    Ok(Expansion {
        policy: columns.parsed()?,
        connection: columns.parsed()?,
        due_at: columns.time()?,
        enumeration: columns.number()?,
        enumerating: columns.value()?,
        link: columns.value()?,
        checked_at: columns.time_if_any()?,
        finished_at: columns.time_if_any()?,
        passed_over: columns.number()?,
        failures: columns.count()?,
        last_error: columns.value()?,
    })
}
