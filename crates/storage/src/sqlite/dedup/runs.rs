//! The sorted keys: runs of many thousands, each cut into small parts by the first bits of its keys.
//!
//! A part is one row, and holds some 128 keys. What is written once is not written again for each new key, as the pages
//! of an index over all keys would be; runs of one level are merged, eight at a time, so that there are few to look into.

use rusqlite::{Connection, OptionalExtension as _, Result};

use crate::record::DedupKey;

/// How many keys a run of the first level has.
pub(super) const FIRST: usize = 65_536;
/// The bits that say in which of its 512 parts a key of such a run is.
const FIRST_BITS: u32 = 9;
/// Eight runs make one of the next level, which has eight times as many parts.
pub(super) const FAN: usize = 8;
const FAN_BITS: u32 = 3;
/// Runs of this level, of 268 million keys, are left as they are.
const LAST_LEVEL: u32 = 4;

/// A run that is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) number: i64,
    pub(super) level: u32,
    /// When the newest of its keys was claimed, or a little later, in milliseconds since 1970.
    pub(super) newest: i64,
}

impl Run {
    pub(super) fn parts(self) -> i64 {
        1 << (FIRST_BITS + FAN_BITS * self.level)
    }

    /// The place of a part among the rows.
    pub(super) fn place(self, part: i64) -> i64 {
        self.number << 32 | part
    }

    pub(super) fn part_of(self, key: DedupKey) -> i64 {
        let (first, _) = key
            .0
            .split_first_chunk()
            .expect("invariant: a key has 16 bytes");
        let bits = u32::from_be_bytes(*first) >> (32 - FIRST_BITS - FAN_BITS * self.level);
        i64::from(bits)
    }

    /// Whether as many runs of its level as there can be are to be merged.
    pub(super) fn can_be_merged(self) -> bool {
        self.level < LAST_LEVEL
    }
}

/// The first and the last place that the parts of the run `number` can have.
pub(super) fn places(number: i64) -> (i64, i64) {
    (number << 32, number << 32 | i64::from(u32::MAX))
}

/// Whether one of `runs` holds `key`.
pub(super) fn hold(sql: &Connection, runs: &[Run], key: DedupKey) -> Result<bool> {
    let mut statement = sql.prepare_cached("SELECT keys FROM dedup WHERE place = ?")?;
    for run in runs.iter().rev() {
        let found = statement
            .query_row([run.place(run.part_of(key))], |row| {
                let keys = row.get_ref(0)?.as_blob()?;
                Ok(keys.as_chunks().0.binary_search(&key.0).is_ok())
            })
            .optional()?;
        if found == Some(true) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The keys of a part.
pub(super) fn read(sql: &Connection, run: Run, part: i64, keys: &mut Vec<[u8; 16]>) -> Result<()> {
    sql.prepare_cached("SELECT keys FROM dedup WHERE place = ?")?
        .query_row([run.place(part)], |row| {
            keys.extend_from_slice(row.get_ref(0)?.as_blob()?.as_chunks().0);
            Ok(())
        })
        .optional()
        .map(|_| ())
}

/// Writes sorted keys into the parts of `run`, of which they fill `parts`.
pub(super) fn write(
    sql: &Connection,
    run: Run,
    parts: std::ops::Range<i64>,
    mut keys: &[[u8; 16]],
) -> Result<()> {
    let mut statement = sql.prepare_cached("INSERT INTO dedup (place, keys) VALUES (?, ?)")?;
    for part in parts {
        let end = keys.partition_point(|key| run.part_of(DedupKey(*key)) <= part);
        let (here, rest) = keys.split_at(end);
        if !here.is_empty() {
            statement.execute((run.place(part), here.as_flattened()))?;
        }
        keys = rest;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_level_are_cut_into_those_of_the_next() {
        let run = |level| Run {
            number: 1,
            level,
            newest: 0,
        };
        assert_eq!(usize::try_from(run(0).parts()), Ok(FIRST / 128));
        assert_eq!(run(1).parts(), run(0).parts() * i64::try_from(FAN).unwrap());
        for first in [0, 1, 0x1234_5678, u32::MAX] {
            let mut key = [0; 16];
            key[..4].copy_from_slice(&first.to_be_bytes());
            for level in 0..LAST_LEVEL {
                let (one, next) = (run(level), run(level + 1));
                let part = next.part_of(DedupKey(key));
                assert_eq!(one.part_of(DedupKey(key)), part >> FAN_BITS);
                assert!(part < next.parts());
            }
        }
    }
}
