//! Known items, which have no places: they go by their keys.

use super::{Copied, CopyError};
use crate::{postgres::Target, sqlite::Source};

/// How many are read and written at one time.
const SLICE: u32 = 1_000;

/// What is known of an item, as both stores keep it.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) subscription: String,
    pub(crate) id: String,
    pub(crate) scope: String,
    pub(crate) enumeration: i64,
    pub(crate) seen: Option<Vec<u8>>,
    pub(crate) told: bool,
    pub(crate) version: Option<Vec<u8>>,
}

/// The key of the last that was read, as the source has it.
pub(crate) type Key = (Vec<u8>, String);

/// Copies all, then looks for each of them: so many must be there, and none may be missing.
pub(super) async fn copy(source: &mut Source, target: &mut Target) -> Result<Copied, CopyError> {
    let mut from = Key::default();
    while let Some((items, last)) = source.known_items(&from, SLICE)? {
        from = last;
        target.write_known_items(&items).await?;
    }
    let (mut rows, mut missing) = (0, 0);
    let mut from = Key::default();
    while let Some((items, last)) = source.known_items(&from, SLICE)? {
        from = last;
        rows += items.len() as u64;
        missing += target.missing_known_items(&items).await?;
    }
    let there = target.count_known_items().await?;
    if missing > 0 || there != rows {
        return Err(CopyError::Differs {
            table: "known_items".to_owned(),
            source_rows: rows,
            target_rows: there,
        });
    }
    Ok(Copied {
        table: "known_items".to_owned(),
        rows,
    })
}
