//! One batch: one transaction, one commit.

use rusqlite::{Connection, Error};

use super::operation::{Left, Operation, Tally, Tx};
use crate::{
    StoreError,
    seal::Seal,
    sqlite::{
        dedup::Recent,
        trouble::{self, Trouble},
    },
};

/// What a batch came to. Where it is `Err`, nothing of it holds.
pub(super) struct Done {
    /// Of each operation whether it holds, in the order of the batch; empty if all do.
    pub(super) alone: Vec<Result<(), StoreError>>,
    /// What the counters change by.
    pub(super) tally: Tally,
}

/// Does all operations in one transaction. If one fails by its own fault, all are done again, and it alone fails.
pub(super) fn run(
    sql: &Connection,
    seal: &Seal,
    recent: &Recent,
    batch: &mut [Box<dyn Operation>],
) -> Result<Done, Error> {
    match transaction(sql, seal, recent, |tx| {
        batch.iter_mut().try_for_each(|operation| operation.run(tx))
    }) {
        Ok(((), tally)) => Ok(Done {
            alone: Vec::new(),
            tally,
        }),
        Err(error) if Trouble::of(&error) == Trouble::Row => {
            let (alone, tally) = transaction(sql, seal, recent, |tx| one_by_one(tx, batch))?;
            Ok(Done { alone, tally })
        }
        Err(error) => Err(error),
    }
}

/// Runs `work` between BEGIN and COMMIT, and rolls back if either fails.
pub(in crate::sqlite) fn transaction<T>(
    sql: &Connection,
    seal: &Seal,
    recent: &Recent,
    work: impl FnOnce(&mut Tx<'_>) -> Result<T, Error>,
) -> Result<(T, Tally), Error> {
    // Never a deferred one: a reader that becomes a writer half-way gets SQLITE_BUSY whatever the timeout.
    execute(sql, "BEGIN IMMEDIATE")?;
    let mut tx = Tx {
        sql,
        seal,
        recent,
        left: Left::default(),
        tally: Tally::default(),
    };
    let result = work(&mut tx).and_then(|value| {
        tx.left.write(sql)?;
        execute(sql, "COMMIT")?;
        Ok((value, tx.tally))
    });
    if result.is_ok() {
        recent.committed();
    } else {
        recent.undo(0);
    }
    if result.is_err() && !sql.is_autocommit() {
        // After some errors SQLite has rolled back already; what counts is the first error, not that of the ROLLBACK.
        if let Err(error) = execute(sql, "ROLLBACK") {
            tracing::debug!(%error, "cannot roll back");
        }
    }
    result
}

fn one_by_one(
    tx: &mut Tx<'_>,
    batch: &mut [Box<dyn Operation>],
) -> Result<Vec<Result<(), StoreError>>, Error> {
    let mut outcomes = Vec::with_capacity(batch.len());
    for operation in batch {
        let (before, mark) = (tx.tally, tx.recent.mark());
        execute(tx.sql, "SAVEPOINT operation")?;
        let written = operation.run(tx).and_then(|()| tx.left.write(tx.sql));
        let outcome = match written {
            Ok(()) => Ok(()),
            Err(error) if Trouble::of(&error) == Trouble::Row => {
                execute(tx.sql, "ROLLBACK TO operation")?;
                tx.recent.undo(mark);
                tx.left.clear();
                tx.tally = before;
                let error = trouble::answer(&error);
                tracing::warn!(%error, "an operation cannot be written; the others of its batch are");
                Err(error)
            }
            Err(error) => return Err(error),
        };
        execute(tx.sql, "RELEASE operation")?;
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

fn execute(sql: &Connection, statement: &str) -> Result<(), Error> {
    sql.prepare_cached(statement)?.execute([]).map(|_| ())
}
