//! What is known of the items that subscriptions watch.

use rusqlite::{Connection, OptionalExtension as _, Result, Row};
use tidings_domain::ids::{Compact, SubscriptionId};

use super::{
    row::{self, Columns},
    writer::Tx,
};
use crate::{
    copy::known_items::{Item, Key},
    record::{KnownItem, Version},
    store::is_too_long,
};

/// How many items of a removed subscription go in one transaction: some milliseconds.
const SLICE: u32 = 2_000;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT item, scope, enumeration, seen, told, version FROM known_items ",
            $rest
        )
    };
}

pub(super) fn these(
    sql: &Connection,
    id: SubscriptionId,
    items: &[String],
) -> Result<Vec<KnownItem>> {
    let mut statement = sql.prepare_cached(select!("WHERE subscription_id = ? AND item = ?"))?;
    let mut found = Vec::with_capacity(items.len());
    for item in items {
        let known = statement.query_row((id.to_bytes(), item), read);
        found.extend(known.optional()?);
    }
    Ok(found)
}

pub(super) fn not_shown(
    sql: &Connection,
    id: SubscriptionId,
    scope: &str,
    enumeration: u64,
    after: &str,
    limit: u32,
) -> Result<Vec<KnownItem>> {
    // The second in the words of the partial index, which the planner does not choose by itself: it cannot know that most
    // items are of other scopes.
    let text = if scope.is_empty() {
        select!(
            "WHERE subscription_id = ?1 AND item > ?2 AND scope = ?3 AND enumeration < ?4
             ORDER BY subscription_id, item LIMIT ?5"
        )
    } else {
        select!(
            "INDEXED BY known_items_of_scope
             WHERE subscription_id = ?1 AND item > ?2 AND scope = ?3 AND scope <> '' AND enumeration < ?4
             ORDER BY subscription_id, scope, item LIMIT ?5"
        )
    };
    sql.prepare_cached(text)?
        .query_map(
            (id.to_bytes(), after, scope, row::number(enumeration), limit),
            read,
        )?
        .collect()
}

/// Records items as an enumeration has shown them. What the app was told of them stays.
pub(super) fn show(tx: &Tx<'_>, id: SubscriptionId, items: &[KnownItem]) -> Result<()> {
    let mut statement = tx.sql.prepare_cached(
        "INSERT INTO known_items AS k (subscription_id, item, scope, enumeration, seen, told, version)
         VALUES (?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (subscription_id, item) DO UPDATE SET scope = excluded.scope,
             enumeration = excluded.enumeration, seen = excluded.seen, told = k.told OR excluded.told,
             version = iif(excluded.told AND NOT k.told, excluded.version, k.version)",
    )?;
    for item in items {
        if is_too_long(&item.id) || is_too_long(&item.scope) {
            continue;
        }
        statement.execute((
            id.to_bytes(),
            &item.id,
            &item.scope,
            row::number(item.enumeration),
            item.seen.map(|version| version.0),
            item.told,
            item.version.map(|version| version.0),
        ))?;
    }
    Ok(())
}

/// Forgets those of these items that the app was never told of.
pub(super) fn forget_untold(tx: &Tx<'_>, id: SubscriptionId, items: &[String]) -> Result<()> {
    let mut statement = tx.sql.prepare_cached(
        "DELETE FROM known_items WHERE subscription_id = ? AND item = ? AND told = 0",
    )?;
    for item in items {
        statement.execute((id.to_bytes(), item))?;
    }
    Ok(())
}

/// Forgets all items of a subscription that was removed just now: usually at once; of many the last go later, so that
/// nobody waits for a million rows.
pub(super) fn forget_all(tx: &mut Tx<'_>, id: SubscriptionId) -> Result<()> {
    tx.sql
        .prepare_cached("INSERT INTO deleted_subscriptions (id) VALUES (?)")?
        .execute([id.to_bytes()])?;
    tx.tally.leftovers |= remove(tx, id.to_bytes())?;
    Ok(())
}

/// Whether items of removed subscriptions are still there.
pub(super) fn has_leftovers(sql: &Connection) -> Result<bool> {
    sql.prepare_cached("SELECT EXISTS (SELECT 1 FROM deleted_subscriptions)")?
        .query_row([], |row| row.get(0))
}

/// Removes some items of a removed subscription; whether more may be left.
pub(super) fn remove_leftovers(tx: &mut Tx<'_>) -> Result<bool> {
    let id: Option<[u8; 16]> = tx
        .sql
        .prepare_cached("SELECT id FROM deleted_subscriptions LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    match id {
        Some(id) => Ok(remove(tx, id)? || has_leftovers(tx.sql)?),
        None => Ok(false),
    }
}

/// Removes a slice of the items; whether more are left.
fn remove(tx: &Tx<'_>, id: [u8; 16]) -> Result<bool> {
    let gone = tx
        .sql
        .prepare_cached(
            "DELETE FROM known_items WHERE (subscription_id, item) IN (
                 SELECT subscription_id, item FROM known_items WHERE subscription_id = ? ORDER BY item LIMIT ?)",
        )?
        .execute((id, SLICE))?;
    if u32::try_from(gone).is_ok_and(|gone| gone < SLICE) {
        tx.sql
            .prepare_cached("DELETE FROM deleted_subscriptions WHERE id = ?")?
            .execute([id])?;
        return Ok(false);
    }
    Ok(true)
}

/// Some items of any subscription behind a key, for who copies the store, and the last key; `None` if there are no more.
pub(super) fn behind(
    sql: &Connection,
    (subscription, item): &Key,
    limit: u32,
) -> Result<Option<(Vec<Item>, Key)>> {
    let mut statement = sql.prepare_cached(
        "SELECT subscription_id, item, scope, enumeration, seen, told, version FROM known_items
         WHERE (subscription_id, item) > (?, ?) ORDER BY subscription_id, item LIMIT ?",
    )?;
    let mut rows = statement.query((subscription, item, limit))?;
    let (mut found, mut last) = (Vec::new(), None);
    while let Some(row) = rows.next()? {
        last = Some((row.get(0)?, row.get(1)?));
        let mut columns = Columns::new(row);
        // As the other store has to write it.
        let text = |text: String| text.replace('\0', "\u{fffd}");
        found.push(Item {
            subscription: columns.id::<SubscriptionId>()?.to_string(),
            id: text(columns.value()?),
            scope: text(columns.value()?),
            enumeration: columns.value()?,
            seen: columns.value()?,
            told: columns.value()?,
            version: columns.value()?,
        });
    }
    Ok(last.map(|last| (found, last)))
}

fn read(row: &Row<'_>) -> Result<KnownItem> {
    let mut columns = Columns::new(row);
    Ok(KnownItem {
        id: columns.value()?,
        scope: columns.value()?,
        enumeration: columns.number()?,
        seen: columns.value::<Option<[u8; 16]>>()?.map(Version),
        told: columns.value()?,
        version: columns.value::<Option<[u8; 16]>>()?.map(Version),
    })
}
