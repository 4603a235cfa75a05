//! Bringing the database to the form that this program works with: on request, never by itself.
//!
//! Several nodes share a database, and during an upgrade two versions of the program do. So each step only expands what
//! the version before can live with, or contracts what no version that may still run needs; it says which is the oldest
//! that may run beside it.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _, postgres::PgRow};
use tidings_domain::Timestamp;

use super::{
    open::{OpenError, PostgresOptions},
    unlock,
};

/// A step from one form to the next.
#[derive(Debug)]
struct Migration {
    version: i32,
    name: &'static str,
    /// The oldest form that a running program may have been built for when this step is applied: `version - 1` for a
    /// step that only expands.
    runs_beside: i32,
    sql: &'static str,
}

const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "first",
    runs_beside: 0,
    sql: include_str!("../../migrations/postgres/0001_first.sql"),
}];

/// Names the advisory lock: nobody else in this database will have chosen "tidings".
const LOCK: i64 = i64::from_be_bytes(*b"\0tidings");

/// A step as it can be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The form it leads to.
    pub version: u32,
    /// What it is called.
    pub name: String,
    /// When it was applied; `None` if it is still to be.
    pub applied_at: Option<Timestamp>,
    /// The oldest form that programs running beside it may have been built for.
    pub runs_beside: u32,
}

/// A database that this program cannot work with as it is.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// A later Tidings has changed it in a way that this one does not know.
    #[error(
        "the database has form {found}, and programs older than form {oldest} must not use it any more; this one was \
         built for form {known}: run the newer version"
    )]
    Newer {
        /// The form of the database.
        found: u32,
        /// The oldest form that may still use it.
        oldest: u32,
        /// The latest form this program knows.
        known: u32,
    },
    /// A step was applied that reads differently here.
    #[error(
        "the database was brought to form {version} by a step that reads differently in this build: run the build that \
         wrote it"
    )]
    Changed {
        /// The step.
        version: u32,
    },
    /// Steps are missing.
    #[error(
        "the database has form {found}, this program needs form {wanted}: run `tidings migrate apply`"
    )]
    Behind {
        /// The form of the database; 0 if it is empty.
        found: u32,
        /// The form that is needed.
        wanted: u32,
    },
}

/// What would be done: the steps that are missing, in order.
pub async fn plan(options: &PostgresOptions) -> Result<Vec<Step>, OpenError> {
    let mut steps = status(options).await?;
    steps.retain(|step| step.applied_at.is_none());
    Ok(steps)
}

/// Every step that this program or the database knows, in order.
pub async fn status(options: &PostgresOptions) -> Result<Vec<Step>, OpenError> {
    let mut sql = super::open::connect(options).await?;
    let applied = applied(&mut sql).await?;
    check_known(&applied)?;
    Ok(steps(&applied))
}

/// Applies what is missing, each step in a transaction of its own, and gives what was applied. Only one program at a time
/// does so; others wait. The first step also writes which key seals the secrets.
pub async fn apply(options: &PostgresOptions) -> Result<Vec<Step>, OpenError> {
    let seal = unlock::seal(options)?;
    let mut sql = super::open::connect(options).await?;
    super::database::verify(&mut sql).await?;
    // A step may take longer than any statement of ours, and it waits for whoever migrates already.
    sqlx::raw_sql("SET statement_timeout = 0; SET lock_timeout = 0")
        .execute(&mut sql)
        .await
        .map_err(|error| OpenError::database(&error))?;
    sqlx::query("SELECT pg_advisory_lock($1)")
        .bind(LOCK)
        .execute(&mut sql)
        .await
        .map_err(|error| OpenError::database(&error))?;
    let before = applied(&mut sql).await?;
    check_known(&before)?;
    if !before.is_empty() {
        unlock::check(&mut sql, &seal).await?;
    }
    let now = options.clock.now();
    let mut done = Vec::new();
    for step in MIGRATIONS {
        if before.iter().any(|one| one.version == step.version) {
            continue;
        }
        apply_step(
            &mut sql,
            step,
            now,
            (before.is_empty() && done.is_empty()).then_some(&seal),
        )
        .await
        .map_err(|error| OpenError::database(&error))?;
        done.push(shown(step, Some(now)));
    }
    // The lock goes with the connection.
    super::database::close(sql).await;
    Ok(done)
}

/// Checks that the database has a form that this program can work with.
pub(super) async fn check(sql: &mut PgConnection) -> Result<(), OpenError> {
    let applied = applied(sql).await?;
    check_known(&applied)?;
    let wanted = MIGRATIONS.last().map_or(0, |last| last.version);
    let found = applied.last().map_or(0, |last| last.version);
    if found < wanted {
        return Err(MigrateError::Behind {
            found: positive(found),
            wanted: positive(wanted),
        }
        .into());
    }
    Ok(())
}

struct Applied {
    version: i32,
    name: String,
    runs_beside: i32,
    checksum: Vec<u8>,
    at: i64,
}

/// What has been applied, in order; nothing if the database is empty.
async fn applied(sql: &mut PgConnection) -> Result<Vec<Applied>, OpenError> {
    let rows = sqlx::query(
        "SELECT version, name, runs_beside, checksum, applied_at FROM migrations ORDER BY version",
    )
    .fetch_all(sql)
    .await;
    let rows = match rows {
        Err(error) if super::trouble::is_no_table(&error) => return Ok(Vec::new()),
        rows => rows.map_err(|error| OpenError::database(&error))?,
    };
    let read = |row: &PgRow| {
        Ok(Applied {
            version: row.try_get("version")?,
            name: row.try_get("name")?,
            runs_beside: row.try_get("runs_beside")?,
            checksum: row.try_get("checksum")?,
            at: row.try_get("applied_at")?,
        })
    };
    let rows: Result<Vec<Applied>, sqlx::Error> = rows.iter().map(read).collect();
    rows.map_err(|error| OpenError::database(&error))
}

fn check_known(applied: &[Applied]) -> Result<(), MigrateError> {
    let known = MIGRATIONS.last().map_or(0, |last| last.version);
    for one in applied {
        match MIGRATIONS.iter().find(|step| step.version == one.version) {
            Some(step) if one.checksum != checksum(step) => {
                return Err(MigrateError::Changed {
                    version: positive(one.version),
                });
            }
            // A later version has expanded the database; it says which programs can live with that.
            None if one.runs_beside > known => {
                return Err(MigrateError::Newer {
                    found: positive(applied.last().map_or(0, |last| last.version)),
                    oldest: positive(one.runs_beside),
                    known: positive(known),
                });
            }
            _ => {}
        }
    }
    Ok(())
}

async fn apply_step(
    sql: &mut PgConnection,
    step: &Migration,
    now: Timestamp,
    first: Option<&crate::seal::Seal>,
) -> Result<(), sqlx::Error> {
    let mut transaction = sql.begin().await?;
    sqlx::raw_sql(
        "CREATE TABLE IF NOT EXISTS migrations (
            version     integer PRIMARY KEY,
            name        text NOT NULL,
            runs_beside integer NOT NULL,
            checksum    bytea NOT NULL,
            applied_at  bigint NOT NULL
        )",
    )
    .execute(&mut *transaction)
    .await?;
    sqlx::raw_sql(AssertSqlSafe(step.sql))
        .execute(&mut *transaction)
        .await?;
    sqlx::query(
        "INSERT INTO migrations (version, name, runs_beside, checksum, applied_at) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(step.version)
    .bind(step.name)
    .bind(step.runs_beside)
    .bind(checksum(step))
    .bind(now.as_millis())
    .execute(&mut *transaction)
    .await?;
    if let Some(seal) = first {
        unlock::note(&mut transaction, seal).await?;
    }
    transaction.commit().await
}

fn steps(applied: &[Applied]) -> Vec<Step> {
    let mut steps: Vec<Step> = MIGRATIONS
        .iter()
        .map(|step| {
            let found = applied.iter().find(|one| one.version == step.version);
            shown(step, found.map(|one| Timestamp::from_millis(one.at)))
        })
        .collect();
    let known = MIGRATIONS.last().map_or(0, |last| last.version);
    steps.extend(
        applied
            .iter()
            .filter(|one| one.version > known)
            .map(|one| Step {
                version: positive(one.version),
                name: one.name.clone(),
                applied_at: Some(Timestamp::from_millis(one.at)),
                runs_beside: positive(one.runs_beside),
            }),
    );
    steps
}

fn shown(step: &Migration, applied_at: Option<Timestamp>) -> Step {
    Step {
        version: positive(step.version),
        name: step.name.to_owned(),
        applied_at,
        runs_beside: positive(step.runs_beside),
    }
}

fn positive(version: i32) -> u32 {
    u32::try_from(version).unwrap_or(0)
}

fn checksum(step: &Migration) -> Vec<u8> {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, step.sql.as_bytes());
    digest.as_ref().to_vec()
}
