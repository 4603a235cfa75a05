//! What is known of subscriptions of which Graph tells nothing.

use sqlx::PgConnection;
use tidings_domain::{Timestamp, ids::SubscriptionId};

use super::{
    Shared,
    events::{Made, bind_made, making},
    reconcile::{asking, set},
    trouble::Undone,
};
use crate::record::{AskReconcile, NewEvent, Seq};

const SUSPECT: &str = concat!(
    "UPDATE reconciles r SET silent_since = $2, silence_told = false, ",
    asking!("w"),
    " FROM (SELECT $3::bigint AS due_at, $4::bigint AS asked_at, $5::text AS reason, $6::boolean AS deliver_existing) w
     WHERE r.subscription_id = $1 AND r.silent_since IS NULL RETURNING r.shard"
);

pub(super) async fn suspect(
    shared: &Shared,
    sql: &mut PgConnection,
    id: SubscriptionId,
    since: Timestamp,
    ask: &AskReconcile,
) -> Result<bool, Undone> {
    let shard: Option<(i16,)> = sqlx::query_as(SUSPECT)
        .bind(id.to_string())
        .bind(since.as_millis())
        .bind(ask.due_at.as_millis())
        .bind(ask.asked_at.as_millis())
        .bind(ask.reason.as_str())
        .bind(ask.deliver_existing)
        .fetch_optional(sql)
        .await?;
    let Some((shard,)) = shard else {
        return Ok(false);
    };
    shared.hints.reconcile(set(std::iter::once(shard)));
    Ok(true)
}

/// `$5` … the events.
const TELL: &str = concat!(
    "WITH done AS (
         UPDATE reconciles SET silence_told = $3, patience = $2
         WHERE subscription_id = $1 AND silent_since IS NOT NULL AND silence_told = $4 RETURNING seq), ",
    making!("CROSS JOIN done"),
    " SELECT seq FROM done"
);

pub(super) async fn tell(
    shared: &Shared,
    sql: &mut PgConnection,
    id: SubscriptionId,
    patience: u32,
    events: &[NewEvent],
) -> Result<bool, Undone> {
    let mut made = Made::default();
    for new in events {
        made.push(Seq::default(), new);
    }
    let query = sqlx::query(TELL)
        .bind(id.to_string())
        .bind(i32::try_from(patience).unwrap_or(i32::MAX))
        .bind(true)
        .bind(false);
    let told = bind_made!(query, made).fetch_optional(sql).await?.is_some();
    if told {
        let to = events.iter().flat_map(|new| &new.deliveries);
        shared.hints.due(to.map(|delivery| delivery.webhook));
    }
    Ok(told)
}

pub(super) async fn end(sql: &mut PgConnection, id: SubscriptionId) -> Result<(), Undone> {
    sqlx::query(
        "UPDATE reconciles SET silent_since = NULL, silence_told = false WHERE subscription_id = $1",
    )
    .bind(id.to_string())
    .execute(sql)
    .await?;
    Ok(())
}
