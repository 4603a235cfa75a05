//! Subscriptions.

use rusqlite::{Connection, OptionalExtension as _, Result, params};
use tidings_domain::{
    Timestamp,
    ids::{Compact, ConnectionId, EnvironmentId, IntegrationId, SubscriptionId},
    notification::LifecycleEvent,
    page::{Listing, Page},
    resource::ResourceKind,
    subscription::{Former, Lifecycle, Subscription},
};

use super::{
    completeness, enrich, known_items,
    lists::{List, Scan},
    reconcile,
    row::{self, Columns, Text, Time},
    trouble,
    writer::{Tx, Undone},
};
use crate::{
    Lease, StoreError,
    record::{DueSubscription, LifecycleNote, SubscriptionUpdate},
    seal::{Place, Seal},
};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT seq, id, environment_id, integration_id, connection_id, policy_id, resource, kind, change_types, \
             state, \
             client_state, graph_id, expires_at, due_at, failures, last_error, created_at, renewed_at, \
             deliver_existing, lifecycle_reauthorize, lifecycle_removed, lifecycle_count, patched_at, \
             notification_url, lifecycle_url, former_graph_id, former_since \
             FROM subscriptions",
            $rest
        )
    };
}

/// `seen`: the pass of its policy that shows it, if one made it.
pub(super) fn create(tx: &Tx<'_>, subscription: &Subscription, seen: u64) -> Result<(), Undone> {
    let row = subscription.id.to_string();
    let lifecycle = subscription.lifecycle.unwrap_or_default();
    let inserted = tx
        .sql
        .prepare_cached(
            "INSERT INTO subscriptions (id, environment_id, integration_id, connection_id, policy_id,
                 policy_seen, resource, kind, change_types, state, client_state, graph_id, expires_at, due_at, failures, last_error, created_at,
                 renewed_at, deliver_existing, lifecycle_reauthorize, lifecycle_removed, lifecycle_count, patched_at,
                 notification_url, lifecycle_url, former_graph_id, former_since)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            subscription.id.to_bytes(),
            subscription.environment.to_bytes(),
            subscription.integration.to_bytes(),
            subscription.connection.to_bytes(),
            subscription.policy.map(Compact::to_bytes),
            row::number(seen),
            &subscription.resource,
            subscription.kind.as_str(),
            Text(subscription.change_types),
            subscription.state.as_str(),
            tx.seal
                .seal(client_state(&row), subscription.client_state.expose()),
            &subscription.graph_id,
            subscription.expires_at.map(Time),
            Time(subscription.due_at),
            subscription.failures,
            &subscription.last_error,
            Time(subscription.created_at),
            subscription.renewed_at.map(Time),
            subscription.deliver_existing,
            lifecycle.reauthorize,
            lifecycle.removed,
            row::number(lifecycle.count),
            subscription.patched_at.map(Time),
            &subscription.notification_url,
            &subscription.lifecycle_url,
            former_id(subscription.former.as_ref()),
            former_since(subscription.former.as_ref()),
        ]);
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
        inserted => Ok(inserted.map(|_| ())?),
    }
}

pub(super) fn one(
    sql: &Connection,
    seal: &Seal,
    id: SubscriptionId,
) -> Result<Option<Subscription>> {
    sql.prepare_cached(select!(" WHERE id = ?"))?
        .query_row([id.to_bytes()], |row| read_row(row, seal))
        .optional()
}

/// Reads the row at this place, secrets included, for the check.
pub(super) fn readable(sql: &Connection, seal: &Seal, seq: i64) -> Result<()> {
    sql.prepare_cached(select!(" WHERE seq = ?"))?
        .query_row([seq], |row| read_row(row, seal).map(|_| ()))
}

pub(super) fn list(
    sql: &Connection,
    seal: &Seal,
    environment: Option<EnvironmentId>,
    connection: Option<ConnectionId>,
    page: &Page,
    after: i64,
) -> Result<Listing<Subscription>> {
    let mut list = List::new(select!(""), "seq", Scan::Indexed);
    list.only_id("environment_id = ?", environment);
    list.only_id("connection_id = ?", connection);
    list.page(sql, page, after, |columns| read(columns, seal))
}

pub(super) fn due(
    sql: &Connection,
    seal: &Seal,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<DueSubscription>> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    // What is damaged takes no place: else enough of it would keep all others from being renewed.
    let mut statement = sql.prepare_cached(select!(" WHERE due_at <= ? ORDER BY due_at, seq"))?;
    let mut rows = statement.query([Time(now)])?;
    let mut due = Vec::new();
    while due.len() < limit {
        let Some(row) = rows.next()? else {
            break;
        };
        let read = row::unless_damaged(read_row(row, seal))?;
        due.extend(read.map(|subscription| DueSubscription {
            subscription,
            lease: Lease::of_the_only_node(),
        }));
    }
    Ok(due)
}

pub(super) fn next_due(sql: &Connection) -> Result<Option<Timestamp>> {
    sql.prepare_cached("SELECT min(due_at) FROM subscriptions")?
        .query_row([], |row| Columns::new(row).time_if_any())
}

pub(super) fn update(tx: &mut Tx<'_>, update: &SubscriptionUpdate) -> Result<(), Undone> {
    // ?9: up to which lifecycle notification it was seen to. Any after that keep it due.
    let changed = tx
        .sql
        .prepare_cached(
            "UPDATE subscriptions SET state = iif(state = 'deleting', state, ?1), graph_id = ?2, expires_at = ?3, failures = ?5, last_error = ?6,
                 renewed_at = ?7,
                 due_at = iif((lifecycle_count IS ?9 OR NOT (lifecycle_reauthorize OR lifecycle_removed))
                         AND (state <> 'deleting' OR ?1 = 'deleting'),
                     ?4, min(due_at, ?4)),
                 lifecycle_reauthorize = lifecycle_reauthorize AND lifecycle_count IS NOT ?9,
                 lifecycle_removed = lifecycle_removed AND lifecycle_count IS NOT ?9,
                 patched_at = ?10, notification_url = ?11, lifecycle_url = ?12, former_graph_id = ?13,
                 former_since = ?14
             WHERE id = ?8",
        )?
        .execute(params![
            update.state.as_str(),
            &update.graph_id,
            update.expires_at.map(Time),
            Time(update.due_at),
            update.failures,
            &update.last_error,
            update.renewed_at.map(Time),
            update.id.to_bytes(),
            update.attended.map(row::number),
            update.patched_at.map(Time),
            &update.notification_url,
            &update.lifecycle_url,
            former_id(update.former.as_ref()),
            former_since(update.former.as_ref()),
        ])?;
    if changed == 0 {
        return Err(missing(update.id));
    }
    if let Some(ask) = &update.reconcile {
        reconcile::begin(tx, update.id, ask)?;
    }
    enrich::tell(tx, &update.events)?;
    Ok(())
}

/// Notes what a lifecycle notification says, if its subscription still is there.
pub(super) fn note_lifecycle(tx: &Tx<'_>, note: &LifecycleNote) -> Result<()> {
    tx.sql
        .prepare_cached(
            "UPDATE subscriptions SET lifecycle_reauthorize = lifecycle_reauthorize OR ?1,
                 lifecycle_removed = lifecycle_removed OR ?2, lifecycle_count = lifecycle_count + 1,
                 due_at = min(due_at, ?3)
             WHERE id = ?4",
        )?
        .execute((
            note.event == LifecycleEvent::ReauthorizationRequired,
            note.event == LifecycleEvent::SubscriptionRemoved,
            Time(note.due_at),
            note.subscription.to_bytes(),
        ))?;
    Ok(())
}

pub(super) fn hasten_sent_elsewhere(
    tx: &Tx<'_>,
    integration: IntegrationId,
    notification_url: &str,
    due_at: Timestamp,
    limit: u32,
) -> Result<u64, Undone> {
    let hastened = tx
        .sql
        .prepare_cached(
            "UPDATE subscriptions SET due_at = ?1
             WHERE seq IN (SELECT seq FROM subscriptions
                           WHERE integration_id = ?2 AND notification_url <> ?3 AND due_at > ?1 LIMIT ?4)",
        )?
        .execute((
            Time(due_at),
            integration.to_bytes(),
            notification_url,
            limit,
        ))?;
    Ok(u64::try_from(hastened).unwrap_or(u64::MAX))
}

pub(super) fn missing(id: SubscriptionId) -> Undone {
    Undone::Refused(StoreError::Missing {
        what: format!("subscription {id}"),
    })
}

pub(super) fn delete(tx: &mut Tx<'_>, id: SubscriptionId) -> Result<bool, Undone> {
    let deleted = tx
        .sql
        .prepare_cached("DELETE FROM subscriptions WHERE id = ?")?
        .execute([id.to_bytes()])?;
    if deleted == 0 {
        return Ok(false);
    }
    known_items::forget_all(tx, id)?;
    completeness::forget_all(tx, id)?;
    Ok(true)
}

fn read_row(row: &rusqlite::Row<'_>, seal: &Seal) -> Result<Subscription> {
    let mut columns = Columns::new(row);
    columns.value::<i64>()?;
    read(&mut columns, seal)
}

fn read(columns: &mut Columns<'_>, seal: &Seal) -> Result<Subscription> {
    let id: SubscriptionId = columns.id()?;
    Ok(Subscription {
        id,
        environment: columns.id()?,
        integration: columns.id()?,
        connection: columns.id()?,
        policy: columns.id_if_any()?,
        resource: columns.value()?,
        kind: columns.word(ResourceKind::ALL, ResourceKind::as_str)?,
        change_types: columns.parsed()?,
        state: columns.parsed()?,
        client_state: columns.secret(seal, client_state(&id.to_string()))?,
        graph_id: columns.value()?,
        expires_at: columns.time_if_any()?,
        due_at: columns.time()?,
        failures: columns.value()?,
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

fn former(columns: &mut Columns<'_>) -> Result<Option<Former>> {
    let graph_id: Option<String> = columns.value()?;
    let since = columns.time_if_any()?;
    Ok(graph_id
        .zip(since)
        .map(|(graph_id, since)| Former { graph_id, since }))
}

fn former_id(former: Option<&Former>) -> Option<&str> {
    former.map(|former| former.graph_id.as_str())
}

fn former_since(former: Option<&Former>) -> Option<Time> {
    former.map(|former| Time(former.since))
}

/// `None` unless there is something to see to: how many there were is kept all the same.
fn lifecycle(columns: &mut Columns<'_>) -> Result<Option<Lifecycle>> {
    let lifecycle = Lifecycle {
        reauthorize: columns.value()?,
        removed: columns.value()?,
        count: columns.number()?,
    };
    Ok((lifecycle.reauthorize || lifecycle.removed).then_some(lifecycle))
}

fn client_state(row: &str) -> Place<'_> {
    Place {
        table: "subscriptions",
        column: "client_state",
        row,
    }
}
