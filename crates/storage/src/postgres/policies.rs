//! Policies: wishes for subscriptions to many resources.

use sqlx::PgConnection;
use tidings_domain::{
    Timestamp,
    ids::{EnvironmentId, PolicyId},
    page::{Listing, Page},
    policy::Policy,
};

use super::{
    Shared,
    changes::{Noted, noting},
    expansions,
    lists::{List, Scan},
    row::{Columns, shown, text},
    trouble::{self, Undone},
};
use crate::{Changed, StoreError, record::PolicyProgress};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT seq, id, environment_id, integration_id, connection_id, resource, change_types, \
             deliver_existing, deleting, created_at \
             FROM policies",
            $rest
        )
    };
}

pub(super) async fn create(
    shared: &Shared,
    sql: &mut PgConnection,
    policy: &Policy,
) -> Result<(), Undone> {
    let same: Option<(String,)> = sqlx::query_as(
        "SELECT id FROM policies WHERE integration_id = $1 AND resource = $2 AND change_types = $3 AND NOT deleting
             AND (connection_id IS NULL OR $4 IS NULL OR connection_id = $4) LIMIT 1",
    )
    .bind(policy.integration.to_string())
    .bind(text(&policy.resource))
    .bind(policy.change_types.to_string())
    .bind(shown(policy.connection))
    .fetch_optional(&mut *sql)
    .await?;
    if let Some((same,)) = same {
        return Err(Undone::Refused(StoreError::Conflict {
            what: format!(
                "policy {same} for {} ({})",
                policy.resource, policy.change_types
            ),
        }));
    }
    // The other nodes hear of it as of a change of its integration: they have nothing of it in memory.
    let noted = Noted::of(Changed::Integration(policy.integration));
    let inserted = sqlx::query(noting!(
        "INSERT INTO policies (id, environment_id, integration_id, connection_id, resource, change_types,
             deliver_existing, deleting, created_at)
         VALUES ($4, $5, $2, $6, $7, $8, $9, $10, $11) RETURNING seq"
    ))
    .bind(noted.kind)
    .bind(noted.id)
    .bind(&shared.node)
    .bind(policy.id.to_string())
    .bind(policy.environment.to_string())
    .bind(shown(policy.connection))
    .bind(text(&policy.resource))
    .bind(policy.change_types.to_string())
    .bind(policy.deliver_existing)
    .bind(policy.deleting)
    .bind(policy.created_at.as_millis())
    .execute(sql)
    .await;
    match inserted {
        Err(error) if trouble::is_reference(&error) => Err(Undone::Refused(StoreError::Missing {
            what: policy.connection.map_or_else(
                || format!("integration {}", policy.integration),
                |id| format!("connection {id}"),
            ),
        })),
        inserted => {
            inserted?;
            shared.hints.look();
            Ok(())
        }
    }
}

pub(super) async fn one(sql: &mut PgConnection, id: PolicyId) -> Result<Option<Policy>, Undone> {
    let row = sqlx::query(select!(" WHERE id = $1"))
        .bind(id.to_string())
        .fetch_optional(sql)
        .await?;
    row.map(|row| {
        let mut columns = Columns::new(&row);
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
) -> Result<Listing<Policy>, Undone> {
    let mut list = List::new(select!(""), "seq", Scan::Indexed);
    list.only("environment_id = ?", environment);
    list.page(sql, page, after, read).await
}

pub(super) async fn progress(
    sql: &mut PgConnection,
    id: PolicyId,
) -> Result<PolicyProgress, Undone> {
    let rows = sqlx::query(
        "SELECT connection_id, state, count(*) FROM subscriptions WHERE policy_id = $1
         GROUP BY connection_id, state ORDER BY connection_id, state",
    )
    .bind(id.to_string())
    .fetch_all(&mut *sql)
    .await?;
    let mut subscriptions = Vec::new();
    for row in &rows {
        let mut columns = Columns::new(row);
        subscriptions.push((columns.parsed()?, columns.parsed()?, columns.number()?));
    }
    let refusal: Option<(String,)> = sqlx::query_as(
        "SELECT last_error FROM subscriptions WHERE policy_id = $1 AND last_error IS NOT NULL
         ORDER BY state = 'failed' DESC, seq DESC LIMIT 1",
    )
    .bind(id.to_string())
    .fetch_optional(&mut *sql)
    .await?;
    Ok(PolicyProgress {
        expansions: expansions::of(sql, id).await?,
        subscriptions,
        refusal: refusal.map(|(text,)| text),
    })
}

pub(super) async fn delete(
    shared: &Shared,
    sql: &mut PgConnection,
    id: PolicyId,
    now: Timestamp,
) -> Result<bool, Undone> {
    let Some(policy) = one(sql, id).await? else {
        return Ok(false);
    };
    let noted = Noted::of(Changed::Integration(policy.integration));
    let marked = sqlx::query(noting!(
        "hastened AS (UPDATE expansions SET due_at = least(due_at, $5) WHERE policy_id = $4),",
        "UPDATE policies SET deleting = true WHERE id = $4 RETURNING seq"
    ))
    .bind(noted.kind)
    .bind(noted.id)
    .bind(&shared.node)
    .bind(id.to_string())
    .bind(now.as_millis())
    .fetch_optional(&mut *sql)
    .await?;
    shared.hints.look();
    go_if_done(sql, id).await?;
    Ok(marked.is_some())
}

/// Removes a policy that is to go and of which nothing is left.
pub(super) async fn go_if_done(sql: &mut PgConnection, id: PolicyId) -> Result<(), Undone> {
    sqlx::query(
        "DELETE FROM policies WHERE id = $1 AND deleting
             AND NOT EXISTS (SELECT 1 FROM expansions WHERE policy_id = $1)",
    )
    .bind(id.to_string())
    .execute(sql)
    .await?;
    Ok(())
}

pub(super) fn read(columns: &mut Columns<'_>) -> Result<Policy, Undone> {
    Ok(Policy {
        id: columns.parsed()?,
        environment: columns.parsed()?,
        integration: columns.parsed()?,
        connection: columns.parsed_if_any()?,
        resource: columns.value()?,
        change_types: columns.parsed()?,
        deliver_existing: columns.value()?,
        deleting: columns.value()?,
        created_at: columns.time()?,
    })
}
