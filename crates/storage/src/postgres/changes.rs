//! How the other nodes learn of changes to what is configured: numbered in the order of their commits.
//!
//! The counter's row is locked from its rising to the commit, so that whoever has seen a number has seen all before it.
//! Configured rows are few and change seldom; nothing that flows touches the counter.

use sqlx::{PgConnection, Row as _, postgres::PgRow};

use super::trouble::Undone;
use crate::{Changed, Signal};

/// Makes of a statement that changes a configured row one that says so to the other nodes, in the same transaction.
///
/// The statement uses `$4` and up, and must end in a RETURNING; `$1` to `$3` are the kind, the id and the node, as
/// [`Noted::of`] gives them. What it returned is the answer.
macro_rules! noting {
    ($statement:expr) => {
        noting!("", $statement)
    };
    // With something that is done beside it, as a part of WITH that ends in a comma.
    ($beside:literal, $statement:expr) => {
        noting!($beside, $statement, "")
    };
    // And with what follows from it, as further parts of WITH that begin with a comma.
    ($beside:literal, $statement:expr, $after:expr) => {
        concat!(
            "WITH ", $beside, " done AS (", $statement, ")", $after, ",
             counted AS (UPDATE change_counter SET value = value + 1 WHERE EXISTS (SELECT 1 FROM done) RETURNING value),
             noted AS (INSERT INTO changes (number, at, node, kind, id)
                 SELECT value, database_ms(), $3, $1, $2 FROM counted)
             SELECT * FROM done"
        )
    };
}
pub(super) use noting;

/// What other nodes read of a change.
pub(super) struct Noted {
    pub(super) kind: &'static str,
    pub(super) id: String,
}

impl Noted {
    pub(super) fn of(changed: Changed) -> Self {
        let (kind, id) = match changed {
            Changed::Connection(id) => ("connection", id.to_string()),
            Changed::Environment(id) => ("environment", id.to_string()),
            Changed::Integration(id) => ("integration", id.to_string()),
            Changed::Subscription(id) => ("subscription", id.to_string()),
            Changed::Webhook(id) => ("webhook", id.to_string()),
        };
        Self { kind, id }
    }
}

/// The number of the last change.
pub(super) async fn newest(sql: &mut PgConnection) -> Result<i64, Undone> {
    let (number,): (i64,) = sqlx::query_as("SELECT value FROM change_counter")
        .fetch_one(sql)
        .await?;
    Ok(number)
}

/// The changes after number `seen` that other nodes made, and the last number read.
pub(super) async fn after(
    sql: &mut PgConnection,
    seen: i64,
    node: &str,
) -> Result<(Vec<Signal>, i64), Undone> {
    let rows = sqlx::query(
        "SELECT number, node, kind, id FROM changes WHERE number > $1 ORDER BY number LIMIT 1000",
    )
    .bind(seen)
    .fetch_all(sql)
    .await?;
    let mut last = seen;
    let mut signals = Vec::new();
    for row in &rows {
        let number: i64 = row.try_get("number")?;
        if number != last + 1 {
            // Those between have been removed: this node was away for long.
            signals.push(Signal::ChangedSomehow);
        }
        last = number;
        let by: &str = row.try_get("node")?;
        if by != node {
            signals.push(read(row)?.map_or(Signal::ChangedSomehow, Signal::Changed));
        }
    }
    Ok((signals, last))
}

/// What was changed; `None` if a later version knows a kind that this one does not.
fn read(row: &PgRow) -> Result<Option<Changed>, sqlx::Error> {
    let id: &str = row.try_get("id")?;
    Ok(match row.try_get::<&str, _>("kind")? {
        "connection" => id.parse().ok().map(Changed::Connection),
        "environment" => id.parse().ok().map(Changed::Environment),
        "integration" => id.parse().ok().map(Changed::Integration),
        "subscription" => id.parse().ok().map(Changed::Subscription),
        "webhook" => id.parse().ok().map(Changed::Webhook),
        _ => None,
    })
}
