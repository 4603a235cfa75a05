//! Integrations.

use sqlx::{PgConnection, postgres::PgRow};
use tidings_domain::{
    ids::{EnvironmentId, IntegrationId},
    integration::{Integration, IntegrationKey, WebhookSecret},
};

use super::{
    Shared,
    changes::{Noted, noting},
    row::{Columns, corrupt, text},
    trouble::{self, Undone},
};
use crate::{
    Changed, StoreError,
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

pub(super) async fn create(
    shared: &Shared,
    sql: &mut PgConnection,
    integration: &Integration,
) -> Result<(), Undone> {
    let noted = Noted::of(Changed::Integration(integration.id));
    let row = noted.id.clone();
    let seal = |column, secret| shared.seal.seal(place(column, &row), secret);
    let inserted = sqlx::query(noting!(
        "INSERT INTO integrations (id, environment_id, key, client_id, client_secret, webhook_secret, login_url,
             graph_url, created_at)
         VALUES ($2, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING seq"
    ))
    .bind(noted.kind)
    .bind(&row)
    .bind(&shared.node)
    .bind(integration.environment.to_string())
    .bind(integration.key.as_str())
    .bind(text(&integration.client_id))
    .bind(seal("client_secret", integration.client_secret.expose()))
    .bind(seal("webhook_secret", integration.webhook_secret.expose()))
    .bind(integration.login_url.as_str())
    .bind(integration.graph_url.as_str())
    .bind(integration.created_at.as_millis())
    .execute(sql)
    .await;
    match inserted {
        Err(error) if trouble::is_taken(&error) => Err(Undone::Refused(StoreError::Conflict {
            what: format!("integration \"{}\"", integration.key),
        })),
        Err(error) if trouble::is_reference(&error) => Err(Undone::Refused(StoreError::Missing {
            what: format!("environment {}", integration.environment),
        })),
        inserted => {
            inserted?;
            shared.hints.look();
            Ok(())
        }
    }
}

pub(super) async fn all(
    shared: &Shared,
    sql: &mut PgConnection,
) -> Result<Vec<Integration>, Undone> {
    let rows = sqlx::query(select!("ORDER BY seq")).fetch_all(sql).await?;
    rows.iter().map(|row| read(row, &shared.seal)).collect()
}

pub(super) async fn by_key(
    shared: &Shared,
    sql: &mut PgConnection,
    environment: EnvironmentId,
    key: &IntegrationKey,
) -> Result<Option<Integration>, Undone> {
    let row = sqlx::query(select!("WHERE environment_id = $1 AND key = $2"))
        .bind(environment.to_string())
        .bind(key.as_str())
        .fetch_optional(sql)
        .await?;
    row.map(|row| read(&row, &shared.seal)).transpose()
}

pub(super) async fn delete(
    shared: &Shared,
    sql: &mut PgConnection,
    id: IntegrationId,
) -> Result<bool, Undone> {
    let noted = Noted::of(Changed::Integration(id));
    let deleted = sqlx::query(noting!(
        "DELETE FROM integrations WHERE id = $2 RETURNING seq"
    ))
    .bind(noted.kind)
    .bind(noted.id)
    .bind(&shared.node)
    .fetch_optional(sql)
    .await;
    match deleted {
        Err(error) if trouble::is_reference(&error) => Err(Undone::Refused(StoreError::Conflict {
            what: format!("a connection of integration {id}"),
        })),
        deleted => {
            let deleted = deleted?.is_some();
            if deleted {
                shared.hints.look();
            }
            Ok(deleted)
        }
    }
}

fn read(row: &PgRow, seal: &Seal) -> Result<Integration, Undone> {
    let mut columns = Columns::new(row);
    let id: IntegrationId = columns.parsed()?;
    let text = id.to_string();
    Ok(Integration {
        id,
        environment: columns.parsed()?,
        key: columns.parsed()?,
        client_id: columns.value()?,
        client_secret: columns.secret(seal, place("client_secret", &text))?,
        webhook_secret: WebhookSecret::parse(
            columns
                .secret(seal, place("webhook_secret", &text))?
                .expose(),
        )
        .map_err(|error| corrupt(5, &error))?,
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
