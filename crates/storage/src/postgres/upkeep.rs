//! What a node does beside its callers' work: days made ahead, old things removed. One node is enough for it, that which
//! holds the first shard; only days are made by all, since events that come on a day without a part of its own keep that
//! from being made. Nothing is harmed where two do it for a moment.

use std::{sync::Arc, time::Duration};

use sqlx::{AssertSqlSafe, PgConnection};
use tidings_domain::shard::Shard;
use tokio_util::sync::CancellationToken;

use super::{
    Shared, ingest::turn, known_items, partitions, pool::Purpose, trouble::Undone, webhooks,
};
use crate::StoreError;

/// How often it is looked for what removed webhooks and subscriptions have left behind.
const OFTEN: Duration = Duration::from_secs(1);

/// How often the rest is done.
const SELDOM: Duration = Duration::from_mins(10);

/// How long changes are kept for nodes that were away; one that was away for longer reads everything again.
const CHANGES_KEPT_MS: i64 = 3_600_000;

/// How long a node that is gone can still be looked up. Every look passes over those, and one that dies at each start
/// leaves one each time.
const NODES_KEPT_MS: i64 = 3_600_000;

/// Works until the store is closed.
pub(super) async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    let mut seldom_at = shared.timer.monotonic() + Duration::from_secs(30);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = shared.timer.sleep(OFTEN) => {}
        }
        let is_the_one = shared.holdings.may_act(Shard::FIRST);
        if is_the_one && let Err(error) = leftovers(&shared).await {
            tracing::debug!(%error, "what was removed has left something that cannot be removed now: it is tried again");
        }
        let now = shared.timer.monotonic();
        if now < seldom_at {
            continue;
        }
        seldom_at = now + SELDOM;
        let done = async {
            partitions::make_ahead(&shared).await?;
            if is_the_one {
                remove_old(&shared).await?;
            }
            Ok::<_, StoreError>(())
        };
        if let Err(error) = done.await {
            tracing::debug!(%error, "upkeep of the database failed: it is tried again");
        }
    }
}

async fn leftovers(shared: &Shared) -> Result<(), StoreError> {
    loop {
        let lent = shared.pool.lend(Purpose::Asking).await?;
        let more = lent
            .run(async |sql| {
                Ok(webhooks::remove_leftovers(sql).await?
                    || known_items::remove_leftovers(sql).await?)
            })
            .await?;
        if !more {
            return Ok(());
        }
    }
}

async fn remove_old(shared: &Shared) -> Result<(), StoreError> {
    let lent = shared.pool.lend(Purpose::Asking).await?;
    lent.run(async |sql| {
        for (statement, kept) in [
            (
                "DELETE FROM changes WHERE at < database_ms() - $1",
                CHANGES_KEPT_MS,
            ),
            (
                "DELETE FROM nodes WHERE seen_at < database_ms() - $1",
                NODES_KEPT_MS,
            ),
        ] {
            sqlx::query(statement).bind(kept).execute(&mut *sql).await?;
        }
        empty_old_keys(sql).await
    })
    .await?;
    Ok(())
}

/// Empties the table of dedup keys whose turn comes next. Which one that is, is asked in the same breath, so that a node
/// that stood still for a day cannot empty the one that is in use; and around midnight nothing is done.
async fn empty_old_keys(sql: &mut PgConnection) -> Result<(), Undone> {
    let text = format!(
        "DO $$
         DECLARE
             past bigint := database_ms() % 86400000;
             stale smallint := ({today} + 1) % 3;
             used boolean;
         BEGIN
             IF past BETWEEN 3600000 AND 82800000 THEN
                 EXECUTE format('SELECT EXISTS (SELECT 1 FROM dedup_%s)', stale) INTO used;
                 IF used THEN
                     EXECUTE format('TRUNCATE dedup_%s', stale);
                 END IF;
             END IF;
         END $$",
        today = turn!(today)
    );
    sqlx::raw_sql(AssertSqlSafe(text)).execute(sql).await?;
    Ok(())
}
