//! The work that brings keys into runs, merges runs, and removes old ones: in steps so small that nobody waits for them.

use rusqlite::{Connection, Result};

use super::runs::{self, FAN, Run};
use crate::{record::DedupKey, sqlite::writer::Tx};

/// How many keys one step writes, roughly: a few hundred microseconds.
const STEP_PARTS: i64 = 64;

/// How many parts of a run that is not needed go in one step.
const REMOVED_PARTS: i64 = 256;

/// The name in `meta` of the last place whose key is in a run.
pub(super) const SORTED_THROUGH: &str = "dedup_sorted_through";

/// Recent keys on their way into a run.
#[derive(Debug)]
pub(super) struct Sort {
    run: Run,
    /// In the order of their bytes.
    keys: Vec<[u8; 16]>,
    /// The place of the newest of their notifications, or a later one.
    through: i64,
    /// The last row of `dedup_late` among them.
    late: i64,
    /// The first part that is not written.
    part: i64,
}

/// Runs of one level on their way into one of the next.
#[derive(Debug)]
pub(super) struct Merge {
    run: Run,
    sources: Vec<Run>,
    /// The first part of the sources that is not read.
    part: i64,
}

/// What a step of [`Sort`] or [`Merge`] came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    More,
    Done,
}

impl Sort {
    pub(super) fn new(
        sql: &Connection,
        run: Run,
        keys: impl Iterator<Item = DedupKey>,
    ) -> Result<Self> {
        let last = |query| sql.query_row(query, [], |row| row.get(0));
        let mut keys: Vec<[u8; 16]> = keys.map(|key| key.0).collect();
        keys.sort_unstable();
        Ok(Self {
            run,
            keys,
            through: last("SELECT coalesce(max(seq), 0) FROM notifications")?,
            late: last("SELECT coalesce(max(seq), 0) FROM dedup_late")?,
            part: 0,
        })
    }

    pub(super) fn run(&self) -> Run {
        self.run
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = DedupKey> {
        self.keys.iter().copied().map(DedupKey)
    }

    /// Writes the next parts.
    pub(super) fn step(&self, tx: &Tx<'_>) -> Result<Progress> {
        if self.part == 0 {
            make(tx.sql, self.run)?;
        }
        let end = self.run.parts().min(self.part + STEP_PARTS);
        let start = self.before(self.part);
        runs::write(
            tx.sql,
            self.run,
            self.part..end,
            &self.keys[start..self.before(end)],
        )?;
        if end < self.run.parts() {
            return Ok(Progress::More);
        }
        finish(tx.sql, self.run)?;
        tx.sql
            .prepare_cached("DELETE FROM dedup_late WHERE seq <= ?")?
            .execute([self.late])?;
        tx.sql
            .prepare_cached(
                "INSERT INTO meta (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2",
            )?
            .execute((SORTED_THROUGH, self.through))?;
        Ok(Progress::Done)
    }

    /// How many keys are in parts before this one.
    fn before(&self, part: i64) -> usize {
        self.keys
            .partition_point(|key| self.run.part_of(DedupKey(*key)) < part)
    }

    /// The step is on disk.
    pub(super) fn stepped(&mut self) {
        self.part += STEP_PARTS;
    }
}

impl Merge {
    /// Of the first level that has enough runs.
    pub(super) fn of(runs: &[Run], number: i64) -> Option<Self> {
        let first = runs.iter().find(|run| {
            let alike = runs.iter().filter(|other| other.level == run.level);
            run.can_be_merged() && alike.count() >= FAN
        })?;
        let alike = runs.iter().filter(|run| run.level == first.level);
        let sources: Vec<Run> = alike.take(FAN).copied().collect();
        let newest = sources
            .iter()
            .map(|run| run.newest)
            .max()
            .unwrap_or(first.newest);
        Some(Self {
            run: Run {
                number,
                level: first.level + 1,
                newest,
            },
            sources,
            part: 0,
        })
    }

    pub(super) fn run(&self) -> Run {
        self.run
    }

    pub(super) fn sources(&self) -> &[Run] {
        &self.sources
    }

    /// Writes what the next parts of the sources hold.
    pub(super) fn step(&self, tx: &Tx<'_>) -> Result<Progress> {
        if self.part == 0 {
            make(tx.sql, self.run)?;
        }
        let parts = self.sources[0].parts();
        let end = parts.min(self.part + self.parts_of_a_step());
        let mut keys = Vec::new();
        for part in self.part..end {
            for source in &self.sources {
                runs::read(tx.sql, *source, part, &mut keys)?;
            }
        }
        keys.sort_unstable();
        let finer = self.run.parts() / parts;
        runs::write(tx.sql, self.run, self.part * finer..end * finer, &keys)?;
        if end < parts {
            return Ok(Progress::More);
        }
        finish(tx.sql, self.run)?;
        for source in &self.sources {
            give_up(tx.sql, source.number)?;
        }
        Ok(Progress::Done)
    }

    fn parts_of_a_step(&self) -> i64 {
        STEP_PARTS * self.sources[0].parts() / self.run.parts()
    }

    /// The step is on disk.
    pub(super) fn stepped(&mut self) {
        self.part += self.parts_of_a_step();
    }
}

fn make(sql: &Connection, run: Run) -> Result<()> {
    sql.prepare_cached(
        "INSERT INTO dedup_runs (run, level, newest, state) VALUES (?, ?, ?, 'making')",
    )?
    .execute((run.number, run.level, run.newest))
    .map(|_| ())
}

fn finish(sql: &Connection, run: Run) -> Result<()> {
    sql.prepare_cached("UPDATE dedup_runs SET state = 'whole' WHERE run = ?")?
        .execute([run.number])
        .map(|_| ())
}

/// Leaves a run to be removed.
pub(super) fn give_up(sql: &Connection, number: i64) -> Result<()> {
    sql.prepare_cached("UPDATE dedup_runs SET state = 'going' WHERE run = ?")?
        .execute([number])
        .map(|_| ())
}

/// Removes some parts of a run, and the run with the last of them.
pub(super) fn remove(sql: &Connection, number: i64) -> Result<Progress> {
    let (first, last) = runs::places(number);
    let removed = sql
        .prepare_cached(
            "DELETE FROM dedup WHERE place IN
                 (SELECT place FROM dedup WHERE place BETWEEN ? AND ? ORDER BY place LIMIT ?)",
        )?
        .execute((first, last, REMOVED_PARTS))?;
    if i64::try_from(removed).unwrap_or(i64::MAX) == REMOVED_PARTS {
        return Ok(Progress::More);
    }
    sql.prepare_cached("DELETE FROM dedup_runs WHERE run = ?")?
        .execute([number])?;
    Ok(Progress::Done)
}
