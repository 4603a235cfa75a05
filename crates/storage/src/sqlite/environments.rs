//! Environments.

use rusqlite::{Connection, Result};
use tidings_domain::{
    environment::Environment,
    ids::{Compact, EnvironmentId},
};

use super::{
    row::{Columns, Time},
    trouble,
    writer::{Tx, Undone},
};
use crate::StoreError;

pub(super) fn create(tx: &Tx<'_>, environment: &Environment) -> Result<(), Undone> {
    let inserted = tx
        .sql
        .prepare_cached("INSERT INTO environments (id, name, created_at) VALUES (?, ?, ?)")?
        .execute((
            environment.id.to_bytes(),
            &environment.name,
            Time(environment.created_at),
        ));
    match inserted {
        Err(error) if trouble::is_taken(&error) => Err(Undone::Refused(StoreError::Conflict {
            what: format!("environment \"{}\"", environment.name),
        })),
        inserted => Ok(inserted.map(|_| ())?),
    }
}

pub(super) fn all(sql: &Connection) -> Result<Vec<Environment>> {
    sql.prepare_cached("SELECT id, name, created_at FROM environments ORDER BY seq")?
        .query_map([], |row| {
            let mut columns = Columns::new(row);
            Ok(Environment {
                id: columns.id()?,
                name: columns.value()?,
                created_at: columns.time()?,
            })
        })?
        .collect()
}

pub(super) fn delete(tx: &Tx<'_>, id: EnvironmentId) -> Result<bool, Undone> {
    let used: bool = tx
        .sql
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM integrations WHERE environment_id = ?1)
                 OR EXISTS (SELECT 1 FROM webhooks WHERE environment_id = ?1)",
        )?
        .query_row([id.to_bytes()], |row| row.get(0))?;
    if used {
        return Err(Undone::Refused(StoreError::Conflict {
            what: format!("an integration or a webhook of environment {id}"),
        }));
    }
    tx.sql
        .prepare_cached("DELETE FROM keys WHERE environment_id = ?")?
        .execute([id.to_bytes()])?;
    let deleted = tx
        .sql
        .prepare_cached("DELETE FROM environments WHERE id = ?")?
        .execute([id.to_bytes()])?;
    Ok(deleted > 0)
}
