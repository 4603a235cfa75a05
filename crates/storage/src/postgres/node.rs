//! Which shards this node holds.
//!
//! A shard has one owner, for as long as he renews his lease, by the database's clock. Each node aims at an even share
//! among those that are there: it takes shards that nobody holds, and gives some back when it has more than its
//! share. What is given back is first no longer worked on, and only some seconds later another's, so that what is under
//! way can end. A node that leaves gives all back at once; the shards of one that died are taken when its leases have
//! run out. The epoch rises with every change of owner, and whoever writes down what came of work shows the epoch he read
//! it under.

use std::{sync::Arc, time::Duration};

use sqlx::{PgConnection, Row as _};
use tidings_domain::shard::{Shard, ShardSet};
use tokio_util::sync::CancellationToken;

use super::{
    Shared,
    alive::{self, Look},
    changes, database,
    hints::CHANNEL,
    pool::answered,
    trouble::{Trouble, Undone},
};
use crate::{Lease, Signal, StoreError};

/// How often a node looks at what others did, whether it was told or not: a change made on one node holds on all within
/// a second.
const LOOK: Duration = Duration::from_millis(500);

/// How long after a shard was taken out of work it becomes another's: most of what was under way has ended by then.
const GRACE: Duration = Duration::from_secs(2);

/// How often all work is looked for again, should a hint have been lost.
const LOOK_FOR_WORK: Duration = Duration::from_secs(5);

/// The pause after the database could not be asked.
const PAUSE: Duration = Duration::from_millis(250);

pub(super) struct Node {
    shared: Arc<Shared>,
    name: String,
    /// How long a lease lasts.
    lease: Duration,
    sql: Option<PgConnection>,
    /// Whether the others know by that connection that this node is there.
    announced: bool,
    leases: Vec<Lease>,
    /// When the leases were last renewed, by the monotonic clock, before the database was asked.
    renewed: Option<Duration>,
    /// What is no longer worked on and will be given back, and since when.
    giving: Option<(ShardSet, Duration)>,
    /// The last change that was read.
    seen: i64,
    /// How often the database had gone on from an earlier state when that was read.
    turns: u64,
    looked_for_work: Duration,
    /// Until when nothing is taken, because the database was away.
    rests_until: Duration,
}

impl Node {
    pub(super) fn new(shared: Arc<Shared>, name: String, lease: Duration) -> Self {
        Self {
            looked_for_work: shared.timer.monotonic(),
            shared,
            name,
            lease,
            sql: None,
            announced: false,
            leases: Vec::new(),
            renewed: None,
            giving: None,
            seen: 0,
            turns: 0,
            rests_until: Duration::ZERO,
        }
    }

    /// Announces this node and takes its share of what is free.
    pub(super) async fn begin(&mut self) -> Result<(), StoreError> {
        let mut sql = self.shared.pool.connect().await?;
        // Whoever opens the store reads everything after this; what changes from now on is told.
        self.seen = changes::newest(&mut sql).await?;
        self.sql = Some(sql);
        self.turn().await?;
        // The others have less to do now.
        self.shared.hints.look();
        Ok(())
    }

    /// Keeps leases and shares until the store is closed, then gives everything back.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.shared.prod.notified() => {}
                () = self.shared.timer.sleep(LOOK) => {}
            }
            if let Err(error) = self.turn().await {
                tracing::warn!(%error, "the database cannot be asked for leases: it is tried again");
                tokio::select! {
                    () = stop.cancelled() => break,
                    () = self.shared.timer.sleep(PAUSE) => {}
                }
            }
        }
        self.leave().await;
    }

    /// One look at the database, and what follows from it.
    async fn turn(&mut self) -> Result<(), StoreError> {
        if self.turns != self.shared.pool.history().turns() {
            // It was made before, and may lead to the server that was left.
            self.sql = None;
        }
        let mut sql = if let Some(sql) = self.sql.take() {
            sql
        } else {
            self.announced = false;
            self.shared.pool.connect().await?
        };
        let shared = Arc::clone(&self.shared);
        let done = answered(&*shared.timer, self.turn_on(&mut sql)).await;
        match &done {
            Err(Undone::Sql(error)) if Trouble::of(error) == Trouble::Lost => {
                shared.pool.suspect(&error.to_string());
            }
            Err(Undone::Refused(error @ StoreError::Unavailable { .. })) => {
                shared.pool.suspect(&error.to_string());
            }
            _ => {
                shared.pool.well();
                self.sql = Some(sql);
            }
        }
        Ok(done?)
    }

    async fn turn_on(&mut self, sql: &mut PgConnection) -> Result<(), Undone> {
        let now = self.shared.timer.monotonic();
        let turns = self.shared.pool.history().turns();
        let gone_back = turns != self.turns;
        if !self.announced {
            self.announced = alive::announce(sql, &self.shared.node).await?;
        }
        if self
            .renewed
            .is_some_and(|renewed| now.saturating_sub(renewed) >= self.lease)
        {
            // The database, or this node, stood still. Others may have, too: they are not dead because they are not seen.
            self.rests_until = now + GRACE;
        }
        if gone_back
            || self
                .renewed
                .is_none_or(|renewed| now.saturating_sub(renewed) >= self.lease / 3)
        {
            self.renew(sql).await?;
        }
        let look = alive::look(sql, &self.shared.node, millis(self.lease)).await?;
        if gone_back {
            // What was read before may be undone, and there may be other changes in its place.
            self.seen = look.changes;
            self.turns = turns;
            self.shared.signals.raise(Signal::ChangedSomehow);
        }
        if look.changes > self.seen {
            let (signals, seen) = changes::after(sql, self.seen, &self.shared.node).await?;
            if seen == self.seen {
                // They have been removed: this node was away for long.
                self.shared.signals.raise(Signal::ChangedSomehow);
            }
            self.seen = if seen == self.seen {
                look.changes
            } else {
                seen
            };
            for signal in signals {
                self.shared.signals.raise(signal);
            }
        }
        self.shared.pool.history().read_change(self.seen);
        if now >= self.rests_until {
            self.balance(sql, &look).await?;
        }
        if now.saturating_sub(self.looked_for_work) >= LOOK_FOR_WORK {
            self.looked_for_work = now;
            if look.nodes > 1 {
                self.shared.signals.raise(Signal::Queued);
                self.shared.signals.raise(Signal::Due(None));
            }
        }
        Ok(())
    }

    /// Says that this node is there, and prolongs its leases.
    async fn renew(&mut self, sql: &mut PgConnection) -> Result<(), Undone> {
        // Before the database is asked: it may answer late, and its clock has then run on for longer than it seems.
        let began = self.shared.timer.monotonic();
        let rows = sqlx::query(
            "WITH seen AS (
                 INSERT INTO nodes (id, name, started_at, seen_at) VALUES ($1, $2, database_ms(), database_ms())
                 ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at)
             UPDATE shards SET expires_at = database_ms() + $3 WHERE node = $1 RETURNING shard, epoch",
        )
        .bind(&self.shared.node)
        .bind(&self.name)
        .bind(millis(self.lease))
        .fetch_all(sql)
        .await?;
        self.leases = rows.iter().map(read_lease).collect::<Result<_, _>>()?;
        self.had_epochs();
        self.renewed = Some(began);
        self.publish();
        Ok(())
    }

    /// Takes, or gives back, towards an even share.
    async fn balance(&mut self, sql: &mut PgConnection, look: &Look) -> Result<(), Undone> {
        let share = self.share(look);
        let now = self.shared.timer.monotonic();
        match self.giving {
            Some(_) if self.leases.len() <= share => {
                // Another node has left meanwhile.
                self.giving = None;
                self.publish();
            }
            Some((shards, since)) if now.saturating_sub(since) >= GRACE => {
                self.give(sql, shards).await?;
                self.giving = None;
            }
            None if self.leases.len() > share => {
                let surplus = self.leases[share..].iter().map(|lease| lease.shard());
                self.giving = Some((surplus.collect(), now));
                self.publish();
            }
            _ => {}
        }
        let wanted = share.saturating_sub(self.leases.len());
        if wanted > 0 && look.free > 0 {
            self.take(sql, wanted).await?;
        }
        Ok(())
    }

    /// How many shards this node should have.
    fn share(&self, look: &Look) -> usize {
        if look.on_trial && look.settled > 0 {
            // The others do all of it. What it has it may keep: it took that while there was nobody else.
            return self.leases.len();
        }
        let nodes = if look.settled > 0 {
            look.settled
        } else {
            look.nodes
        };
        let nodes = usize::try_from(nodes.max(1)).unwrap_or(usize::MAX);
        usize::from(Shard::COUNT).div_ceil(nodes)
    }

    /// Takes shards that nobody holds.
    async fn take(&mut self, sql: &mut PgConnection, wanted: usize) -> Result<(), Undone> {
        // One that is locked is being taken by another node, or somebody still writes down what came of work in it.
        let rows = sqlx::query(
            "WITH free AS MATERIALIZED (
                 SELECT shard FROM shards WHERE node IS NULL OR expires_at < database_ms()
                 ORDER BY shard LIMIT $3 FOR UPDATE SKIP LOCKED)
             UPDATE shards s SET node = $1, epoch = greatest(s.epoch, $4) + 1, expires_at = database_ms() + $2
             FROM free WHERE s.shard = free.shard
             RETURNING s.shard, s.epoch",
        )
        .bind(&self.shared.node)
        .bind(millis(self.lease))
        .bind(i64::try_from(wanted).unwrap_or(i64::MAX))
        .bind(self.shared.pool.history().epoch())
        .fetch_all(sql)
        .await?;
        for row in &rows {
            let lease = read_lease(row)?;
            // One of our own that had run out may be among them, with a new epoch.
            self.leases.retain(|held| held.shard() != lease.shard());
            self.leases.push(lease);
        }
        self.leases.sort_by_key(|lease| lease.shard());
        self.had_epochs();
        self.publish();
        Ok(())
    }

    fn had_epochs(&self) {
        for lease in &self.leases {
            self.shared.pool.history().had_epoch(lease.epoch());
        }
    }

    /// Gives shards back, so that others can take them.
    async fn give(&mut self, sql: &mut PgConnection, shards: ShardSet) -> Result<(), Undone> {
        let numbers: Vec<i16> = shards.iter().map(|shard| i16::from(shard.get())).collect();
        sqlx::query(
            "WITH mine AS MATERIALIZED (
                 SELECT shard FROM shards WHERE node = $1 AND shard = ANY($2) ORDER BY shard FOR UPDATE)
             UPDATE shards s SET node = NULL, expires_at = 0 FROM mine WHERE s.shard = mine.shard",
        )
        .bind(&self.shared.node)
        .bind(numbers)
        .execute(sql)
        .await?;
        self.leases.retain(|lease| !shards.contains(lease.shard()));
        self.shared.hints.look();
        Ok(())
    }

    /// Tells this node what it may work on.
    fn publish(&self) {
        let Some(renewed) = self.renewed else {
            return;
        };
        let given = self.giving.map_or(ShardSet::EMPTY, |(shards, _)| shards);
        let leases = self.leases.iter().copied();
        // The margin covers what is begun at the last moment and clocks that run a little apart.
        let until = renewed + self.lease * 5 / 6;
        if self
            .shared
            .holdings
            .set(leases.filter(|lease| !given.contains(lease.shard())), until)
        {
            self.shared.signals.raise(Signal::Shards);
        }
    }

    /// Gives everything back. Should that fail, the leases run out.
    async fn leave(mut self) {
        self.shared.holdings.set([], Duration::ZERO);
        let Some(mut sql) = self.sql.take() else {
            return;
        };
        let shared = Arc::clone(&self.shared);
        let left = async {
            self.give(&mut sql, ShardSet::ALL).await?;
            sqlx::query(
                "WITH gone AS (DELETE FROM nodes WHERE id = $1) SELECT pg_notify($2, 'look')",
            )
            .bind(&shared.node)
            .bind(CHANNEL)
            .execute(&mut sql)
            .await?;
            Ok(())
        };
        match answered(&*shared.timer, left).await {
            Ok(()) => database::close(sql).await,
            Err(error) => {
                let error = StoreError::from(error);
                tracing::warn!(%error, "the shards of this node could not be given back: their leases run out");
            }
        }
    }
}

fn read_lease(row: &sqlx::postgres::PgRow) -> Result<Lease, Undone> {
    let number: i16 = row.try_get("shard")?;
    let shard = u8::try_from(number)
        .ok()
        .and_then(|number| Shard::try_from(number).ok())
        .ok_or_else(|| {
            Undone::Refused(StoreError::Corrupt {
                detail: format!("there is a shard {number}"),
            })
        })?;
    Ok(Lease::new(shard, row.try_get("epoch")?))
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
