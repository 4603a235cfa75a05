//! What is known of the items that subscriptions watch.

use sqlx::{PgConnection, postgres::PgRow};
use tidings_domain::ids::SubscriptionId;

use super::{
    row::{Columns, number, text},
    trouble::Undone,
    webhooks::STRAGGLERS,
};
use crate::{
    copy::known_items::Item,
    record::{KnownItem, Version},
};

/// How many items of a removed subscription go in one statement.
const SLICE: i64 = 5_000;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT k.item, k.scope, k.enumeration, k.seen, k.told, k.version FROM ",
            $rest
        )
    };
}

pub(super) async fn these(
    sql: &mut PgConnection,
    id: SubscriptionId,
    items: &[String],
) -> Result<Vec<KnownItem>, Undone> {
    let rows = sqlx::query(select!(
        "unnest($2::text[]) AS w(item) JOIN known_items k ON k.subscription_id = $1 AND k.item = w.item"
    ))
    .bind(id.to_string())
    .bind(items.iter().map(|item| text(item)).collect::<Vec<_>>())
    .fetch_all(sql)
    .await?;
    rows.iter().map(read).collect()
}

pub(super) async fn not_shown(
    sql: &mut PgConnection,
    id: SubscriptionId,
    scope: &str,
    enumeration: u64,
    after: &str,
    limit: u32,
) -> Result<Vec<KnownItem>, Undone> {
    // The second in the words of the partial index.
    let query = if scope.is_empty() {
        select!(
            "known_items k WHERE subscription_id = $1 AND item > $2 AND scope = $3 AND enumeration < $4
             ORDER BY subscription_id, item LIMIT $5"
        )
    } else {
        select!(
            "known_items k WHERE subscription_id = $1 AND item > $2 AND scope = $3 AND scope <> '' AND enumeration < $4
             ORDER BY subscription_id, scope, item LIMIT $5"
        )
    };
    let rows = sqlx::query(query)
        .bind(id.to_string())
        .bind(text(after))
        .bind(text(scope))
        .bind(number(enumeration))
        .bind(i64::from(limit))
        .fetch_all(sql)
        .await?;
    rows.iter().map(read).collect()
}

/// Removes some items of a removed subscription; whether more may be left.
pub(super) async fn remove_leftovers(sql: &mut PgConnection) -> Result<bool, Undone> {
    let left: Vec<(String, bool)> = sqlx::query_as(
        "SELECT id, deleted_at < database_ms() - $1 FROM deleted_subscriptions ORDER BY deleted_at LIMIT 100",
    )
    .bind(STRAGGLERS)
    .fetch_all(&mut *sql)
    .await?;
    for (id, is_old) in left {
        if remove(sql, &id).await? {
            return Ok(true);
        }
        if is_old {
            sqlx::query("DELETE FROM deleted_subscriptions WHERE id = $1")
                .bind(&id)
                .execute(&mut *sql)
                .await?;
        }
    }
    Ok(false)
}

/// Removes a slice of the items of a removed subscription; whether more are left.
pub(super) async fn remove(sql: &mut PgConnection, id: &str) -> Result<bool, Undone> {
    let (gone,): (i64,) = sqlx::query_as(
        "WITH gone AS (
             DELETE FROM known_items WHERE subscription_id = $1 AND item = ANY(ARRAY(
                 SELECT item FROM known_items WHERE subscription_id = $1 ORDER BY item LIMIT $2)) RETURNING 1)
         SELECT count(*) FROM gone",
    )
    .bind(id)
    .bind(SLICE)
    .fetch_one(sql)
    .await?;
    Ok(gone >= SLICE)
}

/// Known items as arrays, for who copies a store into this one.
macro_rules! bind_items {
    ($query:expr, $items:expr) => {{
        let items = $items.iter();
        $query
            .bind(
                items
                    .clone()
                    .map(|one| &*one.subscription)
                    .collect::<Vec<_>>(),
            )
            .bind(items.clone().map(|one| &*one.id).collect::<Vec<_>>())
            .bind(items.clone().map(|one| &*one.scope).collect::<Vec<_>>())
            .bind(items.clone().map(|one| one.enumeration).collect::<Vec<_>>())
            .bind(
                items
                    .clone()
                    .map(|one| one.seen.as_deref())
                    .collect::<Vec<_>>(),
            )
            .bind(items.clone().map(|one| one.told).collect::<Vec<_>>())
            .bind(items.map(|one| one.version.as_deref()).collect::<Vec<_>>())
    }};
}

macro_rules! items {
    () => {
        "unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bytea[], $6::boolean[], $7::bytea[])
             AS i(subscription_id, item, scope, enumeration, seen, told, version)"
    };
}

pub(super) async fn write(sql: &mut PgConnection, items: &[Item]) -> Result<(), sqlx::Error> {
    let query = sqlx::query(concat!(
        "INSERT INTO known_items (subscription_id, item, scope, enumeration, seen, told, version)
         SELECT * FROM ",
        items!(),
        " ON CONFLICT (subscription_id, item) DO UPDATE SET scope = excluded.scope,
             enumeration = excluded.enumeration, seen = excluded.seen, told = excluded.told, version = excluded.version"
    ));
    bind_items!(query, items).execute(sql).await.map(|_| ())
}

/// How many of these are not here, or not as they are there.
pub(super) async fn missing(sql: &mut PgConnection, items: &[Item]) -> Result<u64, sqlx::Error> {
    let query = sqlx::query_as(concat!(
        "SELECT count(*) FROM ",
        items!(),
        " WHERE NOT EXISTS (
             SELECT 1 FROM known_items k WHERE k.subscription_id = i.subscription_id AND k.item = i.item
                 AND (k.scope, k.enumeration, k.seen, k.told, k.version)
                     IS NOT DISTINCT FROM (i.scope, i.enumeration, i.seen, i.told, i.version))"
    ));
    let (missing,): (i64,) = bind_items!(query, items).fetch_one(sql).await?;
    Ok(u64::try_from(missing).unwrap_or(u64::MAX))
}

pub(super) async fn count(sql: &mut PgConnection) -> Result<u64, sqlx::Error> {
    let (count,): (i64,) = sqlx::query_as("SELECT count(*) FROM known_items")
        .fetch_one(sql)
        .await?;
    Ok(u64::try_from(count).unwrap_or(0))
}

fn read(row: &PgRow) -> Result<KnownItem, Undone> {
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
