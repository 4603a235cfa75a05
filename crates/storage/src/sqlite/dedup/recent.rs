//! The newest keys, in memory, and what is known there of the others.

use std::{cell::RefCell, collections::HashSet};

use rusqlite::{Connection, OptionalExtension as _, Result};
use tidings_domain::Timestamp;

use super::{
    filter::Filter,
    runs::{self, FIRST, Run},
    sorting::{self, Merge, Progress, SORTED_THROUGH, Sort},
};
use crate::{
    record::DedupKey,
    seal::Seal,
    sqlite::writer::{self, Tx},
};

/// How many parts of runs one step of the walk reads.
const WALK: i64 = 256;

/// The keys that are in no run yet, and what is known of those that are. Belongs to the writer's thread, and follows its
/// transactions.
#[derive(Debug, Default)]
pub(in crate::sqlite) struct Recent(RefCell<State>);

#[derive(Debug, Default)]
struct State {
    keys: HashSet<DedupKey>,
    /// Those of the transaction under way, in their order.
    added: Vec<DedupKey>,
    /// Of all keys in runs, once these have been walked through.
    sorted: Option<Filter>,
    /// Of those that the walk under way has seen, or that came since it began.
    walked: Option<Filter>,
    /// The last part that the walk under way has seen.
    walked_through: i64,
    runs: Vec<Run>,
    /// Runs whose parts are to be removed.
    going: Vec<i64>,
    next_run: i64,
    sorting: Option<Sort>,
    merging: Option<Merge>,
}

impl Recent {
    /// Reads the keys that are in no run yet, and which runs there are.
    pub(in crate::sqlite) fn load(sql: &Connection) -> Result<Self> {
        let through: Option<i64> = sql
            .prepare("SELECT value FROM meta WHERE name = ?")?
            .query_row([SORTED_THROUGH], |row| row.get(0))
            .optional()?;
        let mut state = State {
            keys: sql
                .prepare(
                    "SELECT dedup_key FROM notifications WHERE seq > ? AND dedup_key IS NOT NULL
                     UNION ALL SELECT key FROM dedup_late",
                )?
                .query_map([through.unwrap_or(0)], |row| row.get(0).map(DedupKey))?
                .collect::<Result<_>>()?,
            next_run: 1,
            ..State::default()
        };
        let mut statement =
            sql.prepare("SELECT run, level, newest, state = 'whole' FROM dedup_runs ORDER BY run")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let run = Run {
                number: row.get(0)?,
                level: row.get(1)?,
                newest: row.get(2)?,
            };
            state.next_run = run.number + 1;
            // One that was still being made when the last process ended is made anew.
            if row.get(3)? {
                state.runs.push(run);
            } else {
                state.going.push(run.number);
            }
        }
        Ok(Self(RefCell::new(state)))
    }

    /// Whether the key was claimed before.
    pub(super) fn knows(&self, sql: &Connection, key: DedupKey) -> Result<bool> {
        let state = self.0.borrow();
        if state.keys.contains(&key) {
            return Ok(true);
        }
        let may_be_sorted = state
            .sorted
            .as_ref()
            .is_none_or(|filter| filter.may_hold(key));
        Ok(may_be_sorted && runs::hold(sql, &state.runs, key)?)
    }

    pub(super) fn add(&self, key: DedupKey) {
        let mut state = self.0.borrow_mut();
        state.keys.insert(key);
        state.added.push(key);
    }

    /// The place in the transaction under way to which [`Recent::undo`] can go back.
    pub(in crate::sqlite) fn mark(&self) -> usize {
        self.0.borrow().added.len()
    }

    /// Forgets what was added behind `mark`: it was rolled back.
    pub(in crate::sqlite) fn undo(&self, mark: usize) {
        let State { keys, added, .. } = &mut *self.0.borrow_mut();
        for key in added.drain(mark..) {
            keys.remove(&key);
        }
    }

    /// What the transaction under way has added is on disk.
    pub(in crate::sqlite) fn committed(&self) {
        self.0.borrow_mut().added.clear();
    }

    /// Whether there is something to sort, to merge or to remove.
    pub(in crate::sqlite) fn has_work(&self) -> bool {
        let state = self.0.borrow();
        state.sorting.is_some()
            || state.merging.is_some()
            || state.keys.len() >= FIRST
            || !state.going.is_empty()
    }

    /// Does a step of that work, in a transaction of its own. Between two batches only: what is in memory is then what
    /// is on disk.
    pub(in crate::sqlite) fn work(
        &self,
        sql: &Connection,
        seal: &Seal,
        wall: Timestamp,
    ) -> Result<()> {
        self.begin(sql, wall)?;
        let (mut sorting, mut merging) = {
            let mut state = self.0.borrow_mut();
            (state.sorting.take(), state.merging.take())
        };
        // New keys go first: until they are sorted they take up memory.
        let done = if let Some(sort) = &mut sorting {
            self.within(sql, seal, |tx| sort.step(tx))
                .inspect(|_| sort.stepped())
        } else if let Some(merge) = &mut merging {
            self.within(sql, seal, |tx| merge.step(tx))
                .inspect(|_| merge.stepped())
        } else {
            return self.remove(sql, seal);
        };
        let mut state = self.0.borrow_mut();
        if matches!(done, Ok(Progress::Done)) {
            if let Some(sort) = sorting.take() {
                state.sorted(&sort);
            } else if let Some(merge) = merging.take() {
                state.merged(&merge);
            }
        }
        (state.sorting, state.merging) = (sorting, merging);
        done.map(|_| ())
    }

    /// Begins what can begin.
    fn begin(&self, sql: &Connection, wall: Timestamp) -> Result<()> {
        let state = &mut *self.0.borrow_mut();
        if state.sorting.is_none() && state.keys.len() >= FIRST {
            let run = Run {
                number: state.next_run,
                level: 0,
                newest: wall.as_millis(),
            };
            state.sorting = Some(Sort::new(sql, run, state.keys.iter().copied())?);
            state.next_run += 1;
        }
        if state.merging.is_none() {
            state.merging = Merge::of(&state.runs, state.next_run);
            state.next_run += i64::from(state.merging.is_some());
        }
        Ok(())
    }

    fn remove(&self, sql: &Connection, seal: &Seal) -> Result<()> {
        let Some(number) = self.0.borrow().going.last().copied() else {
            return Ok(());
        };
        let done = self.within(sql, seal, |tx| sorting::remove(tx.sql, number))?;
        if done == Progress::Done {
            self.0.borrow_mut().going.pop();
        }
        Ok(())
    }

    fn within<T>(
        &self,
        sql: &Connection,
        seal: &Seal,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T>,
    ) -> Result<T> {
        writer::transaction(sql, seal, self, work).map(|(value, _)| value)
    }

    /// Gives up the runs whose keys are all older than wanted, and begins a walk through the others.
    pub(in crate::sqlite) fn begin_walk(
        &self,
        sql: &Connection,
        seal: &Seal,
        before: Timestamp,
    ) -> Result<()> {
        let is_old = |run: &Run| run.newest < before.as_millis();
        let old: Vec<i64> = {
            let state = self.0.borrow();
            let merging = state.merging.as_ref().map_or(&[][..], Merge::sources);
            let old = state
                .runs
                .iter()
                .filter(|run| is_old(run) && !merging.contains(run));
            old.map(|run| run.number).collect()
        };
        if !old.is_empty() {
            self.within(sql, seal, |tx| {
                old.iter()
                    .try_for_each(|number| sorting::give_up(tx.sql, *number))
            })?;
        }
        let state = &mut *self.0.borrow_mut();
        state.runs.retain(|run| !old.contains(&run.number));
        state.going.extend(old);
        state.walked = Some(Filter::new());
        state.walked_through = 0;
        Ok(())
    }

    /// A step of the walk; whether it was the last. Each whole walk gives a new filter, without the keys that are gone.
    pub(in crate::sqlite) fn walk(&self, sql: &Connection) -> Result<bool> {
        let state = &mut *self.0.borrow_mut();
        let Some(walked) = &mut state.walked else {
            return Ok(true);
        };
        let mut statement = sql.prepare_cached(
            "SELECT place, keys FROM dedup WHERE place > ? ORDER BY place LIMIT ?",
        )?;
        let mut rows = statement.query((state.walked_through, WALK))?;
        let mut seen = 0;
        while let Some(row) = rows.next()? {
            state.walked_through = row.get(0)?;
            for key in row.get_ref(1)?.as_blob()?.as_chunks().0 {
                walked.add(DedupKey(*key));
            }
            seen += 1;
        }
        let last = seen < WALK;
        if last {
            state.sorted = state.walked.take();
        }
        Ok(last)
    }
}

impl State {
    fn sorted(&mut self, sort: &Sort) {
        for key in sort.keys() {
            for filter in [&mut self.sorted, &mut self.walked].into_iter().flatten() {
                filter.add(key);
            }
            self.keys.remove(&key);
        }
        self.runs.push(sort.run());
    }

    fn merged(&mut self, merge: &Merge) {
        self.runs.retain(|run| !merge.sources().contains(run));
        self.runs.push(merge.run());
        self.going
            .extend(merge.sources().iter().map(|source| source.number));
    }
}
