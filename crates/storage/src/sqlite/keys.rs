//! API keys.

use rusqlite::{Connection, OptionalExtension as _, Result};
use tidings_domain::{
    ids::{Compact, EnvironmentId, KeyId},
    key::{ApiKey, Scope},
    page::{Listing, Page},
};

use super::{
    lists::{List, Scan},
    row::{Columns, Time},
    trouble,
    writer::{Tx, Undone},
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

pub(super) fn create(tx: &Tx<'_>, new: &NewApiKey) -> Result<(), Undone> {
    let inserted = tx
        .sql
        .prepare_cached(
            "INSERT INTO keys (id, environment_id, name, scope, prefix, hash, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute((
            new.key.id.to_bytes(),
            new.key.environment.map(Compact::to_bytes),
            &new.key.name,
            new.key.scope.as_str(),
            &new.key.prefix,
            new.hash.as_slice(),
            Time(new.key.created_at),
        ));
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

pub(super) fn by_hash(sql: &Connection, hash: [u8; 32]) -> Result<Option<ApiKey>> {
    sql.prepare_cached(select!(" WHERE hash = ?"))?
        .query_row([hash.as_slice()], |row| {
            let mut columns = Columns::new(row);
            columns.value::<i64>()?;
            read(&mut columns)
        })
        .optional()
}

pub(super) fn list(
    sql: &Connection,
    environment: Option<EnvironmentId>,
    page: &Page,
    after: i64,
) -> Result<Listing<ApiKey>> {
    let mut list = List::new(select!(""), "seq", Scan::Indexed);
    list.only_id("environment_id = ?", environment);
    list.page(sql, page, after, read)
}

pub(super) fn delete(tx: &Tx<'_>, id: KeyId) -> Result<bool, Undone> {
    let deleted = tx
        .sql
        .prepare_cached("DELETE FROM keys WHERE id = ?")?
        .execute([id.to_bytes()])?;
    Ok(deleted > 0)
}

fn read(columns: &mut Columns<'_>) -> Result<ApiKey> {
    Ok(ApiKey {
        id: columns.id()?,
        environment: columns.id_if_any()?,
        name: columns.value()?,
        scope: columns.word(&[Scope::Admin, Scope::Read], Scope::as_str)?,
        prefix: columns.value()?,
        created_at: columns.time()?,
    })
}
