//! What deliver reads and writes.

use std::{borrow::Cow, collections::HashSet};

use sqlx::{PgConnection, Row as _, postgres::PgRow};
use tidings_domain::{
    Timestamp,
    delivery::{DeadReason, Delivery},
    ids::{DeliveryId, WebhookId},
    shard::Shard,
};

use super::{
    Shared, deliveries,
    row::{self, Columns, text_if_any},
    trouble::Undone,
    writer::Grouped,
};
use crate::{
    Lease, StoreError,
    record::{AfterAttempt, AttemptResult, DueDelivery, HealthChange},
};

/// How many bytes of bodies one answer holds at most.
const ANSWER_BYTES: i64 = 16 << 20;

pub(super) async fn webhooks_with_pending(
    shared: &Shared,
    sql: &mut PgConnection,
) -> Result<Vec<(WebhookId, Timestamp)>, Undone> {
    let shards: Vec<i16> = shared
        .holdings
        .shards()
        .iter()
        .map(|shard| i16::from(shard.get()))
        .collect();
    // One look into the index per webhook, however many deliveries wait.
    let rows = sqlx::query(
        "SELECT w.id, d.due_at FROM webhooks w CROSS JOIN LATERAL (
             SELECT due_at FROM deliveries WHERE webhook_id = w.id AND state = 'pending' ORDER BY due_at, seq LIMIT 1) d
         WHERE w.disabled_reason IS NULL AND w.shard = ANY($1)",
    )
    .bind(shards)
    .fetch_all(sql)
    .await?;
    rows.iter()
        .map(|row| {
            let mut columns = Columns::new(row);
            Ok((columns.parsed()?, columns.time()?))
        })
        .collect()
}

/// First the places, from the index; then how large the bodies are; then the bodies that fit. A place whose event is gone
/// comes without one.
const DUE: &str = "WITH picked AS MATERIALIZED (
         SELECT d.seq, d.id, d.attempts, d.due_at, d.event_seq, d.created_at FROM deliveries d
         WHERE d.webhook_id = $1 AND d.state = 'pending' AND d.due_at <= $2 AND (d.due_at, d.seq) > ($5, $6)
             AND EXISTS (SELECT 1 FROM webhooks w WHERE w.id = $1 AND w.disabled_reason IS NULL)
         ORDER BY d.due_at, d.seq LIMIT $3)
     SELECT id, event_id, attempts, due_at, checksum, body, seq, (SELECT count(*) FROM picked) AS picked FROM (
         SELECT p.seq, p.id, e.id AS event_id, p.attempts, p.due_at, e.checksum, e.body,
             sum(coalesce(octet_length(e.body), 0)) OVER (ORDER BY p.due_at, p.seq)
                 - coalesce(octet_length(e.body), 0) AS before
         FROM picked p LEFT JOIN LATERAL (
             SELECT id, checksum, body FROM events WHERE seq = p.event_seq AND created_at = p.created_at OFFSET 0) e
             ON true) sized
     WHERE before < $4 ORDER BY due_at, seq";

pub(super) async fn due(
    shared: &Shared,
    sql: &mut PgConnection,
    webhook: WebhookId,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<DueDelivery>, Undone> {
    let Some(lease) = shared.holdings.lease(Shard::of_webhook(webhook)) else {
        return Ok(Vec::new());
    };
    let limit = i64::from(limit);
    let (mut found, mut room, mut bytes) = (Vec::new(), limit, ANSWER_BYTES);
    let mut after = (i64::MIN, i64::MIN);
    // Fewer than `limit` means that there are no more: what is damaged must not count, or those behind it would wait.
    while room > 0 && bytes > 0 {
        let rows = sqlx::query(DUE)
            .bind(webhook.to_string())
            .bind(now.as_millis())
            .bind(room)
            .bind(bytes)
            .bind(after.0)
            .bind(after.1)
            .fetch_all(&mut *sql)
            .await?;
        let Some(last) = rows.last() else {
            break;
        };
        after = (last.try_get("due_at")?, last.try_get("seq")?);
        let picked: i64 = last.try_get("picked")?;
        let all = usize::try_from(picked).is_ok_and(|picked| picked == rows.len());
        let were_last = all && picked < room;
        for row in &rows {
            if let Some(delivery) = row::unless_damaged(read_due(row, webhook, lease))? {
                room -= 1;
                bytes = bytes.saturating_sub_unsigned(delivery.body.len() as u64);
                found.push(delivery);
            }
        }
        if were_last {
            break;
        }
    }
    Ok(found)
}

fn read_due(row: &PgRow, webhook: WebhookId, lease: Lease) -> Result<DueDelivery, Undone> {
    let mut columns = Columns::new(row);
    Ok(DueDelivery {
        id: columns.parsed()?,
        webhook,
        event: columns.parsed()?,
        attempts: columns.count()?,
        due_at: columns.time()?,
        body: columns.checked_bytes()?,
        lease,
    })
}

pub(super) async fn next_due(
    shared: &Shared,
    sql: &mut PgConnection,
    webhook: WebhookId,
    now: Timestamp,
) -> Result<Option<Timestamp>, Undone> {
    if !shared.holdings.may_act(Shard::of_webhook(webhook)) {
        return Ok(None);
    }
    let (due_at,): (Option<i64>,) = sqlx::query_as(
        "SELECT min(due_at) FROM deliveries WHERE webhook_id = $1 AND state = 'pending' AND due_at > $2",
    )
    .bind(webhook.to_string())
    .bind(now.as_millis())
    .fetch_one(sql)
    .await?;
    Ok(due_at.map(Timestamp::from_millis))
}

/// What came of an attempt.
pub(super) struct Attempted(pub(super) AttemptResult);

/// `$1` … the deliveries and their leases, `$4` this node, `$5` … the attempts and what follows. Webhooks change seldom; the
/// other nodes hear of it, and the counter's row is locked after theirs.
const ATTEMPTED: &str = "WITH input AS MATERIALIZED (
         SELECT * FROM unnest($1::text[], $2::smallint[], $3::bigint[], $5::text[], $6::integer[], $7::bigint[],
             $8::bigint[], $9::text[], $10::integer[], $11::text[], $12::bytea[], $13::text[], $14::text[],
             $15::bigint[], $16::bigint[], $17::text[], $18::text[], $19::text[], $20::bigint[])
             WITH ORDINALITY AS i(delivery_id, shard, epoch, id, number, started_at, took_ms, outcome, status, error,
                 answer, state, dead_reason, due_at, finished_at, webhook_id, health, reason, since, place)),
     held AS MATERIALIZED (
         SELECT shard, epoch FROM shards WHERE shard = ANY($2) AND node = $4 ORDER BY shard FOR KEY SHARE),
     found AS MATERIALIZED (
         SELECT d.seq, i.* FROM input i JOIN held h ON h.shard = i.shard AND h.epoch = i.epoch
             JOIN deliveries d ON d.id = i.delivery_id),
     kept AS (
         INSERT INTO attempts (id, delivery_seq, number, started_at, took_ms, outcome, status, error, answer)
         SELECT id, seq, number, started_at, took_ms, outcome, status, error, answer FROM (
             SELECT * FROM found ORDER BY place) f
         ON CONFLICT DO NOTHING
         RETURNING delivery_seq),
     changed AS (
         UPDATE deliveries d SET state = f.state, dead_reason = f.dead_reason, attempts = d.attempts + 1,
             due_at = f.due_at, last_status = f.status, finished_at = f.finished_at
         FROM found f JOIN kept k ON k.delivery_seq = f.seq
         WHERE d.seq = f.seq AND d.state NOT IN ('delivered', 'dead')),
     healths AS MATERIALIZED (
         SELECT f.webhook_id, bool_or(f.health = 'healthy') AS healthy,
             min(f.since) FILTER (WHERE f.health = 'failing') AS failing,
             min(f.reason) FILTER (WHERE f.health = 'disable') AS reason,
             min(f.since) FILTER (WHERE f.health = 'disable') AS disabled
         FROM found f JOIN kept k ON k.delivery_seq = f.seq WHERE f.health IS NOT NULL GROUP BY f.webhook_id),
     locked AS MATERIALIZED (
         SELECT w.seq, h.* FROM healths h JOIN webhooks w ON w.id = h.webhook_id ORDER BY w.seq FOR NO KEY UPDATE OF w),
     webhook AS (
         UPDATE webhooks w SET
             failing_since = CASE WHEN l.failing IS NOT NULL THEN least(w.failing_since, l.failing)
                 WHEN l.healthy THEN NULL ELSE w.failing_since END,
             disabled_reason = coalesce(w.disabled_reason, l.reason),
             disabled_since = CASE WHEN w.disabled_reason IS NULL AND l.reason IS NOT NULL THEN l.disabled
                 ELSE w.disabled_since END
         FROM locked l WHERE w.seq = l.seq RETURNING w.id),
     told AS MATERIALIZED (
         SELECT id, row_number() OVER (ORDER BY id) AS nth, count(*) OVER () AS n FROM webhook),
     counted AS (
         UPDATE change_counter SET value = value + (SELECT max(n) FROM told) WHERE EXISTS (SELECT 1 FROM told)
         RETURNING value),
     noted AS (
         INSERT INTO changes (number, at, node, kind, id)
         SELECT c.value - t.n + t.nth, database_ms(), $4, 'webhook', t.id FROM counted c, told t)
     SELECT h.shard IS NOT NULL FROM input i LEFT JOIN held h ON h.shard = i.shard AND h.epoch = i.epoch
     ORDER BY i.place";

/// The columns that go into the statement as arrays.
#[derive(Default)]
struct Arrays<'a> {
    delivery: Vec<String>,
    shard: Vec<i16>,
    epoch: Vec<i64>,
    id: Vec<String>,
    number: Vec<i32>,
    started_at: Vec<i64>,
    took: Vec<i64>,
    outcome: Vec<&'static str>,
    status: Vec<Option<i32>>,
    error: Vec<Option<Cow<'a, str>>>,
    answer: Vec<&'a [u8]>,
    state: Vec<&'static str>,
    dead_reason: Vec<Option<&'static str>>,
    due_at: Vec<Option<i64>>,
    finished_at: Vec<Option<i64>>,
    webhook: Vec<String>,
    health: Vec<Option<&'static str>>,
    reason: Vec<Option<&'static str>>,
    since: Vec<Option<i64>>,
}

impl<'a> Arrays<'a> {
    fn push(&mut self, result: &'a AttemptResult) {
        let attempt = &result.attempt;
        let ended_at = (attempt.started_at + attempt.took).as_millis();
        self.delivery.push(result.delivery.to_string());
        self.shard.push(i16::from(result.lease.shard().get()));
        self.epoch.push(result.lease.epoch());
        self.id.push(attempt.id.to_string());
        self.number
            .push(i32::try_from(attempt.number).unwrap_or(i32::MAX));
        self.started_at.push(attempt.started_at.as_millis());
        self.took
            .push(i64::try_from(attempt.took.as_millis()).unwrap_or(i64::MAX));
        self.outcome.push(attempt.outcome.as_str());
        self.status.push(attempt.status.map(i32::from));
        self.error.push(text_if_any(attempt.error.as_deref()));
        self.answer.push(&attempt.answer);
        let (state, reason, due_at, finished_at) = match result.next {
            AfterAttempt::Retry(due_at) => ("pending", None, Some(due_at.as_millis()), None),
            AfterAttempt::Delivered => ("delivered", None, None, Some(ended_at)),
            AfterAttempt::Dead(reason) => ("dead", Some(reason), None, Some(ended_at)),
        };
        self.state.push(state);
        self.dead_reason.push(reason.map(DeadReason::as_str));
        self.due_at.push(due_at);
        self.finished_at.push(finished_at);
        self.webhook.push(result.webhook.to_string());
        let (health, reason, since) = match result.health {
            HealthChange::None => (None, None, None),
            HealthChange::Healthy => (Some("healthy"), None, None),
            HealthChange::Failing(since) => (Some("failing"), None, Some(since.as_millis())),
            HealthChange::Disable(reason) => {
                (Some("disable"), Some(reason.as_str()), Some(ended_at))
            }
        };
        self.health.push(health);
        self.reason.push(reason);
        self.since.push(since);
    }
}

impl Grouped for Attempted {
    type Answer = ();

    fn rows(&self) -> usize {
        2
    }

    fn bytes(&self) -> usize {
        self.0.attempt.answer.len()
    }

    async fn write(
        shared: &Shared,
        sql: &mut PgConnection,
        together: &[Self],
    ) -> Result<Vec<Result<(), StoreError>>, Undone> {
        let mut answers: Vec<Option<Result<(), StoreError>>> = vec![None; together.len()];
        let mut left: Vec<usize> = (0..together.len()).collect();
        // One statement changes a row once: attempts of the same delivery, or changes to the health of the same webhook,
        // go one after the other. Both are rare.
        while !left.is_empty() {
            let (mut deliveries, mut webhooks) = (HashSet::new(), HashSet::new());
            let (now, later): (Vec<usize>, Vec<usize>) = left.iter().partition(|&&place| {
                let result = &together[place].0;
                deliveries.insert(result.delivery)
                    && (result.health == HealthChange::None || webhooks.insert(result.webhook))
            });
            let held =
                write_round(shared, sql, now.iter().map(|&place| &together[place].0)).await?;
            for (place, held) in now.into_iter().zip(held) {
                let result = &together[place].0;
                answers[place] = Some(if held {
                    Ok(())
                } else {
                    Err(StoreError::Fenced {
                        shard: result.lease.shard(),
                    })
                });
                if held && result.health != HealthChange::None {
                    shared.hints.look();
                }
            }
            left = later;
        }
        Ok(answers.into_iter().flatten().collect())
    }
}

async fn write_round<'a>(
    shared: &Shared,
    sql: &mut PgConnection,
    results: impl Iterator<Item = &'a AttemptResult>,
) -> Result<Vec<bool>, Undone> {
    let mut arrays = Arrays::default();
    for result in results {
        arrays.push(result);
    }
    let rows: Vec<(bool,)> = sqlx::query_as(ATTEMPTED)
        .bind(arrays.delivery)
        .bind(arrays.shard)
        .bind(arrays.epoch)
        .bind(&shared.node)
        .bind(arrays.id)
        .bind(arrays.number)
        .bind(arrays.started_at)
        .bind(arrays.took)
        .bind(arrays.outcome)
        .bind(arrays.status)
        .bind(arrays.error)
        .bind(arrays.answer)
        .bind(arrays.state)
        .bind(arrays.dead_reason)
        .bind(arrays.due_at)
        .bind(arrays.finished_at)
        .bind(arrays.webhook)
        .bind(arrays.health)
        .bind(arrays.reason)
        .bind(arrays.since)
        .fetch_all(sql)
        .await?;
    Ok(rows.into_iter().map(|(held,)| held).collect())
}

pub(super) async fn redeliver(
    shared: &Shared,
    sql: &mut PgConnection,
    id: DeliveryId,
    now: Timestamp,
) -> Result<Option<Delivery>, Undone> {
    let found: Option<(String, bool)> = sqlx::query_as(
        "WITH found AS MATERIALIZED (
             SELECT d.seq, d.webhook_id, w.id IS NOT NULL AS there
             FROM deliveries d LEFT JOIN webhooks w ON w.id = d.webhook_id WHERE d.id = $1),
         again AS (
             UPDATE deliveries d SET state = 'pending', dead_reason = NULL, attempts = 0, due_at = $2, finished_at = NULL
             FROM found f WHERE d.id = $1 AND d.seq = f.seq AND f.there)
         SELECT webhook_id, there FROM found",
    )
    .bind(id.to_string())
    .bind(now.as_millis())
    .fetch_optional(&mut *sql)
    .await?;
    let Some((webhook, there)) = found else {
        return Ok(None);
    };
    if !there {
        return Err(Undone::Refused(StoreError::Missing {
            what: format!("webhook {webhook}"),
        }));
    }
    shared.hints.due(webhook.parse());
    deliveries::one(sql, id).await
}
