//! How the rows of a page of a list are found.

use std::ops::Range;

use rusqlite::{Connection, Result, ToSql, params_from_iter, types::Value};
use tidings_domain::{
    ids::Compact,
    page::{Listing, Page},
};

use super::row::Columns;
use crate::listing::Filling;
pub(super) use crate::listing::{Scan, after};

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

    /// Shows only rows at these places; the conditions say so with a `?` each.
    pub(super) fn only_places(&mut self, from: &'static str, to: &'static str, places: Range<i64>) {
        self.conditions.extend([from, to]);
        self.values
            .extend([places.start, places.end].map(Value::Integer));
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
        let mut statement = sql.prepare_cached(&self.text())?;
        let mut filling = Filling::new(page, after);
        loop {
            let newest = match self.scan {
                Scan::Indexed => None,
                Scan::Windows(table) => Some(newest(sql, table)?),
            };
            let window = filling.window(newest);
            let bounds =
                [window.top, window.floor, i64::from(page.limit.get()) + 1].map(Value::Integer);
            let mut rows = statement.query(params_from_iter(
                self.values
                    .iter()
                    .chain(&bounds)
                    .map(|value| value as &dyn ToSql),
            ))?;
            while let Some(row) = rows.next()? {
                if filling.is_full() {
                    return Ok(filling.end());
                }
                let mut columns = Columns::new(row);
                let seq: i64 = columns.value()?;
                filling.push(seq, read(&mut columns)?);
            }
            if !filling.goes_on(window) {
                return Ok(filling.end());
            }
        }
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
