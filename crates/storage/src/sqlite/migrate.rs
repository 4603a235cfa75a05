//! Bringing the database to the form that this binary works with.

use std::path::Path;

use rusqlite::{Connection, Error, OptionalExtension as _};
use tidings_domain::Timestamp;

use super::database;

/// A step from one form to the next.
struct Migration {
    version: u32,
    name: &'static str,
    sql: &'static str,
}

const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "first",
    sql: include_str!("../../migrations/sqlite/0001_first.sql"),
}];

/// A database that this binary cannot work with.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// A later Tidings has written it.
    #[error(
        "the database has form {found}, this Tidings knows forms up to {known}: run the newer version that wrote it, \
         or restore a backup made before the upgrade"
    )]
    Newer {
        /// The form of the database.
        found: u32,
        /// The latest form this binary knows.
        known: u32,
    },
    /// A step was applied that reads differently here.
    #[error(
        "the database was brought to form {version} by a step that reads differently in this build: run the build \
         that wrote it"
    )]
    Changed {
        /// The step.
        version: u32,
    },
    /// SQLite failed.
    #[error("cannot bring the database to the form this Tidings needs: {0}")]
    Sqlite(#[from] Error),
}

/// A step as it can be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The form it leads to.
    pub version: u32,
    /// What it is called.
    pub name: &'static str,
    /// When it was applied; `None` if it is still to be.
    pub applied_at: Option<Timestamp>,
}

/// Every step that this program knows, in order, and what the database in `data_dir` has of them. A gateway may be
/// running on it. Where there is no database, none has been applied.
pub fn status(data_dir: &Path) -> Result<Vec<Step>, MigrateError> {
    let path = data_dir.join(database::FILE_NAME);
    let sql = if path.exists() {
        Some(database::open_reader(&path)?)
    } else {
        None
    };
    let found: u32 = match &sql {
        Some(sql) => sql.pragma_query_value(None, "user_version", |row| row.get(0))?,
        None => 0,
    };
    let known = MIGRATIONS.last().map_or(0, |last| last.version);
    if found > known {
        return Err(MigrateError::Newer { found, known });
    }
    let mut steps = Vec::new();
    for step in MIGRATIONS {
        let applied_at: Option<i64> = match &sql {
            Some(sql) if step.version <= found => sql
                .query_row(
                    "SELECT applied_at FROM migrations WHERE version = ?",
                    [step.version],
                    |row| row.get(0),
                )
                .optional()?,
            _ => None,
        };
        steps.push(Step {
            version: step.version,
            name: step.name,
            applied_at: applied_at.map(Timestamp::from_millis),
        });
    }
    Ok(steps)
}

/// Applies what is missing, each step in a transaction of its own. `first` runs in the transaction of the very first
/// step, so that what it writes is there whenever tables are.
pub(super) fn migrate(
    sql: &Connection,
    now: Timestamp,
    first: impl FnOnce(&Connection) -> Result<(), Error>,
) -> Result<(), MigrateError> {
    let known = MIGRATIONS.last().map_or(0, |last| last.version);
    let found: u32 = sql.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > known {
        return Err(MigrateError::Newer { found, known });
    }
    let mut first = Some(first);
    for step in MIGRATIONS {
        if step.version <= found {
            check(sql, step)?;
            continue;
        }
        sql.execute_batch("BEGIN IMMEDIATE")?;
        let applied = apply(sql, step, now).and_then(|()| {
            if let Some(first) = first.take().filter(|_| found == 0) {
                first(sql)?;
            }
            sql.execute_batch("COMMIT")
        });
        if let Err(error) = applied {
            // The first error counts; SQLite may have rolled back already.
            let _ = sql.execute_batch("ROLLBACK");
            return Err(error.into());
        }
    }
    Ok(())
}

fn apply(sql: &Connection, step: &Migration, now: Timestamp) -> Result<(), Error> {
    sql.execute_batch(
        "CREATE TABLE IF NOT EXISTS migrations (
            version    INTEGER PRIMARY KEY,
            name       TEXT NOT NULL,
            checksum   BLOB NOT NULL,
            applied_at INTEGER NOT NULL
        ) STRICT",
    )?;
    sql.execute_batch(step.sql)?;
    sql.execute(
        "INSERT INTO migrations (version, name, checksum, applied_at) VALUES (?, ?, ?, ?)",
        (step.version, step.name, checksum(step), now.as_millis()),
    )?;
    sql.pragma_update(None, "user_version", step.version)
}

fn check(sql: &Connection, step: &Migration) -> Result<(), MigrateError> {
    let version = step.version;
    let applied: Option<Vec<u8>> = sql
        .query_row(
            "SELECT checksum FROM migrations WHERE version = ?",
            [version],
            |row| row.get(0),
        )
        .optional()?;
    if applied.is_some_and(|applied| applied == checksum(step)) {
        Ok(())
    } else {
        Err(MigrateError::Changed { version })
    }
}

fn checksum(step: &Migration) -> Vec<u8> {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, step.sql.as_bytes())
        .as_ref()
        .to_vec()
}
