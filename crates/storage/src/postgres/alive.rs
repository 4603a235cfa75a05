//! Which nodes are there, for an even share.
//!
//! A lease says for how long a node may act; it does not say that the node is there. That the database knows at once: each
//! node holds an advisory lock for as long as its connection lives, and the end of the process ends that.
//!
//! A node that died without leaving and is started again is on trial until its former run would have lost its leases: the
//! others give it nothing, and take what is free without regard to it. Else one that dies at each start would be given a
//! share each time, and nobody would work on that until the leases have run out.

use sqlx::PgConnection;

use super::trouble::Undone;

/// The first half of the names of our advisory locks, "tdng"; the second is a hash of the node. (Migrations and days of
/// events have names of one piece, which are others.)
const LOCKS: i32 = i32::from_be_bytes(*b"tdng");

/// Says that `node` is there, as long as the connection lives. `false` if the database takes a former connection of it to
/// be alive still: then that says so, and it is to be tried again.
pub(super) async fn announce(sql: &mut PgConnection, node: &str) -> Result<bool, Undone> {
    let (held,): (bool,) = sqlx::query_as("SELECT pg_try_advisory_lock($1, hashtext($2))")
        .bind(LOCKS)
        .bind(node)
        .fetch_one(sql)
        .await?;
    Ok(held)
}

/// What a look at the database shows.
pub(super) struct Look {
    /// The number of the last change.
    pub(super) changes: i64,
    /// Shards that nobody holds.
    pub(super) free: i64,
    /// Nodes that are there.
    pub(super) nodes: i64,
    /// How many of these are not on trial.
    pub(super) settled: i64,
    /// Whether this one is.
    pub(super) on_trial: bool,
}

/// Looks on behalf of `node`. A node that was last seen longer ago than `lease`, in milliseconds, has been forgotten.
pub(super) async fn look(sql: &mut PgConnection, node: &str, lease: i64) -> Result<Look, Undone> {
    let (changes, free, nodes, settled, on_trial) = sqlx::query_as(
        "WITH locks AS MATERIALIZED (
             SELECT objid FROM pg_locks WHERE locktype = 'advisory' AND classid = $1::oid AND objsubid = 2 AND granted
                 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())),
         known AS MATERIALIZED (
             SELECT id, name, started_at, seen_at, hashtext(id)::oid IN (SELECT objid FROM locks) AS alive
             FROM nodes WHERE seen_at > (SELECT database_ms()) - $3),
         alive AS MATERIALIZED (
             SELECT n.id, EXISTS (
                 SELECT 1 FROM known p WHERE NOT p.alive AND p.name = n.name AND p.seen_at < n.started_at) AS on_trial
             FROM known n WHERE n.alive)
         SELECT (SELECT value FROM change_counter),
             (SELECT count(*) FROM shards WHERE node IS NULL OR expires_at < (SELECT database_ms())),
             count(*), count(*) FILTER (WHERE NOT on_trial), coalesce(bool_or(on_trial) FILTER (WHERE id = $2), false)
         FROM alive",
    )
    .bind(LOCKS)
    .bind(node)
    .bind(lease)
    .fetch_one(sql)
    .await?;
    Ok(Look {
        changes,
        free,
        nodes,
        settled,
        on_trial,
    })
}
