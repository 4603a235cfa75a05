//! Looking at the whole database for damage.

use futures_util::TryStreamExt as _;
use sqlx::{AssertSqlSafe, PgConnection};

use super::{
    PostgresStore, Shared, integrations, reconcile, row::Columns, subscriptions, trouble::Undone,
    webhooks,
};
use crate::StoreError;

/// Rows that cannot be without another one, and the query that finds those that are.
const ORPHANS: &[(&str, &str)] = &[
    (
        "a place in the queue has no notification",
        "SELECT seq FROM queue q WHERE NOT EXISTS (SELECT 1 FROM notifications n WHERE n.seq = q.seq)",
    ),
    (
        "a delivery has no event",
        "SELECT seq FROM deliveries d WHERE NOT EXISTS (
             SELECT 1 FROM events e WHERE e.seq = d.event_seq AND e.created_at = d.created_at)",
    ),
    (
        "an attempt has no delivery",
        "SELECT seq FROM attempts a WHERE NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.seq = a.delivery_seq)",
    ),
    (
        "a delivery waits for a webhook that is gone",
        "SELECT seq FROM deliveries d WHERE state = 'pending'
             AND NOT EXISTS (SELECT 1 FROM webhooks w WHERE w.id = d.webhook_id)
             AND NOT EXISTS (SELECT 1 FROM deleted_webhooks w WHERE w.id = d.webhook_id)",
    ),
];

/// Subscriptions that are not there, nor were removed just now, while something is known of their items.
const UNKNOWN: &str = "SELECT subscription_id, count(*) FROM known_items k
    WHERE NOT EXISTS (SELECT 1 FROM subscriptions s WHERE s.id = k.subscription_id)
        AND NOT EXISTS (SELECT 1 FROM deleted_subscriptions s WHERE s.id = k.subscription_id)
    GROUP BY subscription_id";

impl PostgresStore {
    /// On a connection of its own, without a limit of time: it reads for minutes, and must keep nobody waiting. PostgreSQL
    /// checks its own pages (`pg_amcheck`, checksums of the cluster); this looks at what they hold.
    pub(super) async fn ask_check(&self) -> Result<Vec<String>, StoreError> {
        let mut sql = self.shared.pool.connect().await?;
        sqlx::raw_sql(
            "SET statement_timeout = 0; SET enable_seqscan = on; SET enable_mergejoin = on",
        )
        .execute(&mut sql)
        .await
        .map_err(Undone::from)?;
        let mut found = Vec::new();
        orphans(&mut sql, &mut found).await?;
        items(&mut sql, &mut found).await?;
        reconciles(&mut sql, &mut found).await?;
        contents(&mut sql, &mut found).await?;
        secrets(&self.shared, &mut sql, &mut found).await?;
        Ok(found)
    }
}

async fn orphans(sql: &mut PgConnection, found: &mut Vec<String>) -> Result<(), Undone> {
    for &(what, query) in ORPHANS {
        let rows: Vec<(i64,)> = sqlx::query_as(query).fetch_all(&mut *sql).await?;
        found.extend(rows.iter().map(|(seq,)| format!("{what}: place {seq}")));
    }
    Ok(())
}

async fn items(sql: &mut PgConnection, found: &mut Vec<String>) -> Result<(), Undone> {
    let rows: Vec<(String, i64)> = sqlx::query_as(UNKNOWN).fetch_all(sql).await?;
    found.extend(
        rows.iter()
            .map(|(id, items)| format!("of {id}, which is gone, {items} items are still known")),
    );
    Ok(())
}

/// Reads where reconciling stands.
async fn reconciles(sql: &mut PgConnection, found: &mut Vec<String>) -> Result<(), Undone> {
    for error in reconcile::unreadable(sql).await? {
        found.push(format!("a reconcile cannot be read: {error}"));
    }
    Ok(())
}

/// Compares what was received and what is delivered with its checksums.
async fn contents(sql: &mut PgConnection, found: &mut Vec<String>) -> Result<(), Undone> {
    for (what, query) in [
        (
            "notification",
            "SELECT id, checksum, item FROM notifications",
        ),
        ("event", "SELECT id, checksum, body FROM events"),
    ] {
        let mut rows = sqlx::query(query).fetch(&mut *sql);
        while let Some(row) = rows.try_next().await? {
            let mut columns = Columns::new(&row);
            let id: String = columns.value()?;
            if let Err(error) = columns.checked_bytes() {
                let error = StoreError::from(error);
                found.push(format!("{what} {id} is damaged: {error}"));
            }
        }
    }
    Ok(())
}

/// Opens every sealed value.
async fn secrets(
    shared: &Shared,
    sql: &mut PgConnection,
    found: &mut Vec<String>,
) -> Result<(), Undone> {
    let mut report = |error: Undone| {
        let error = StoreError::from(error);
        found.push(format!("a secret cannot be opened: {error}"));
    };
    if let Err(error) = integrations::all(shared, sql).await {
        report(error);
    }
    for table in ["webhooks", "subscriptions"] {
        let text = format!("SELECT id FROM {table} ORDER BY seq");
        let ids: Vec<(String,)> = sqlx::query_as(AssertSqlSafe(text))
            .fetch_all(&mut *sql)
            .await?;
        for (id,) in ids {
            let read = match table {
                "webhooks" => match id.parse() {
                    Ok(id) => webhooks::one(shared, sql, id).await.map(|_| ()),
                    Err(error) => Err(super::row::corrupt(1, &error)),
                },
                _ => match id.parse() {
                    Ok(id) => subscriptions::one(shared, sql, id).await.map(|_| ()),
                    Err(error) => Err(super::row::corrupt(1, &error)),
                },
            };
            if let Err(error) = read {
                report(error);
            }
        }
    }
    Ok(())
}
