//! All keys, one after the other, for who copies the store.

use rusqlite::{Connection, OptionalExtension as _, Result};

use super::sorting::SORTED_THROUGH;

/// A key and when it was claimed, or a little later, in milliseconds since 1970.
pub(crate) type Key = (Vec<u8>, i64);

/// Where a listing of all keys goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum KeysFrom {
    /// Behind this part of the runs.
    Part(i64),
    /// Behind this place among the notifications whose keys are in no run.
    Notification(i64),
    /// Behind this row of the keys that were claimed late.
    Late(i64),
}

impl Default for KeysFrom {
    fn default() -> Self {
        Self::Part(0)
    }
}

/// How long keys matter, in milliseconds: as long as is promised.
const KEPT: i64 = 86_400_000;

/// About `limit` keys, and where to go on; `None` at the end. Leaves out runs whose keys are all older than a day.
pub(in crate::sqlite) fn keys(
    sql: &Connection,
    from: KeysFrom,
    now: i64,
    limit: u32,
) -> Result<Option<(Vec<Key>, KeysFrom)>> {
    let mut next = from;
    loop {
        let (keys, here) = match next {
            KeysFrom::Part(place) => parts(sql, place, now - KEPT, limit)?,
            KeysFrom::Notification(seq) => recent(sql, seq, limit)?,
            KeysFrom::Late(seq) => late(sql, seq, now, limit)?,
        };
        if !keys.is_empty() {
            return Ok(Some((keys, here)));
        }
        next = match next {
            KeysFrom::Part(_) => KeysFrom::Notification(0),
            KeysFrom::Notification(_) => KeysFrom::Late(0),
            KeysFrom::Late(_) => return Ok(None),
        };
    }
}

fn parts(sql: &Connection, place: i64, since: i64, limit: u32) -> Result<(Vec<Key>, KeysFrom)> {
    let (mut keys, mut last) = (Vec::new(), place);
    let mut statement = sql.prepare_cached(
        "SELECT d.place, d.keys, r.newest FROM dedup d JOIN dedup_runs r ON r.run = d.place >> 32
         WHERE d.place > ? AND r.state = 'whole' AND r.newest >= ? ORDER BY d.place",
    )?;
    let mut rows = statement.query((place, since))?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    while keys.len() < limit
        && let Some(row) = rows.next()?
    {
        last = row.get(0)?;
        let newest = row.get(2)?;
        let part = row.get_ref(1)?.as_blob()?.as_chunks::<16>().0;
        keys.extend(part.iter().map(|key| (key.to_vec(), newest)));
    }
    Ok((keys, KeysFrom::Part(last)))
}

fn recent(sql: &Connection, seq: i64, limit: u32) -> Result<(Vec<Key>, KeysFrom)> {
    let through: Option<i64> = sql
        .prepare_cached("SELECT value FROM meta WHERE name = ?")?
        .query_row([SORTED_THROUGH], |row| row.get(0))
        .optional()?;
    let mut last = seq.max(through.unwrap_or(0));
    let keys = sql
        .prepare_cached(
            "SELECT seq, dedup_key, received_at FROM notifications
             WHERE seq > ? AND dedup_key IS NOT NULL ORDER BY seq LIMIT ?",
        )?
        .query_map((last, limit), |row| {
            last = row.get(0)?;
            Ok((row.get::<_, Vec<u8>>(1)?, row.get(2)?))
        })?
        .collect::<Result<_>>()?;
    Ok((keys, KeysFrom::Notification(last)))
}

fn late(sql: &Connection, seq: i64, now: i64, limit: u32) -> Result<(Vec<Key>, KeysFrom)> {
    let mut last = seq;
    // When they were claimed is not known: they count as new.
    let keys = sql
        .prepare_cached("SELECT seq, key FROM dedup_late WHERE seq > ? ORDER BY seq LIMIT ?")?
        .query_map((seq, limit), |row| {
            last = row.get(0)?;
            Ok((row.get::<_, Vec<u8>>(1)?, now))
        })?
        .collect::<Result<_>>()?;
    Ok((keys, KeysFrom::Late(last)))
}
