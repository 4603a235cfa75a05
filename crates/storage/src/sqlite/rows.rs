//! Many rows to a statement.
//!
//! What a row costs is mostly what its statement costs. So the operations of a batch leave rows behind, and all of them
//! are written at its end.
//!
//! The statements say `OR FAIL`: where a row is refused, those before it stay, until whoever began the transaction, or
//! the savepoint, rolls it back. Without it SQLite would copy each page aside before changing it, to be able to undo the
//! one statement.

use rusqlite::{CachedStatement, Connection, Result, ToSql};

/// How many rows the statements write: as many of the longest as there are rows for, then of the others.
const LENGTHS: [usize; 3] = [32, 8, 1];

/// Writes rows of one table.
pub(super) struct Insert([(usize, String); LENGTHS.len()]);

impl Insert {
    /// `into` is the table with its columns in brackets, `values` one row's values in brackets, each a `?`.
    pub(super) fn new(into: &str, values: &str) -> Self {
        Self(LENGTHS.map(|rows| {
            let values = vec![values; rows].join(", ");
            (rows, format!("INSERT OR FAIL INTO {into} VALUES {values}"))
        }))
    }

    /// Writes all of `rows`; the place of the first.
    ///
    /// It and those after it are consecutive: SQLite's next place is one higher than the highest.
    pub(super) fn write<T>(
        &self,
        sql: &Connection,
        rows: &[T],
        bind: impl Fn(&mut Binding<'_, '_>, &T) -> Result<()>,
    ) -> Result<i64> {
        let mut rest = rows;
        for (length, text) in &self.0 {
            let mut chunks = rest.chunks_exact(*length);
            for chunk in &mut chunks {
                let mut statement = sql.prepare_cached(text)?;
                let mut binding = Binding {
                    statement: &mut statement,
                    bound: 0,
                };
                for row in chunk {
                    bind(&mut binding, row)?;
                }
                statement.raw_execute()?;
            }
            rest = chunks.remainder();
        }
        let written = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        Ok(sql.last_insert_rowid() + 1 - written)
    }
}

/// Binds the values of one row after the other.
pub(super) struct Binding<'a, 'sql> {
    statement: &'a mut CachedStatement<'sql>,
    bound: usize,
}

impl Binding<'_, '_> {
    pub(super) fn next(&mut self, value: impl ToSql) -> Result<()> {
        self.bound += 1;
        self.statement.raw_bind_parameter(self.bound, value)
    }
}
