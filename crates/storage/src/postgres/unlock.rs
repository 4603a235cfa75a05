//! Whether the key that secrets are sealed with is the right one.

use std::sync::Arc;

use sqlx::{Executor, PgConnection, Postgres};

use super::open::{OpenError, PostgresOptions};
use crate::seal::{KeyId, Seal, SealingKey};

/// The seal made of the key that the configuration names. No node makes a key of its own: all must have the same.
pub(super) fn seal(options: &PostgresOptions) -> Result<Seal, OpenError> {
    let Some(path) = &options.postgres.sealing_key_file else {
        return Err(OpenError::NoKeyFile);
    };
    let key =
        SealingKey::read_file(path)?.ok_or_else(|| OpenError::KeyMissing { path: path.clone() })?;
    Ok(Seal::new(&key, Arc::clone(&options.entropy)))
}

/// Writes down which key it is.
pub(super) async fn note(sql: &mut PgConnection, seal: &Seal) -> Result<(), sqlx::Error> {
    for (name, value) in [
        ("key_id", &seal.key_id().0[..]),
        ("key_check", &seal.check_value()[..]),
    ] {
        sqlx::query("INSERT INTO meta (name, value) VALUES ($1, $2)")
            .bind(name)
            .bind(value)
            .execute(&mut *sql)
            .await?;
    }
    Ok(())
}

/// Checks that it is the key the database's secrets are sealed with.
pub(super) async fn check(sql: &mut PgConnection, seal: &Seal) -> Result<(), OpenError> {
    let id = value(&mut *sql, "key_id").await?;
    let check = value(sql, "key_check").await?;
    let wanted = id
        .as_slice()
        .try_into()
        .map(KeyId)
        .map_err(|_| OpenError::NoKeyNoted)?;
    if wanted != seal.key_id() {
        return Err(OpenError::KeyOther {
            wanted,
            found: seal.key_id(),
        });
    }
    if check != seal.check_value() {
        return Err(OpenError::KeyDamaged { id: wanted });
    }
    Ok(())
}

async fn value<'e>(
    sql: impl Executor<'e, Database = Postgres>,
    name: &str,
) -> Result<Vec<u8>, OpenError> {
    let found: Option<(Vec<u8>,)> = sqlx::query_as("SELECT value FROM meta WHERE name = $1")
        .bind(name)
        .fetch_optional(sql)
        .await
        .map_err(|error| OpenError::database(&error))?;
    found.map(|(value,)| value).ok_or(OpenError::NoKeyNoted)
}
