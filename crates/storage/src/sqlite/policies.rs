//! Policies: wishes for subscriptions to many resources.

use rusqlite::{Connection, OptionalExtension as _, Result, params};
use tidings_domain::{
    ids::{Compact, ConnectionId, EnvironmentId, PolicyId},
    page::{Listing, Page},
    policy::Policy,
};

use super::{
    expansions,
    lists::{List, Scan},
    row::{Columns, Text, Time},
    trouble,
    writer::{Tx, Undone},
};
use crate::{StoreError, record::PolicyProgress};

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

pub(super) fn create(tx: &Tx<'_>, policy: &Policy) -> Result<(), Undone> {
    let connection = policy.connection.map(Compact::to_bytes);
    let same: Option<[u8; 16]> = tx
        .sql
        .prepare_cached(
            "SELECT id FROM policies WHERE integration_id = ?1 AND resource = ?2 AND change_types = ?3 AND NOT deleting
                 AND (connection_id IS NULL OR ?4 IS NULL OR connection_id = ?4) LIMIT 1",
        )?
        .query_row(
            (
                policy.integration.to_bytes(),
                &policy.resource,
                Text(policy.change_types),
                connection,
            ),
            |row| row.get(0),
        )
        .optional()?;
    if let Some(same) = same {
        return Err(Undone::Refused(StoreError::Conflict {
            what: format!(
                "policy {} for {} ({})",
                PolicyId::from_bytes(same),
                policy.resource,
                policy.change_types
            ),
        }));
    }
    let inserted = tx
        .sql
        .prepare_cached(
            "INSERT INTO policies (id, environment_id, integration_id, connection_id, resource, change_types,
                 deliver_existing, deleting, created_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            policy.id.to_bytes(),
            policy.environment.to_bytes(),
            policy.integration.to_bytes(),
            connection,
            &policy.resource,
            Text(policy.change_types),
            policy.deliver_existing,
            policy.deleting,
            Time(policy.created_at),
        ]);
    match inserted {
        Err(error) if trouble::is_reference(&error) => Err(Undone::Refused(StoreError::Missing {
            what: policy.connection.map_or_else(
                || format!("integration {}", policy.integration),
                |id| format!("connection {id}"),
            ),
        })),
        inserted => Ok(inserted.map(|_| ())?),
    }
}

pub(super) fn one(sql: &Connection, id: PolicyId) -> Result<Option<Policy>> {
    sql.prepare_cached(select!(" WHERE id = ?"))?
        .query_row([id.to_bytes()], |row| {
            let mut columns = Columns::new(row);
            columns.value::<i64>()?;
            read(&mut columns)
        })
        .optional()
}

pub(super) fn list(
    sql: &Connection,
    environment: Option<EnvironmentId>,
    page: &Page,
    after: i64,
) -> Result<Listing<Policy>> {
    let mut list = List::new(select!(""), "seq", Scan::Indexed);
    list.only_id("environment_id = ?", environment);
    list.page(sql, page, after, read)
}

pub(super) fn progress(sql: &Connection, id: PolicyId) -> Result<PolicyProgress> {
    let subscriptions = sql
        .prepare_cached(
            "SELECT connection_id, state, count(*) FROM subscriptions WHERE policy_id = ?
             GROUP BY connection_id, state ORDER BY connection_id, state",
        )?
        .query_map([id.to_bytes()], |row| {
            let mut columns = Columns::new(row);
            let connection: ConnectionId = columns.id()?;
            Ok((connection, columns.parsed()?, columns.number()?))
        })?
        .collect::<Result<_>>()?;
    let refusal = sql
        .prepare_cached(
            "SELECT last_error FROM subscriptions WHERE policy_id = ? AND last_error IS NOT NULL
             ORDER BY state = 'failed' DESC, seq DESC LIMIT 1",
        )?
        .query_row([id.to_bytes()], |row| row.get(0))
        .optional()?;
    Ok(PolicyProgress {
        expansions: expansions::of(sql, id)?,
        subscriptions,
        refusal,
    })
}

pub(super) fn delete(
    tx: &Tx<'_>,
    id: PolicyId,
    now: tidings_domain::Timestamp,
) -> Result<bool, Undone> {
    let marked = tx
        .sql
        .prepare_cached("UPDATE policies SET deleting = 1 WHERE id = ?")?
        .execute([id.to_bytes()])?;
    tx.sql
        .prepare_cached("UPDATE expansions SET due_at = ?2 WHERE policy_id = ?1 AND due_at > ?2")?
        .execute((id.to_bytes(), Time(now)))?;
    go_if_done(tx, id)?;
    Ok(marked > 0)
}

/// Removes a policy that is to go and of which nothing is left.
pub(super) fn go_if_done(tx: &Tx<'_>, id: PolicyId) -> Result<()> {
    tx.sql
        .prepare_cached(
            "DELETE FROM policies WHERE id = ?1 AND deleting
                 AND NOT EXISTS (SELECT 1 FROM expansions WHERE policy_id = ?1)",
        )?
        .execute([id.to_bytes()])?;
    Ok(())
}

pub(super) fn read(columns: &mut Columns<'_>) -> Result<Policy> {
    Ok(Policy {
        id: columns.id()?,
        environment: columns.id()?,
        integration: columns.id()?,
        connection: columns.id_if_any()?,
        resource: columns.value()?,
        change_types: columns.parsed()?,
        deliver_existing: columns.value()?,
        deleting: columns.value()?,
        created_at: columns.time()?,
    })
}
