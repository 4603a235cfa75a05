//! Of what strangers send only the newest are kept.

use sqlx::PgConnection;
use tidings_domain::ids::IntegrationId;

use super::trouble::Undone;

/// Counts one that was rejected just now, and removes the oldest beyond `keep`.
pub(super) async fn count(
    sql: &mut PgConnection,
    integration: IntegrationId,
    keep: u32,
) -> Result<(), Undone> {
    let integration = integration.to_string();
    let (kept,): (i64,) = sqlx::query_as(
        "INSERT INTO rejected AS r (integration_id, kept) VALUES ($1, 1)
         ON CONFLICT (integration_id) DO UPDATE SET kept = r.kept + 1
         RETURNING kept",
    )
    .bind(&integration)
    .fetch_one(&mut *sql)
    .await?;
    trim(sql, &integration, kept, keep).await
}

/// Removes the oldest of an integration beyond `keep`.
pub(super) async fn trim(
    sql: &mut PgConnection,
    integration: &str,
    kept: i64,
    keep: u32,
) -> Result<(), Undone> {
    let surplus = kept - i64::from(keep);
    if surplus <= 0 {
        return Ok(());
    }
    // What is removed is what is counted off, also where two nodes do this at the same time.
    sqlx::query(
        "WITH gone AS (
             DELETE FROM notifications WHERE seq = ANY(ARRAY(
                 SELECT seq FROM notifications
                 WHERE integration_id = $1 AND verdict NOT IN ('accepted', 'duplicate', 'held')
                 ORDER BY seq LIMIT $2))
             RETURNING seq)
         UPDATE rejected SET kept = kept - (SELECT count(*) FROM gone) WHERE integration_id = $1",
    )
    .bind(integration)
    .bind(surplus)
    .execute(sql)
    .await?;
    Ok(())
}
