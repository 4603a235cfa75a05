//! Days of events, made ahead.
//!
//! Each day has a part of the table, so that it can once be dropped instead of deleted row by row. What falls on a day
//! that nobody made goes into a part for everything else, and is found there just as well.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::{Shared, pool::Purpose, trouble::Undone};
use crate::StoreError;

const DAY: i64 = 86_400_000;

/// So many days are made ahead: as long as no node need run.
const AHEAD: i64 = 7;

/// How long one step may take; it only waits for locks.
const STEP: Duration = Duration::from_secs(10);

/// Names the advisory lock: one node makes days at a time.
const LOCK: i64 = i64::from_be_bytes(*b"\0tidings") + 1;

/// Makes yesterday, today and the days ahead, as far as they are missing.
pub(super) async fn make_ahead(shared: &Shared) -> Result<(), StoreError> {
    let today = shared.clock.now().as_millis().div_euclid(DAY);
    let mut lent = shared.pool.lend(Purpose::Asking).await?;
    let made = tidings_domain::clock::within(&*shared.timer, STEP, async {
        let mut failed = None;
        for day in today - 1..=today + AHEAD {
            // A day whose events came before its part never gets one. Those after it must not go without.
            if let Err(error) = make(lent.sql(), day).await {
                failed.get_or_insert(error);
            }
        }
        failed.map_or(Ok(()), Err)
    });
    let made = made.await;
    match made.map(|made| lent.settle(made)) {
        Ok(Ok(())) => Ok(()),
        // Nothing is lost: the part for everything else takes it. A day that is missing is tried again.
        Ok(Err(error)) => {
            let error = StoreError::from(error);
            tracing::warn!(%error, "a day of events could not be made ahead");
            Ok(())
        }
        Err(_) => {
            tracing::warn!("a day of events could not be made ahead: something holds a lock");
            Ok(())
        }
    }
}

pub(super) async fn make(sql: &mut PgConnection, day: i64) -> Result<(), Undone> {
    let (from, to) = (day * DAY, (day + 1) * DAY);
    attach(sql, &format!("events_{day}"), &from.to_string(), to).await
}

/// Makes one part for all days before this one: for what is copied in, of which old days are worth no part each.
pub(super) async fn make_before(sql: &mut PgConnection, day: i64) -> Result<(), Undone> {
    attach(sql, &format!("events_before_{day}"), "MINVALUE", day * DAY).await
}

async fn attach(sql: &mut PgConnection, table: &str, from: &str, to: i64) -> Result<(), Undone> {
    let mut transaction = sql.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(LOCK)
        .execute(&mut *transaction)
        .await?;
    let (there,): (bool,) = sqlx::query_as("SELECT to_regclass($1) IS NOT NULL")
        .bind(table)
        .fetch_one(&mut *transaction)
        .await?;
    if !there {
        // Made first and attached then: attaching locks out nobody who writes events.
        sqlx::raw_sql(AssertSqlSafe(format!(
            "CREATE TABLE {table} (LIKE events INCLUDING ALL);
             ALTER TABLE events ATTACH PARTITION {table} FOR VALUES FROM ({from}) TO ({to})"
        )))
        .execute(&mut *transaction)
        .await?;
    }
    transaction.commit().await?;
    Ok(())
}
