//! The keys that tell every change from every other.
//!
//! Keys are hashes, so in an index over all of them each new one lies somewhere else: every batch would rewrite as many
//! pages as it has keys, and the more keys there are the worse. So a new key only stands with its notification, and is
//! held in memory to be looked up; when there are many, they are written in one go, sorted, as a run.
//!
//! | module | holds |
//! | --- | --- |
//! | `recent` | the newest keys, in memory, and what is known there of the others |
//! | `runs` | the sorted keys |
//! | `sorting` | the work on runs: making, merging, removing |
//! | `filter` | says of most keys that they are in no run |
//! | `listing` | all keys, for who copies the store |

use rusqlite::Result;

use super::writer::Tx;
use crate::record::DedupKey;

mod filter;
mod listing;
mod recent;
mod runs;
mod sorting;

#[cfg(test)]
mod tests;

pub(super) use listing::keys;
pub(crate) use listing::{Key, KeysFrom};
pub(super) use recent::Recent;

/// Claims a key; `false` if it is taken. What has none is a change of its own. Who claims it writes it with its
/// notification, in the same transaction, or [keeps](keep) it.
pub(super) fn claim(tx: &Tx<'_>, key: Option<DedupKey>) -> Result<bool> {
    let Some(key) = key else {
        return Ok(true);
    };
    if tx.recent.knows(tx.sql, key)? {
        return Ok(false);
    }
    tx.recent.add(key);
    Ok(true)
}

/// Writes a key that was claimed for a notification that stands among older ones.
pub(super) fn keep(tx: &Tx<'_>, key: DedupKey) -> Result<()> {
    tx.sql
        .prepare_cached("INSERT INTO dedup_late (key) VALUES (?)")?
        .execute([key.0])
        .map(|_| ())
}
