//! API keys. No node keeps them in memory, so nobody is told of changes.

use sqlx::PgConnection;
use tidings_domain::{
    ids::{EnvironmentId, KeyId},
    key::{ApiKey, Scope},
    page::{Listing, Page},
};

use super::{
    lists::{List, Scan},
    row::{Columns, shown, text},
    trouble::{self, Undone},
};
use crate::{StoreError, record::NewApiKey};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT seq, id, environment_id, name, scope, prefix, created_at FROM keys",
            $rest
        )
    };
}

pub(super) async fn create(sql: &mut PgConnection, new: &NewApiKey) -> Result<(), Undone> {
    let inserted = sqlx::query(
        "INSERT INTO keys (id, environment_id, name, scope, prefix, hash, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(new.key.id.to_string())
    .bind(shown(new.key.environment))
    .bind(text(&new.key.name))
    .bind(new.key.scope.as_str())
    .bind(text(&new.key.prefix))
    .bind(new.hash.as_slice())
    .bind(new.key.created_at.as_millis())
    .execute(sql)
    .await;
    match (inserted, new.key.environment) {
        (Err(error), _) if trouble::is_taken(&error) => {
            Err(Undone::Refused(StoreError::Conflict {
                what: "this key".to_owned(),
            }))
        }
        (Err(error), Some(environment)) if trouble::is_reference(&error) => {
            Err(Undone::Refused(StoreError::Missing {
                what: format!("environment {environment}"),
            }))
        }
        (inserted, _) => Ok(inserted.map(|_| ())?),
    }
}

pub(super) async fn by_hash(
    sql: &mut PgConnection,
    hash: [u8; 32],
) -> Result<Option<ApiKey>, Undone> {
    let row = sqlx::query(select!(" WHERE hash = $1"))
        .bind(hash.as_slice())
        .fetch_optional(sql)
        .await?;
    row.as_ref()
        .map(|row| {
            let mut columns = Columns::new(row);
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
) -> Result<Listing<ApiKey>, Undone> {
    let mut list = List::new(select!(""), "seq", Scan::Indexed);
    list.only("environment_id = ?", environment);
    list.page(sql, page, after, read).await
}

pub(super) async fn delete(sql: &mut PgConnection, id: KeyId) -> Result<bool, Undone> {
    let deleted = sqlx::query("DELETE FROM keys WHERE id = $1")
        .bind(id.to_string())
        .execute(sql)
        .await?;
    Ok(deleted.rows_affected() > 0)
}

fn read(columns: &mut Columns<'_>) -> Result<ApiKey, Undone> {
    Ok(ApiKey {
        id: columns.parsed()?,
        environment: columns.parsed_if_any()?,
        name: columns.value()?,
        scope: columns.word(&[Scope::Admin, Scope::Read], Scope::as_str)?,
        prefix: columns.value()?,
        created_at: columns.time()?,
    })
}
