//! Webhooks.

use rusqlite::{Connection, OptionalExtension as _, Result};
use tidings_domain::{
    ids::{Compact, EnvironmentId, WebhookId},
    page::{Listing, Page},
    trigger::Trigger,
    webhook::{DisabledReason, Webhook, WebhookState, WebhookUrl},
};

use super::{
    lists::{List, Scan},
    row::{self, Columns, Time, unreadable},
    tries, trouble,
    writer::{Tx, Undone},
};
use crate::{
    StoreError,
    record::WebhookChange,
    seal::{Place, Seal},
};

const REASONS: &[DisabledReason] = &[
    DisabledReason::Failing,
    DisabledReason::Gone,
    DisabledReason::Operator,
];

/// How many deliveries of a removed webhook go in one transaction: some milliseconds.
const SLICE: u32 = 1_000;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT seq, id, environment_id, url, description, triggers, connections, secret, disabled_reason, \
             disabled_since, failing_since, created_at \
             FROM webhooks",
            $rest
        )
    };
}

pub(super) fn create(tx: &Tx<'_>, webhook: &Webhook) -> Result<(), Undone> {
    let row = webhook.id.to_string();
    let (reason, since) = columns_of(&webhook.state);
    let inserted = tx
        .sql
        .prepare_cached(
            "INSERT INTO webhooks (id, environment_id, url, description, triggers, connections, secret,
                 disabled_reason, disabled_since, failing_since, created_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute((
            webhook.id.to_bytes(),
            webhook.environment.to_bytes(),
            tx.seal
                .seal(place("url", &row), webhook.url.expose().as_str()),
            &webhook.description,
            row::list(&webhook.triggers),
            row::list(&webhook.connections),
            tx.seal.seal(place("secret", &row), webhook.secret.expose()),
            reason,
            since,
            webhook.failing_since.map(Time),
            Time(webhook.created_at),
        ));
    match inserted {
        Err(error) if trouble::is_taken(&error) => Err(Undone::Refused(StoreError::Conflict {
            what: format!("webhook {}", webhook.id),
        })),
        Err(error) if trouble::is_reference(&error) => Err(Undone::Refused(StoreError::Missing {
            what: format!("environment {}", webhook.environment),
        })),
        inserted => Ok(inserted.map(|_| ())?),
    }
}

pub(super) fn one(sql: &Connection, seal: &Seal, id: WebhookId) -> Result<Option<Webhook>> {
    sql.prepare_cached(select!(" WHERE id = ?"))?
        .query_row([id.to_bytes()], |row| {
            let mut columns = Columns::new(row);
            columns.value::<i64>()?;
            read(&mut columns, seal)
        })
        .optional()
}

/// Reads the row at this place, secrets included, for the check.
pub(super) fn readable(sql: &Connection, seal: &Seal, seq: i64) -> Result<()> {
    sql.prepare_cached(select!(" WHERE seq = ?"))?
        .query_row([seq], |row| {
            let mut columns = Columns::new(row);
            columns.value::<i64>()?;
            read(&mut columns, seal).map(|_| ())
        })
}

pub(super) fn list(
    sql: &Connection,
    seal: &Seal,
    environment: Option<EnvironmentId>,
    page: &Page,
    after: i64,
) -> Result<Listing<Webhook>> {
    let mut list = List::new(select!(""), "seq", Scan::Indexed);
    list.only_id("environment_id = ?", environment);
    list.page(sql, page, after, |columns| read(columns, seal))
}

pub(super) fn change(
    tx: &Tx<'_>,
    id: WebhookId,
    change: &WebhookChange,
) -> Result<Option<Webhook>, Undone> {
    let Some(mut webhook) = one(tx.sql, tx.seal, id)? else {
        return Ok(None);
    };
    if let Some(url) = &change.url {
        webhook.url = url.clone();
    }
    if let Some(description) = &change.description {
        webhook.description.clone_from(description);
    }
    if let Some(triggers) = &change.triggers {
        webhook.triggers.clone_from(triggers);
    }
    if let Some(connections) = &change.connections {
        webhook.connections.clone_from(connections);
    }
    if let Some(state) = &change.state {
        if *state == WebhookState::Active && webhook.state != WebhookState::Active {
            // Who enables it says that it works again: the days before count no more.
            webhook.failing_since = None;
        }
        webhook.state = state.clone();
    }
    let row = id.to_string();
    let (reason, since) = columns_of(&webhook.state);
    tx.sql
        .prepare_cached(
            "UPDATE webhooks SET url = ?, description = ?, triggers = ?, connections = ?, disabled_reason = ?,
                 disabled_since = ?, failing_since = ?
             WHERE id = ?",
        )?
        .execute((
            tx.seal
                .seal(place("url", &row), webhook.url.expose().as_str()),
            &webhook.description,
            row::list(&webhook.triggers),
            row::list(&webhook.connections),
            reason,
            since,
            webhook.failing_since.map(Time),
            id.to_bytes(),
        ))?;
    Ok(Some(webhook))
}

pub(super) fn delete(tx: &mut Tx<'_>, id: WebhookId) -> Result<bool, Undone> {
    let deleted = tx
        .sql
        .prepare_cached("DELETE FROM webhooks WHERE id = ?")?
        .execute([id.to_bytes()])?;
    if deleted == 0 {
        return Ok(false);
    }
    tx.sql
        .prepare_cached("INSERT INTO deleted_webhooks (id) VALUES (?)")?
        .execute([id.to_bytes()])?;
    // Usually this is all of it; what is left goes later, so that nobody waits for a million rows.
    tx.tally.leftovers |= remove_deliveries(tx, id.to_bytes())?;
    Ok(true)
}

/// Whether deliveries of removed webhooks are still there.
pub(super) fn has_leftovers(sql: &Connection) -> Result<bool> {
    sql.prepare_cached("SELECT EXISTS (SELECT 1 FROM deleted_webhooks)")?
        .query_row([], |row| row.get(0))
}

/// Removes some deliveries of a removed webhook.
pub(super) fn remove_leftovers(tx: &mut Tx<'_>) -> Result<()> {
    let id: Option<[u8; 16]> = tx
        .sql
        .prepare_cached("SELECT id FROM deleted_webhooks LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    if let Some(id) = id {
        remove_deliveries(tx, id)?;
    }
    Ok(())
}

/// Removes a slice of the deliveries that have not arrived, with their attempts; whether more are left.
fn remove_deliveries(tx: &mut Tx<'_>, id: [u8; 16]) -> Result<bool> {
    let mut left = SLICE;
    for (attempts, deliveries, pending) in [
        (
            concat!(
                "DELETE FROM attempts WHERE seq IN (SELECT a.seq FROM (SELECT seq FROM deliveries
                     WHERE webhook_id = ? AND state = 'pending' ORDER BY due_at, seq LIMIT ?) d CROSS JOIN attempts a
                     WHERE ",
                tries::of!("d.seq"),
                ")"
            ),
            "DELETE FROM deliveries WHERE seq IN (SELECT seq FROM deliveries
                 WHERE webhook_id = ? AND state = 'pending' ORDER BY due_at, seq LIMIT ?)",
            true,
        ),
        (
            concat!(
                "DELETE FROM attempts WHERE seq IN (SELECT a.seq FROM (SELECT seq FROM deliveries
                     WHERE webhook_id = ? AND state = 'dead' ORDER BY seq LIMIT ?) d CROSS JOIN attempts a
                     WHERE ",
                tries::of!("d.seq"),
                ")"
            ),
            "DELETE FROM deliveries WHERE seq IN (SELECT seq FROM deliveries
                 WHERE webhook_id = ? AND state = 'dead' ORDER BY seq LIMIT ?)",
            false,
        ),
    ] {
        tx.sql.prepare_cached(attempts)?.execute((id, left))?;
        let gone = tx.sql.prepare_cached(deliveries)?.execute((id, left))?;
        let gone = u32::try_from(gone).unwrap_or(left);
        if pending {
            tx.tally.pending -= i64::from(gone);
        }
        left = left.saturating_sub(gone);
    }
    if left > 0 {
        tx.sql
            .prepare_cached("DELETE FROM deleted_webhooks WHERE id = ?")?
            .execute([id])?;
    }
    Ok(left == 0)
}

fn columns_of(state: &WebhookState) -> (Option<&'static str>, Option<Time>) {
    match state {
        WebhookState::Active => (None, None),
        WebhookState::Disabled { reason, since } => (Some(reason.as_str()), Some(Time(*since))),
    }
}

fn read(columns: &mut Columns<'_>, seal: &Seal) -> Result<Webhook> {
    let id: WebhookId = columns.id()?;
    let text = id.to_string();
    let environment = columns.id()?;
    let url = columns.secret(seal, place("url", &text))?;
    let url = WebhookUrl::parse(url.expose()).map_err(|error| unreadable(3, &error))?;
    let description = columns.value()?;
    let triggers = columns.list(Trigger::parse)?;
    let connections = columns.list(str::parse)?;
    let secret = columns.secret(seal, place("secret", &text))?;
    let reason = columns.word_if_any(REASONS, DisabledReason::as_str)?;
    let since = columns.time_if_any()?;
    let state = match (reason, since) {
        (Some(reason), Some(since)) => WebhookState::Disabled { reason, since },
        _ => WebhookState::Active,
    };
    Ok(Webhook {
        id,
        environment,
        url,
        description,
        triggers,
        connections,
        secret,
        state,
        failing_since: columns.time_if_any()?,
        created_at: columns.time()?,
    })
}

fn place<'a>(column: &'static str, row: &'a str) -> Place<'a> {
    Place {
        table: "webhooks",
        column,
        row,
    }
}
