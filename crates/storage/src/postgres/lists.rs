//! How the rows of a page of a list are found.

use sqlx::{AssertSqlSafe, PgConnection};
use tidings_domain::page::{Listing, Page};

use super::{row::Columns, trouble::Undone};
use crate::listing::Filling;
pub(super) use crate::listing::{Scan, after};

/// A list, its filters, and how it is searched.
pub(super) struct List {
    /// The SELECT up to its WHERE; its first column is the row's place.
    select: &'static str,
    /// The column of the place, as it is called in `select`.
    seq: &'static str,
    scan: Scan,
    conditions: Vec<String>,
    values: Vec<String>,
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

    /// Shows only rows for which `condition` holds with `value` where it has a `?`, if one is given.
    pub(super) fn only(&mut self, condition: &'static str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.values.push(value.to_string());
            let place = format!("${}", self.values.len());
            self.conditions.push(condition.replace('?', &place));
        }
    }

    /// Shows only rows for which `condition` holds.
    pub(super) fn only_if(&mut self, condition: &'static str) {
        self.conditions.push(condition.to_owned());
    }

    /// The page after the place `after`.
    pub(super) async fn page<T>(
        &self,
        sql: &mut PgConnection,
        page: &Page,
        after: i64,
        read: impl Fn(&mut Columns<'_>) -> Result<T, Undone>,
    ) -> Result<Listing<T>, Undone> {
        let text = self.text();
        let mut filling = Filling::new(page, after);
        loop {
            let newest = match self.scan {
                Scan::Indexed => None,
                Scan::Windows(table) => Some(newest(sql, table).await?),
            };
            let window = filling.window(newest);
            // All of it comes from literals in this crate; what comes from outside is bound.
            let mut query = sqlx::query(AssertSqlSafe(text.clone()));
            for value in &self.values {
                query = query.bind(value);
            }
            let rows = query
                .bind(window.top)
                .bind(window.floor)
                .bind(i64::from(page.limit.get()) + 1)
                .fetch_all(&mut *sql)
                .await?;
            for row in &rows {
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
        let (seq, n) = (self.seq, self.values.len());
        text + &format!(
            "{seq} < ${} AND {seq} >= ${} ORDER BY {seq} DESC LIMIT ${}",
            n + 1,
            n + 2,
            n + 3
        )
    }
}

async fn newest(sql: &mut PgConnection, table: &str) -> Result<i64, Undone> {
    let text = format!("SELECT coalesce(max(seq), 0) FROM {table}");
    let (newest,): (i64,) = sqlx::query_as(AssertSqlSafe(text)).fetch_one(sql).await?;
    Ok(newest)
}
