//! What enrich reads and writes.

use std::sync::{MutexGuard, PoisonError};

use sqlx::{PgConnection, Row as _, postgres::PgRow};
use tidings_domain::{Timestamp, shard::Shard};

use super::{
    Shared,
    events::{Made, bind_made, making},
    notes::{Notes, bind_notes, noting_down},
    notifications,
    queue::Reading,
    row::{self, Columns, corrupt},
    told::{ToldItems, bind_told, told},
    trouble::Undone,
    writer::Grouped,
};
use crate::{
    Lease, StoreError,
    record::{KeyedHash, Outcome, QueuedNotification, Seq},
};

/// How many bytes of items one answer holds at most: an item can be as large as a POST.
const ANSWER_BYTES: i64 = 16 << 20;

macro_rules! columns {
    () => {
        concat!(
            "q.seq AS place, q.shard, q.due_at, q.failures, q.client_state_hash, ",
            notifications::columns!(),
            ", n.checksum, n.item"
        )
    };
}

/// First only places, from the narrow table; then the rows, as many as fit. Each row knows how large the answer is with
/// those before it. The snapshot is that in which the places were looked for.
const QUEUED: &str = concat!(
    "WITH picked AS MATERIALIZED (
         (SELECT seq FROM queue WHERE seq > $1 AND seq <= $2 AND shard = ANY($3) AND seq <> ALL($4))
         UNION ALL
         (SELECT seq FROM queue WHERE seq > $2 AND shard = ANY($3) ORDER BY seq LIMIT $5)),
     sized AS MATERIALIZED (
         SELECT p.seq, sum(octet_length(n.item)) OVER (ORDER BY p.seq) - octet_length(n.item) AS before
         FROM picked p JOIN notifications n ON n.seq = p.seq)
     SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS oldest, (SELECT count(*) FROM sized) AS picked,
         r.* FROM (SELECT 1) one LEFT JOIN (
         SELECT ",
    columns!(),
    " FROM sized s JOIN queue q ON q.seq = s.seq JOIN notifications n ON n.seq = s.seq
         WHERE s.before < $6) r ON true ORDER BY r.place"
);

const QUEUED_AT: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM unnest($1::bigint[]) WITH ORDINALITY AS w(seq, wanted)
         JOIN queue q ON q.seq = w.seq JOIN notifications n ON n.seq = q.seq
     WHERE q.shard = ANY($2) ORDER BY w.wanted"
);

pub(super) async fn queued(
    shared: &Shared,
    sql: &mut PgConnection,
    after: Seq,
    limit: u32,
) -> Result<Vec<QueuedNotification>, Undone> {
    let mut after = after.0;
    let turns = shared.pool.history().turns();
    loop {
        sample(shared, sql, turns).await?;
        let leases = shared.holdings.leases();
        let Some(wanted) = reading(shared, turns).map(|mut reading| reading.wanted(after)) else {
            return Ok(Vec::new());
        };
        let rows = sqlx::query(QUEUED)
            .bind(wanted.floor)
            .bind(wanted.after)
            .bind(row::shards(&leases))
            .bind(wanted.given)
            .bind(i64::from(limit))
            .bind(ANSWER_BYTES)
            .fetch_all(&mut *sql)
            .await?;
        let (Some(first), mut places) = (rows.first(), Vec::new()) else {
            return Ok(Vec::new());
        };
        let oldest: i64 = first.try_get("oldest")?;
        let picked: i64 = first.try_get("picked")?;
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            let Some(place) = row.try_get::<Option<i64>, _>("place")? else {
                break;
            };
            places.push(place);
            found.extend(row::unless_damaged(read(row, 2, &leases))?.flatten());
        }
        // Too large to be given at once: what was late and had no room must be looked for again.
        let all = usize::try_from(picked).is_ok_and(|picked| picked == places.len());
        let complete = all || places.last().is_some_and(|&last| last > after);
        if let Some(mut reading) = reading(shared, turns) {
            reading.given(&places, oldest, complete);
            shared.pool.history().read_place(reading.highest());
        }
        if !found.is_empty() || places.is_empty() {
            return Ok(found);
        }
        // All of these are damaged: others must not wait for them.
        after = after.max(places.last().copied().unwrap_or(after));
    }
}

/// Gets a transaction id, if it is time for one, so that the floor can rise.
async fn sample(shared: &Shared, sql: &mut PgConnection, turns: u64) -> Result<(), Undone> {
    let now = shared.timer.monotonic();
    let Some(highest) = reading(shared, turns).and_then(|mut reading| reading.wants_sample(now))
    else {
        return Ok(());
    };
    let (id,): (i64,) = sqlx::query_as("SELECT pg_current_xact_id()::text::bigint")
        .fetch_one(sql)
        .await?;
    if let Some(mut reading) = reading(shared, turns) {
        reading.sampled(id, highest);
    }
    Ok(())
}

/// How far the queue has been read; `None` if the database has gone on from an earlier state since its history had so many
/// turns.
fn reading(shared: &Shared, turns: u64) -> Option<MutexGuard<'_, Reading>> {
    let mut reading = shared
        .reading
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if reading.turns() < turns {
        *reading = Reading::since(turns);
    }
    Some(reading).filter(|reading| reading.turns() == turns)
}

pub(super) async fn queued_at(
    shared: &Shared,
    sql: &mut PgConnection,
    places: &[Seq],
) -> Result<Vec<QueuedNotification>, Undone> {
    let leases = shared.holdings.leases();
    let wanted: Vec<i64> = places.iter().map(|place| place.0).collect();
    let rows = sqlx::query(QUEUED_AT)
        .bind(wanted)
        .bind(row::shards(&leases))
        .fetch_all(sql)
        .await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        found.extend(row::unless_damaged(read(row, 0, &leases))?.flatten());
    }
    Ok(found)
}

/// Reads a row whose own columns begin after `skipped` others; `None` if its shard is none of `leases`.
fn read(
    row: &PgRow,
    skipped: usize,
    leases: &[Lease],
) -> Result<Option<QueuedNotification>, Undone> {
    let mut columns = Columns::new(row);
    for _ in 0..skipped {
        columns.skip();
    }
    columns.skip();
    let shard: i16 = columns.value()?;
    let lease = leases
        .iter()
        .find(|lease| i16::from(lease.shard().get()) == shard);
    let Some(&lease) = lease else {
        return Ok(None);
    };
    let due_at = columns.time()?;
    let failures = columns.count()?;
    let hash: Option<&[u8]> = columns.value()?;
    let client_state_hash = hash
        .map(|hash| hash.try_into().map(KeyedHash))
        .transpose()
        .map_err(|_| corrupt(4, &"a keyed hash has 32 bytes"))?;
    let seq = Seq(columns.value()?);
    let mut notification = notifications::read(&mut columns)?;
    notification.item = columns.checked_bytes()?;
    Ok(Some(QueuedNotification {
        seq,
        due_at,
        failures,
        client_state_hash,
        notification,
        lease,
    }))
}

pub(super) async fn postpone(
    shared: &Shared,
    sql: &mut PgConnection,
    seq: Seq,
    lease: Lease,
    due_at: Timestamp,
) -> Result<(), Undone> {
    let (leased,): (bool,) = sqlx::query_as(
        "WITH leased AS MATERIALIZED (
             SELECT 1 FROM shards WHERE shard = $3 AND epoch = $4 AND node = $5 FOR KEY SHARE),
         put_off AS (
             UPDATE queue SET due_at = $2, failures = failures + 1
             WHERE seq = $1 AND shard = $3 AND EXISTS (SELECT 1 FROM leased))
         SELECT EXISTS (SELECT 1 FROM leased)",
    )
    .bind(seq.0)
    .bind(due_at.as_millis())
    .bind(i16::from(lease.shard().get()))
    .bind(lease.epoch())
    .bind(&shared.node)
    .fetch_one(sql)
    .await?;
    if leased {
        Ok(())
    } else {
        Err(fenced(lease.shard()))
    }
}

pub(super) fn fenced(shard: Shard) -> Undone {
    Undone::Refused(StoreError::Fenced { shard })
}

/// The end of a notification, with what it led to.
pub(super) struct Finish {
    pub(super) seq: Seq,
    pub(super) lease: Lease,
    pub(super) outcome: Outcome,
}

/// `$1` … `$3`: places, shards and epochs. `$4`: this node. Then the events with their deliveries, and what was told. Each
/// step waits for the one before: leases, queue, and what follows from that.
macro_rules! finish {
    ($more:expr) => {
        concat!(
            "WITH input AS MATERIALIZED (
                 SELECT * FROM unnest($1::bigint[], $2::smallint[], $3::bigint[])
                     WITH ORDINALITY AS i(seq, shard, epoch, place)),
             held AS MATERIALIZED (
                 SELECT shard, epoch FROM shards WHERE shard = ANY($2) AND node = $4 ORDER BY shard FOR KEY SHARE),
             taken AS (
                 DELETE FROM queue q USING input i, held h
                 WHERE q.seq = i.seq AND q.shard = i.shard AND h.shard = i.shard AND h.epoch = i.epoch
                 RETURNING q.seq),
             ",
            making!("JOIN taken t ON t.seq = e.of"),
            ", ",
            told!(),
            $more,
            " SELECT h.shard IS NOT NULL, t.seq IS NOT NULL
             FROM input i LEFT JOIN held h ON h.shard = i.shard AND h.epoch = i.epoch LEFT JOIN taken t ON t.seq = i.seq
             ORDER BY i.place"
        )
    };
}

const FINISH: &str = finish!("");

/// Where some have more to say than others have: a statement of its own, so that those need not pay for it.
const FINISH_WITH_NOTES: &str = finish!(concat!(", ", noting_down!()));

impl Grouped for Finish {
    type Answer = bool;

    fn rows(&self) -> usize {
        let events = self.outcome.events.iter();
        2 + events.map(|new| 1 + new.deliveries.len()).sum::<usize>()
    }

    fn bytes(&self) -> usize {
        let events = self.outcome.events.iter();
        events.map(|new| new.event.body.len()).sum()
    }

    async fn write(
        shared: &Shared,
        sql: &mut PgConnection,
        together: &[Self],
    ) -> Result<Vec<Result<bool, StoreError>>, Undone> {
        let mut made = Made::default();
        let mut told = ToldItems::default();
        let mut notes = Notes::default();
        let (mut places, mut shards, mut epochs) = (Vec::new(), Vec::new(), Vec::new());
        for one in together {
            places.push(one.seq.0);
            shards.push(i16::from(one.lease.shard().get()));
            epochs.push(one.lease.epoch());
            for new in &one.outcome.events {
                made.push(one.seq, new);
            }
            if let Some(item) = &one.outcome.told {
                told.push(one.seq, item);
            }
            notes.push(one.seq, &one.outcome);
        }
        let with_notes = !notes.is_empty();
        let text = if with_notes {
            FINISH_WITH_NOTES
        } else {
            FINISH
        };
        let query = sqlx::query_as(text)
            .bind(places)
            .bind(shards)
            .bind(epochs)
            .bind(&shared.node);
        let mut query = bind_told!(bind_made!(query, made), told);
        if with_notes {
            query = bind_notes!(query, notes);
        }
        let rows: Vec<(bool, bool)> = query.fetch_all(sql).await?;
        let mut answers = Vec::with_capacity(together.len());
        let mut reading = reading(shared, shared.pool.history().turns());
        for (one, (held, taken)) in together.iter().zip(rows) {
            if !held {
                answers.push(Err(StoreError::Fenced {
                    shard: one.lease.shard(),
                }));
                continue;
            }
            if let Some(reading) = &mut reading {
                reading.finished(one.seq.0);
            }
            if taken {
                let to = one.outcome.events.iter().flat_map(|new| &new.deliveries);
                shared.hints.due(to.map(|delivery| delivery.webhook));
            }
            answers.push(Ok(taken));
        }
        Ok(answers)
    }
}
