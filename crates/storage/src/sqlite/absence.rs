//! When nobody was at work.

use std::time::Duration;

use rusqlite::Result;
use tidings_domain::Timestamp;

use super::{
    row::{Columns, Time},
    writer::Tx,
};

pub(super) fn note(tx: &Tx<'_>, now: Timestamp, long: Duration) -> Result<Option<Timestamp>> {
    tx.sql
        .prepare_cached(
            "UPDATE alive SET at = ?1, away_since = coalesce(away_since, iif(at < ?2, at, NULL)) RETURNING away_since",
        )?
        .query_row((Time(now), Time(now - long)), |row| {
            Columns::new(row).time_if_any()
        })
}

pub(super) fn answer(tx: &Tx<'_>, since: Timestamp) -> Result<()> {
    tx.sql
        .prepare_cached("UPDATE alive SET away_since = NULL WHERE away_since = ?")?
        .execute([Time(since)])?;
    Ok(())
}
