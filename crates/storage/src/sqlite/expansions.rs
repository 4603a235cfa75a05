//! How far policies have come, and the subscriptions that they make and remove.

use rusqlite::{Connection, OptionalExtension as _, Result};
use tidings_domain::{
    Timestamp,
    ids::{Compact, ConnectionId, PolicyId},
    policy::Expansion,
};

use super::{
    policies,
    row::{self, Columns, Text, Time},
    subscriptions,
    writer::{Tx, Undone},
};
use crate::{
    Lease, StoreError,
    record::{DueExpansion, Expanded, ExpansionUpdate, Wish},
};

macro_rules! columns {
    () => {
        "e.policy_id, e.connection_id, e.due_at, e.enumeration, e.enumerating, e.link, e.checked_at, e.finished_at, \
         e.passed_over, e.failures, e.last_error"
    };
}

/// Those that there is something to do for.
const WORK: &str = "FROM expansions e JOIN policies p ON p.id = e.policy_id JOIN connections c ON c.id = e.connection_id
    WHERE (p.deleting OR c.intent = 'kept')";

pub(super) fn of(sql: &Connection, policy: PolicyId) -> Result<Vec<Expansion>> {
    sql.prepare_cached(concat!(
        "SELECT ",
        columns!(),
        " FROM expansions e WHERE policy_id = ? ORDER BY connection_id"
    ))?
    .query_map([policy.to_bytes()], |row| read(&mut Columns::new(row)))?
    .collect()
}

pub(super) fn make(tx: &Tx<'_>, now: Timestamp) -> Result<u64> {
    let made = tx
        .sql
        .prepare_cached(
            "INSERT INTO expansions (policy_id, connection_id, due_at, enumeration, enumerating, passed_over, failures)
             SELECT p.id, c.id, ?, 0, 0, 0, 0 FROM policies p JOIN connections c ON c.integration_id = p.integration_id
             WHERE NOT p.deleting AND c.intent = 'kept' AND (p.connection_id IS NULL OR p.connection_id = c.id)
                 AND NOT EXISTS (SELECT 1 FROM expansions e WHERE e.policy_id = p.id AND e.connection_id = c.id)",
        )?
        .execute([Time(now)])?;
    Ok(u64::try_from(made).unwrap_or(u64::MAX))
}

pub(super) fn due(sql: &Connection, now: Timestamp, limit: u32) -> Result<Vec<DueExpansion>> {
    let text = format!(
        "SELECT {}, p.id, p.environment_id, p.integration_id, p.connection_id, p.resource, p.change_types, p.deliver_existing, p.deleting,
             p.created_at {WORK} AND e.due_at <= ? ORDER BY e.due_at, e.seq LIMIT ?",
        columns!()
    );
    sql.prepare_cached(&text)?
        .query_map((Time(now), limit), |row| {
            let mut columns = Columns::new(row);
            Ok(DueExpansion {
                expansion: read(&mut columns)?,
                policy: policies::read(&mut columns)?,
                lease: Lease::of_the_only_node(),
            })
        })?
        .collect()
}

pub(super) fn next_due(sql: &Connection) -> Result<Option<Timestamp>> {
    sql.prepare_cached(&format!("SELECT min(e.due_at) {WORK}"))?
        .query_row([], |row| Columns::new(row).time_if_any())
}

pub(super) fn record(tx: &mut Tx<'_>, update: &ExpansionUpdate) -> Result<Expanded, Undone> {
    let expansion = &update.expansion;
    let wanted: bool = tx
        .sql
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM policies WHERE id = ? AND NOT deleting)")?
        .query_row([expansion.policy.to_bytes()], |row| row.get(0))?;
    if !wanted || !set(tx, expansion)? {
        return Err(Undone::Refused(StoreError::Missing {
            what: format!(
                "policy {} with connection {}",
                expansion.policy, expansion.connection
            ),
        }));
    }
    let mut expanded = Expanded::default();
    for wish in &update.wishes {
        wish_for(tx, wish, expansion, &mut expanded)?;
    }
    let mut statement = tx.sql.prepare_cached(
        "UPDATE subscriptions SET state = 'deleting', due_at = ?1, failures = 0
         WHERE connection_id = ?2 AND policy_id = ?3 AND resource = ?4 AND state <> 'deleting'",
    )?;
    for resource in &update.gone {
        statement.execute((
            Time(update.now),
            expansion.connection.to_bytes(),
            expansion.policy.to_bytes(),
            resource,
        ))?;
    }
    Ok(expanded)
}

fn set(tx: &Tx<'_>, expansion: &Expansion) -> Result<bool> {
    let changed = tx
        .sql
        .prepare_cached(
            "UPDATE expansions SET due_at = ?, enumeration = ?, enumerating = ?, link = ?, checked_at = ?,
                 finished_at = ?, passed_over = ?, failures = ?, last_error = ?
             WHERE policy_id = ? AND connection_id = ?",
        )?
        .execute((
            Time(expansion.due_at),
            row::number(expansion.enumeration),
            expansion.enumerating,
            &expansion.link,
            expansion.checked_at.map(Time),
            expansion.finished_at.map(Time),
            row::number(expansion.passed_over),
            expansion.failures,
            &expansion.last_error,
            expansion.policy.to_bytes(),
            expansion.connection.to_bytes(),
        ))?;
    Ok(changed > 0)
}

fn wish_for(
    tx: &mut Tx<'_>,
    wish: &Wish,
    expansion: &Expansion,
    expanded: &mut Expanded,
) -> Result<(), Undone> {
    let subscription = &wish.subscription;
    let mut statement = tx.sql.prepare_cached(
        "SELECT policy_id, state FROM subscriptions WHERE connection_id = ? AND resource = ? AND change_types = ?",
    )?;
    let mut find = |resource: &str| {
        let key = (
            subscription.connection.to_bytes(),
            resource,
            Text(subscription.change_types),
        );
        statement
            .query_row(key, |row| {
                let mut columns = Columns::new(row);
                Ok((columns.id_if_any::<PolicyId>()?, columns.value::<String>()?))
            })
            .optional()
    };
    if let Some((policy, state)) = find(&subscription.resource)? {
        if state == "deleting" {
            expanded.going += 1;
        } else if policy == Some(expansion.policy) {
            show(tx, wish, expansion)?;
        }
        return Ok(());
    }
    for alias in &wish.aliases {
        match find(alias)? {
            Some((_, state)) if state == "deleting" => {
                expanded.going += 1;
                return Ok(());
            }
            Some(_) => return Ok(()),
            None => {}
        }
    }
    subscriptions::create(tx, subscription, expansion.enumeration)?;
    expanded.made += 1;
    Ok(())
}

fn show(tx: &Tx<'_>, wish: &Wish, expansion: &Expansion) -> Result<()> {
    let subscription = &wish.subscription;
    tx.sql
        .prepare_cached(
            "UPDATE subscriptions SET policy_seen = ? WHERE connection_id = ? AND resource = ? AND change_types = ?",
        )?
        .execute((
            row::number(expansion.enumeration),
            subscription.connection.to_bytes(),
            &subscription.resource,
            Text(subscription.change_types),
        ))?;
    Ok(())
}

pub(super) fn retire(
    tx: &Tx<'_>,
    (policy, connection): (PolicyId, ConnectionId),
    enumeration: u64,
    now: Timestamp,
    limit: u32,
) -> Result<u64> {
    // What is to go belongs to nobody any more, so that the policy need not wait for Graph.
    let retired = tx
        .sql
        .prepare_cached(
            "UPDATE subscriptions SET state = 'deleting', due_at = min(due_at, ?1), failures = 0, policy_id = NULL
             WHERE seq IN (SELECT seq FROM subscriptions
                           WHERE policy_id = ?2 AND connection_id = ?3 AND policy_seen < ?4 LIMIT ?5)",
        )?
        .execute((
            Time(now),
            policy.to_bytes(),
            connection.to_bytes(),
            row::number(enumeration),
            limit,
        ))?;
    Ok(u64::try_from(retired).unwrap_or(u64::MAX))
}

pub(super) fn end(tx: &Tx<'_>, policy: PolicyId, connection: ConnectionId) -> Result<()> {
    tx.sql
        .prepare_cached(
            "DELETE FROM expansions WHERE policy_id = ?1 AND connection_id = ?2
                 AND EXISTS (SELECT 1 FROM policies WHERE id = ?1 AND deleting)
                 AND NOT EXISTS (SELECT 1 FROM subscriptions WHERE policy_id = ?1 AND connection_id = ?2)",
        )?
        .execute((policy.to_bytes(), connection.to_bytes()))?;
    policies::go_if_done(tx, policy)
}

fn read(columns: &mut Columns<'_>) -> Result<Expansion> {
    Ok(Expansion {
        policy: columns.id()?,
        connection: columns.id()?,
        due_at: columns.time()?,
        enumeration: columns.number()?,
        enumerating: columns.value()?,
        link: columns.value()?,
        checked_at: columns.time_if_any()?,
        finished_at: columns.time_if_any()?,
        passed_over: columns.number()?,
        failures: columns.value()?,
        last_error: columns.value()?,
    })
}
