//! What the store says of itself.

use std::time::Duration;

use sqlx::PgConnection;
use tidings_domain::{Timestamp, clock::within};

use super::{PostgresStore, trouble::Undone};
use crate::{StoreError, record::StoreHealth};

/// How long it may take: whoever asks wants to know whether it works.
const WAIT: Duration = Duration::from_millis(750);

/// Counting stops here: what is beyond is many.
const MOST: i64 = 100_000;

impl PostgresStore {
    /// Of all nodes together: what waits, waits for whoever holds its shard.
    pub(super) async fn ask_health(&self) -> StoreHealth {
        let asked = async {
            let lent = self.shared.pool.lend().await?;
            Ok::<_, StoreError>(lent.run(async |sql| ask(sql).await).await?)
        };
        match within(&*self.shared.timer, WAIT, asked).await {
            Ok(Ok(health)) => StoreHealth {
                trouble: self.shared.pool.trouble(),
                ..health
            },
            Ok(Err(error)) => trouble(error.to_string()),
            Err(_) => trouble(
                self.shared
                    .pool
                    .trouble()
                    .unwrap_or_else(|| "the database does not answer".to_owned()),
            ),
        }
    }
}

fn trouble(trouble: String) -> StoreHealth {
    StoreHealth {
        trouble: Some(trouble),
        ..StoreHealth::default()
    }
}

async fn ask(sql: &mut PgConnection) -> Result<StoreHealth, Undone> {
    // The first of the queue and the first due of each webhook: a look into an index each, however much waits.
    let (queued, pending, oldest): (i64, i64, Option<i64>) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM (SELECT 1 FROM queue LIMIT $1) q),
             (SELECT count(*) FROM (SELECT 1 FROM deliveries WHERE state = 'pending' LIMIT $1) d),
             least((SELECT n.received_at FROM queue q JOIN notifications n ON n.seq = q.seq ORDER BY q.seq LIMIT 1),
                 (SELECT min(d.due_at) FROM webhooks w CROSS JOIN LATERAL (
                     SELECT due_at FROM deliveries WHERE webhook_id = w.id AND state = 'pending'
                     ORDER BY due_at, seq LIMIT 1) d))",
    )
    .bind(MOST)
    .fetch_one(sql)
    .await?;
    let count = |number| u64::try_from(number).unwrap_or(0);
    Ok(StoreHealth {
        trouble: None,
        queued_notifications: count(queued),
        pending_deliveries: count(pending),
        oldest_waiting: oldest.map(Timestamp::from_millis),
    })
}
