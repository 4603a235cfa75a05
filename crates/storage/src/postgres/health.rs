//! What the store says of itself.
//!
//! It has a connection of its own, so that however much is asked of the store, whoever wants to know whether it works
//! hears so; and of many who ask at one time one asks the database.

use std::time::Duration;

use sqlx::PgConnection;
use tidings_domain::{Timestamp, clock::within};
use tokio::sync::{Mutex, MutexGuard};

use super::{
    PostgresStore, Shared, database,
    pool::closed,
    trouble::{Trouble, Undone},
};
use crate::{StoreError, record::StoreHealth};

/// How long the database may take to answer anything at all.
const WAIT: Duration = Duration::from_millis(750);

/// How long it may take to count. What it cannot count by then is given as it was counted last.
const COUNTING: Duration = Duration::from_millis(250);

/// Counting stops here: what is beyond is many.
const MOST: i64 = 100_000;

/// What is kept between two questions.
#[derive(Default)]
pub(super) struct Health(Mutex<State>);

#[derive(Default)]
struct State {
    sql: Option<PgConnection>,
    /// The last answer of all, and when it was asked for.
    last: Option<(Duration, StoreHealth)>,
}

impl Health {
    pub(super) async fn close(&self) {
        if let Some(sql) = self.0.lock().await.sql.take() {
            database::close(sql).await;
        }
    }
}

impl PostgresStore {
    /// Of all nodes together: what waits, waits for whoever holds its shard.
    pub(super) async fn ask_health(&self) -> StoreHealth {
        let (shared, timer) = (&*self.shared, &*self.shared.timer);
        let came = timer.monotonic();
        let mut state = match within(timer, WAIT, reach(shared, came)).await {
            Ok(Ok(Reached::Known(health))) => return health,
            Ok(Ok(Reached::Now(state))) => state,
            Ok(Err(error)) => return trouble(error.to_string()),
            Err(_) => {
                let why = shared.pool.trouble();
                return trouble(why.unwrap_or_else(|| "the database does not answer".to_owned()));
            }
        };
        let begun = timer.monotonic();
        let mut health = StoreHealth::default();
        // Taken out: should it take too long, the connection is of no more use.
        if let Some(mut sql) = state.sql.take() {
            if let Ok(Ok(counted)) = within(timer, COUNTING, count(&mut sql)).await {
                health = counted;
                state.sql = Some(sql);
            } else if let Some((_, last)) = state.last.take() {
                health = last;
            }
        }
        state.last = Some((begun, health.clone()));
        health
    }
}

enum Reached<'a> {
    /// Somebody else has asked since this one came.
    Known(StoreHealth),
    /// The database has answered on the connection in there.
    Now(MutexGuard<'a, State>),
}

/// Has the database answer.
async fn reach(shared: &Shared, came: Duration) -> Result<Reached<'_>, StoreError> {
    let mut state = shared.health.0.lock().await;
    if shared.pool.is_closed() {
        return Err(closed());
    }
    if let Some((begun, health)) = &state.last
        && *begun > came
    {
        return Ok(Reached::Known(health.clone()));
    }
    // It stays out of there until it has answered: whoever gives up on it closes it.
    if let Some(mut sql) = state.sql.take() {
        match sqlx::query("SELECT").execute(&mut sql).await {
            Ok(_) => {
                state.sql = Some(sql);
                return Ok(Reached::Now(state));
            }
            // It may have died long ago.
            Err(error) if Trouble::of(&error) == Trouble::Lost => {}
            Err(error) => return Err(Undone::from(error).into()),
        }
    }
    state.sql = Some(shared.pool.connect().await?);
    Ok(Reached::Now(state))
}

fn trouble(trouble: String) -> StoreHealth {
    StoreHealth {
        trouble: Some(trouble),
        ..StoreHealth::default()
    }
}

async fn count(sql: &mut PgConnection) -> Result<StoreHealth, Undone> {
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
