//! Pages of lists: newest first, each beginning after the place where the one before ended, never by counting rows.

use rusqlite::{Connection, Result, ToSql, params_from_iter, types::Value};
use tidings_domain::{
    ids::Compact,
    page::{Cursor, Listing, Page},
};

use super::row::Columns;
use crate::StoreError;

/// How many places of a list one query looks at where no index leads to the wanted rows, and how many such queries one
/// page makes: bounds the time that a filter that hardly anything fits can take.
const WINDOW: i64 = 20_000;
const WINDOWS: usize = 16;

/// How the wanted rows are found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Scan {
    /// An index holds them in order, or nearly every row is wanted.
    Indexed,
    /// Row by row of this table, newest first. A page may then be empty and still have a next one.
    Windows(&'static str),
}

/// A list, its filters, and how it is searched.
pub(super) struct List {
    /// The SELECT up to its WHERE; its first column is the row's place.
    select: &'static str,
    /// The column of the place, as it is called in `select`.
    seq: &'static str,
    scan: Scan,
    conditions: Vec<&'static str>,
    values: Vec<Value>,
}

impl List {
    pub(super) fn new(select: &'static str, seq: &'static str, scan: Scan) -> Self {
        Self {
            select,
            seq,
            scan,
            conditions: Vec::new(),
            values: Vec::new(),
        }
    }

    /// Shows only rows for which `condition` holds with `value`, if one is given.
    pub(super) fn only(&mut self, condition: &'static str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.conditions.push(condition);
            self.values.push(Value::Text(value.to_string()));
        }
    }

    /// Shows only rows for which `condition` holds with `id`, if one is given.
    pub(super) fn only_id(&mut self, condition: &'static str, id: Option<impl Compact>) {
        if let Some(id) = id {
            self.conditions.push(condition);
            self.values.push(Value::Blob(id.to_bytes().to_vec()));
        }
    }

    /// Shows only rows for which `condition` holds.
    pub(super) fn only_if(&mut self, condition: &'static str) {
        self.conditions.push(condition);
    }

    /// The page after the place `after`.
    pub(super) fn page<T>(
        &self,
        sql: &Connection,
        page: &Page,
        after: i64,
        read: impl Fn(&mut Columns<'_>) -> Result<T>,
    ) -> Result<Listing<T>> {
        let wanted = usize::try_from(page.limit.get()).unwrap_or(usize::MAX);
        let mut statement = sql.prepare_cached(&self.text())?;
        let mut items = Vec::new();
        let mut before = after;
        for _ in 0..WINDOWS {
            // Places are dense, so a window of places is a window of rows; the first ends at the newest row.
            let (top, floor) = match self.scan {
                Scan::Indexed => (before, i64::MIN),
                Scan::Windows(table) => {
                    let top = before.min(newest(sql, table)?.saturating_add(1));
                    (top, top.saturating_sub(WINDOW))
                }
            };
            let bounds = [top, floor, i64::from(page.limit.get()) + 1].map(Value::Integer);
            let mut rows = statement.query(params_from_iter(
                self.values
                    .iter()
                    .chain(&bounds)
                    .map(|value| value as &dyn ToSql),
            ))?;
            while let Some(row) = rows.next()? {
                let mut columns = Columns::new(row);
                let seq: i64 = columns.value()?;
                if items.len() == wanted {
                    return Ok(listing(items, Some(before)));
                }
                items.push(read(&mut columns)?);
                before = seq;
            }
            if floor <= 0 {
                return Ok(listing(items, None));
            }
            before = floor;
        }
        Ok(listing(items, Some(before)))
    }

    fn text(&self) -> String {
        let mut text = format!("{} WHERE ", self.select);
        for condition in &self.conditions {
            text.push_str(condition);
            text.push_str(" AND ");
        }
        let seq = self.seq;
        text + seq + " < ? AND " + seq + " >= ? ORDER BY " + seq + " DESC LIMIT ?"
    }
}

fn newest(sql: &Connection, table: &str) -> Result<i64> {
    // The planner takes MAX of the row id from the end of the table, without reading it.
    sql.prepare_cached(&format!("SELECT coalesce(max(seq), 0) FROM {table}"))?
        .query_row([], |row| row.get(0))
}

fn listing<T>(items: Vec<T>, next: Option<i64>) -> Listing<T> {
    let next = next.map(|seq| Cursor(seq.to_string()));
    Listing { items, next }
}

/// The place where the page before ended.
pub(super) fn after(page: &Page) -> Result<i64, StoreError> {
    let Some(cursor) = &page.after else {
        return Ok(i64::MAX);
    };
    cursor.0.parse().map_err(|_| StoreError::InvalidCursor)
}
