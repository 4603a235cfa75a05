//! Looking at the whole database for damage.

use std::path::Path;

use rusqlite::{Connection, Error};
use tidings_domain::ids::{EventId, NotificationId, SubscriptionId};
use tokio::sync::oneshot;

use super::{SqliteStore, database, row::Columns, trouble};
use crate::{StoreError, seal::Seal};

/// Rows that cannot be without another one, and the query that finds those that are.
const ORPHANS: &[(&str, &str)] = &[
    (
        "a place in the queue has no notification",
        "SELECT seq FROM queue q WHERE NOT EXISTS (SELECT 1 FROM notifications n WHERE n.seq = q.seq)",
    ),
    (
        "a delivery has no event",
        "SELECT seq FROM deliveries d WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.seq = d.event_seq)",
    ),
    (
        "an attempt has no delivery",
        "SELECT seq FROM attempts a WHERE NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.seq = a.delivery_seq)",
    ),
    (
        "an attempt does not stand with its delivery's",
        "SELECT seq FROM attempts WHERE seq >> 20 <> delivery_seq",
    ),
    (
        "a delivery does not stand with its event's",
        "SELECT seq FROM (SELECT seq, event_seq, lag(event_seq) OVER (ORDER BY seq) AS before FROM deliveries)
         WHERE event_seq < before",
    ),
];

/// Subscriptions that are not there, nor were removed just now, while something is known of their items.
const UNKNOWN: &str = "SELECT subscription_id, count(*) FROM known_items k
    WHERE NOT EXISTS (SELECT 1 FROM subscriptions s WHERE s.id = k.subscription_id)
        AND NOT EXISTS (SELECT 1 FROM deleted_subscriptions s WHERE s.id = k.subscription_id)
    GROUP BY subscription_id";

impl SqliteStore {
    /// On a thread and a connection of its own: it reads for minutes, and must keep nobody waiting.
    pub(super) async fn ask_check(&self) -> Result<Vec<String>, StoreError> {
        let (answer, answered) = oneshot::channel();
        let (path, seal) = (self.path.clone(), std::sync::Arc::clone(&self.seal));
        std::thread::Builder::new()
            .name("tidings-check".to_owned())
            .spawn(move || {
                // Nobody listens if the caller was dropped meanwhile.
                let _ = answer.send(check(&path, &seal));
            })
            .map_err(|error| StoreError::Unavailable {
                detail: format!("cannot start a thread: {error}"),
            })?;
        match answered.await {
            Ok(found) => found.map_err(|error| trouble::answer(&error)),
            Err(_) => Err(StoreError::Unavailable {
                detail: "the check panicked".to_owned(),
            }),
        }
    }
}

fn check(path: &Path, seal: &Seal) -> Result<Vec<String>, Error> {
    let sql = database::open_reader(path)?;
    let mut found = Vec::new();
    // An error on the way is a finding, not the end: what can be looked at is.
    for part in [integrity, references, orphans, items, reconciles, contents] {
        if let Err(error) = part(&sql, &mut found) {
            found.push(format!("the database cannot be read through: {error}"));
        }
    }
    secrets(&sql, seal, &mut found);
    Ok(found)
}

fn integrity(sql: &Connection, found: &mut Vec<String>) -> Result<(), Error> {
    let mut statement = sql.prepare("PRAGMA integrity_check(100)")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let finding: String = row.get(0)?;
        if finding != "ok" {
            found.push(format!("SQLite finds: {finding}"));
        }
    }
    Ok(())
}

fn references(sql: &Connection, found: &mut Vec<String>) -> Result<(), Error> {
    let mut statement = sql.prepare("PRAGMA foreign_key_check")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (table, seq, parent): (String, Option<i64>, String) =
            (row.get(0)?, row.get(1)?, row.get(2)?);
        found.push(format!(
            "row {} of {table} refers to something missing in {parent}",
            seq.unwrap_or(0)
        ));
    }
    Ok(())
}

fn orphans(sql: &Connection, found: &mut Vec<String>) -> Result<(), Error> {
    for (what, query) in ORPHANS {
        let mut statement = sql.prepare(query)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            found.push(format!("{what}: place {}", row.get::<_, i64>(0)?));
        }
    }
    Ok(())
}

fn items(sql: &Connection, found: &mut Vec<String>) -> Result<(), Error> {
    let mut statement = sql.prepare(UNKNOWN)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let mut columns = Columns::new(row);
        let id: SubscriptionId = columns.id()?;
        let items: i64 = columns.value()?;
        found.push(format!(
            "of {id}, which is gone, {items} items are still known"
        ));
    }
    Ok(())
}

/// Reads where reconciling stands.
fn reconciles(sql: &Connection, found: &mut Vec<String>) -> Result<(), Error> {
    for error in super::reconcile::unreadable(sql)? {
        found.push(format!("a reconcile cannot be read: {error}"));
    }
    Ok(())
}

/// Compares what was received and what is delivered with its checksums.
fn contents(sql: &Connection, found: &mut Vec<String>) -> Result<(), Error> {
    type ReadId = fn(&mut Columns<'_>) -> Result<String, Error>;
    for (what, query, id) in [
        (
            "notification",
            "SELECT id, checksum, item FROM notifications",
            (|columns| columns.id::<NotificationId>().map(|id| id.to_string())) as ReadId,
        ),
        (
            "event",
            "SELECT id, checksum, body FROM events",
            |columns| columns.id::<EventId>().map(|id| id.to_string()),
        ),
    ] {
        let mut statement = sql.prepare(query)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let mut columns = Columns::new(row);
            let id = id(&mut columns)?;
            if let Err(error) = columns.checked_bytes() {
                found.push(format!("{what} {id} is damaged: {error}"));
            }
        }
    }
    Ok(())
}

/// Opens every sealed value.
fn secrets(sql: &Connection, seal: &Seal, found: &mut Vec<String>) {
    let mut report = |error: Error| found.push(format!("a secret cannot be opened: {error}"));
    if let Err(error) = super::integrations::all(sql, seal) {
        report(error);
    }
    for (table, read) in [
        (
            "webhooks",
            super::webhooks::readable as fn(&Connection, &Seal, i64) -> Result<(), Error>,
        ),
        ("subscriptions", super::subscriptions::readable),
    ] {
        let Ok(seqs) = sql
            .prepare(&format!("SELECT seq FROM {table} ORDER BY seq"))
            .and_then(|mut statement| {
                statement
                    .query_map([], |row| row.get::<_, i64>(0))?
                    .collect::<Result<Vec<_>, _>>()
            })
        else {
            continue;
        };
        for seq in seqs {
            if let Err(error) = read(sql, seal, seq) {
                report(error);
            }
        }
    }
}
