//! What the app was told of items, on its way into the table, many rows to a statement.
//!
//! Nearly every event tells of an item, so this is done as cheaply as [`super::arrivals`]: operations only leave it here,
//! and all of a batch is written at its end, in the order in which it was left.

use std::sync::{Arc, LazyLock};

use rusqlite::{Connection, Result};
use tidings_domain::ids::Compact;

use crate::{
    record::{Outcome, Told, Version},
    store::is_too_long,
};

/// How many rows the statements write: as many of the longest as there are rows for, then of the others.
const LENGTHS: [usize; 3] = [32, 8, 1];

/// What was told in a batch and is not written yet.
#[derive(Debug, Default)]
pub(super) struct ToldItems(Vec<Arc<Outcome>>);

impl ToldItems {
    /// Leaves what an outcome tells of an item, if anything, to be written.
    pub(super) fn add(&mut self, outcome: &Arc<Outcome>) {
        let told = outcome.told.as_ref();
        if told.is_some_and(|told| !is_too_long(&told.item)) {
            self.0.push(Arc::clone(outcome));
        }
    }

    /// Forgets what was not written.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Writes all of it, but what belongs to subscriptions that are gone.
    pub(super) fn write(&mut self, sql: &Connection) -> Result<()> {
        let all: Vec<&Told> = self
            .0
            .iter()
            .filter_map(|outcome| outcome.told.as_ref())
            .collect();
        // What was told last of an item holds, so that which exist and which do not keep their order.
        for run in all.chunk_by(|a, b| a.present.is_some() == b.present.is_some()) {
            if run[0].present.is_some() {
                keep(sql, run)?;
            } else {
                remove(sql, run)?;
            }
        }
        self.0.clear();
        Ok(())
    }
}

fn keep(sql: &Connection, mut rest: &[&Told]) -> Result<()> {
    for (length, text) in LENGTHS.iter().zip(&*TEXTS) {
        let mut chunks = rest.chunks_exact(*length);
        for rows in &mut chunks {
            let mut statement = sql.prepare_cached(text)?;
            let mut bound = 0;
            for told in rows {
                statement.raw_bind_parameter(bound + 1, told.subscription.to_bytes())?;
                statement.raw_bind_parameter(bound + 2, &told.item)?;
                let version: Option<Version> = told.present.flatten();
                statement.raw_bind_parameter(bound + 3, version.map(|version| version.0))?;
                bound += 3;
            }
            statement.raw_execute()?;
        }
        rest = chunks.remainder();
    }
    Ok(())
}

fn remove(sql: &Connection, rows: &[&Told]) -> Result<()> {
    let mut statement =
        sql.prepare_cached("DELETE FROM known_items WHERE subscription_id = ? AND item = ?")?;
    for told in rows {
        statement.execute((told.subscription.to_bytes(), &told.item))?;
    }
    Ok(())
}

static TEXTS: LazyLock<[String; 3]> = LazyLock::new(|| {
    LENGTHS.map(|rows| {
        format!(
            "INSERT INTO known_items (subscription_id, item, scope, enumeration, told, version)
             SELECT column1, column2, '', 0, 1, column3 FROM (VALUES {})
             WHERE EXISTS (SELECT 1 FROM subscriptions WHERE id = column1)
             ON CONFLICT (subscription_id, item) DO UPDATE SET told = 1, version = excluded.version, seen = NULL",
            vec!["(?, ?, ?)"; rows].join(", ")
        )
    })
});
