//! When nobody was at work.

use std::time::Duration;

use sqlx::PgConnection;
use tidings_domain::Timestamp;

use super::trouble::Undone;

pub(super) async fn note(
    sql: &mut PgConnection,
    now: Timestamp,
    long: Duration,
) -> Result<Option<Timestamp>, Undone> {
    let (since,): (Option<i64>,) = sqlx::query_as(
        "UPDATE alive SET at = $1, away_since = coalesce(away_since, CASE WHEN at < $2 THEN at END)
         RETURNING away_since",
    )
    .bind(now.as_millis())
    .bind((now - long).as_millis())
    .fetch_one(sql)
    .await?;
    Ok(since.map(Timestamp::from_millis))
}

pub(super) async fn answer(sql: &mut PgConnection, since: Timestamp) -> Result<(), Undone> {
    sqlx::query("UPDATE alive SET away_since = NULL WHERE away_since = $1")
        .bind(since.as_millis())
        .execute(sql)
        .await?;
    Ok(())
}
