//! Integrations.

use rusqlite::{Connection, OptionalExtension as _, Result, Row};
use tidings_domain::{
    ids::{Compact, EnvironmentId, IntegrationId},
    integration::{Integration, IntegrationKey, WebhookSecret},
};

use super::{
    row::{Columns, Time, unreadable},
    trouble,
    writer::{Tx, Undone},
};
use crate::{
    StoreError,
    seal::{Place, Seal},
};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, environment_id, key, client_id, client_secret, webhook_secret, login_url, graph_url, created_at \
             FROM integrations ",
            $rest
        )
    };
}

pub(super) fn create(tx: &Tx<'_>, integration: &Integration) -> Result<(), Undone> {
    let row = integration.id.to_string();
    let seal = |column, secret| tx.seal.seal(place(column, &row), secret);
    let inserted = tx
        .sql
        .prepare_cached(
            "INSERT INTO integrations (id, environment_id, key, client_id, client_secret, webhook_secret, login_url,
                 graph_url, created_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute((
            integration.id.to_bytes(),
            integration.environment.to_bytes(),
            integration.key.as_str(),
            &integration.client_id,
            seal("client_secret", integration.client_secret.expose()),
            seal("webhook_secret", integration.webhook_secret.expose()),
            integration.login_url.as_str(),
            integration.graph_url.as_str(),
            Time(integration.created_at),
        ));
    match inserted {
        Err(error) if trouble::is_taken(&error) => Err(Undone::Refused(StoreError::Conflict {
            what: format!("integration \"{}\"", integration.key),
        })),
        Err(error) if trouble::is_reference(&error) => Err(Undone::Refused(StoreError::Missing {
            what: format!("environment {}", integration.environment),
        })),
        inserted => Ok(inserted.map(|_| ())?),
    }
}

pub(super) fn all(sql: &Connection, seal: &Seal) -> Result<Vec<Integration>> {
    sql.prepare_cached(select!("ORDER BY seq"))?
        .query_map([], |row| read(row, seal))?
        .collect()
}

pub(super) fn by_key(
    sql: &Connection,
    seal: &Seal,
    environment: EnvironmentId,
    key: &IntegrationKey,
) -> Result<Option<Integration>> {
    sql.prepare_cached(select!("WHERE environment_id = ? AND key = ?"))?
        .query_row((environment.to_bytes(), key.as_str()), |row| {
            read(row, seal)
        })
        .optional()
}

pub(super) fn delete(tx: &Tx<'_>, id: IntegrationId) -> Result<bool, Undone> {
    let deleted = tx
        .sql
        .prepare_cached("DELETE FROM integrations WHERE id = ?")?
        .execute([id.to_bytes()]);
    match deleted {
        Err(error) if trouble::is_reference(&error) => Err(Undone::Refused(StoreError::Conflict {
            what: format!("a connection of integration {id}"),
        })),
        deleted => Ok(deleted? > 0),
    }
}

fn read(row: &Row<'_>, seal: &Seal) -> Result<Integration> {
    let mut columns = Columns::new(row);
    let id: IntegrationId = columns.id()?;
    let text = id.to_string();
    Ok(Integration {
        id,
        environment: columns.id()?,
        key: columns.parsed()?,
        client_id: columns.value()?,
        client_secret: columns.secret(seal, place("client_secret", &text))?,
        webhook_secret: WebhookSecret::parse(
            columns
                .secret(seal, place("webhook_secret", &text))?
                .expose(),
        )
        .map_err(|error| unreadable(5, &error))?,
        login_url: columns.parsed()?,
        graph_url: columns.parsed()?,
        created_at: columns.time()?,
    })
}

fn place<'a>(column: &'static str, row: &'a str) -> Place<'a> {
    Place {
        table: "integrations",
        column,
        row,
    }
}
