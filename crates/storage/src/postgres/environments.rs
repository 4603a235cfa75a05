//! Environments.

use sqlx::PgConnection;
use tidings_domain::{environment::Environment, ids::EnvironmentId};

use super::{
    Shared,
    changes::{Noted, noting},
    row::{Columns, text},
    trouble::{self, Undone},
};
use crate::{Changed, StoreError};

pub(super) async fn create(
    shared: &Shared,
    sql: &mut PgConnection,
    environment: &Environment,
) -> Result<(), Undone> {
    let noted = Noted::of(Changed::Environment(environment.id));
    let inserted = sqlx::query(noting!(
        "INSERT INTO environments (id, name, created_at) VALUES ($2, $4, $5) RETURNING seq"
    ))
    .bind(noted.kind)
    .bind(noted.id)
    .bind(&shared.node)
    .bind(text(&environment.name))
    .bind(environment.created_at.as_millis())
    .execute(sql)
    .await;
    match inserted {
        Err(error) if trouble::is_taken(&error) => Err(Undone::Refused(StoreError::Conflict {
            what: format!("environment \"{}\"", environment.name),
        })),
        inserted => {
            inserted?;
            shared.hints.look();
            Ok(())
        }
    }
}

pub(super) async fn all(sql: &mut PgConnection) -> Result<Vec<Environment>, Undone> {
    let rows = sqlx::query("SELECT id, name, created_at FROM environments ORDER BY seq")
        .fetch_all(sql)
        .await?;
    rows.iter()
        .map(|row| {
            let mut columns = Columns::new(row);
            Ok(Environment {
                id: columns.parsed()?,
                name: columns.value()?,
                created_at: columns.time()?,
            })
        })
        .collect()
}

pub(super) async fn delete(
    shared: &Shared,
    sql: &mut PgConnection,
    id: EnvironmentId,
) -> Result<bool, Undone> {
    let noted = Noted::of(Changed::Environment(id));
    let in_use = || {
        Undone::Refused(StoreError::Conflict {
            what: format!("an integration or a webhook of environment {id}"),
        })
    };
    // Keys refer to it too, but go with it; the check comes at the end of the statement.
    let deleted = sqlx::query(noting!(
        "gone AS (DELETE FROM keys WHERE environment_id = $2
             AND NOT EXISTS (SELECT 1 FROM integrations WHERE environment_id = $2)
             AND NOT EXISTS (SELECT 1 FROM webhooks WHERE environment_id = $2)),",
        "DELETE FROM environments WHERE id = $2 RETURNING seq"
    ))
    .bind(noted.kind)
    .bind(noted.id)
    .bind(&shared.node)
    .fetch_optional(sql)
    .await;
    match deleted {
        Err(error) if trouble::is_reference(&error) => Err(in_use()),
        deleted => {
            let deleted = deleted?.is_some();
            if deleted {
                shared.hints.look();
            }
            Ok(deleted)
        }
    }
}
