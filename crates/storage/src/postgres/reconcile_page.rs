//! What one answer of an enumeration led to.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashSet},
};

use sqlx::PgConnection;
use tidings_domain::notification::Verdict;

use super::{
    Shared,
    enrich::fenced,
    ingest::{Columns, arrays, bind, names},
    row::{number, text, text_if_any, time},
    subscriptions::missing,
    trouble::Undone,
};
use crate::{
    Lease,
    record::{KnownItem, ReconcilePage},
    store::is_too_long,
};

/// `$1` … the finds, `$19` … `$21` the lease, `$22` the subscription, which stays until the end; `$23` … the items, `$29`
/// those to be forgotten, `$30` … the scope. As where notifications are recorded, the transaction has its id before its
/// first place.
const PAGE: &str = concat!(
    "WITH me AS MATERIALIZED (SELECT pg_current_xact_id() AS id),
     leased AS MATERIALIZED (
         SELECT 1 FROM shards WHERE shard = $19 AND epoch = $20 AND node = $21 FOR KEY SHARE),
     there AS MATERIALIZED (
         SELECT s.id FROM subscriptions s WHERE s.id = $22 FOR KEY SHARE),
     open AS MATERIALIZED (
         SELECT t.id FROM there t, leased, me WHERE me.id IS NOT NULL),
     placed AS MATERIALIZED (
         SELECT nextval('notifications_seq') AS seq, f.* FROM (
             SELECT f.* FROM open, unnest(", arrays!(), ", $17::bigint[], $18::smallint[])
                 WITH ORDINALITY AS f(", names!(), ", due_at, shard, place) ORDER BY f.place) f),
     kept AS (
         INSERT INTO notifications (seq, ", names!(), ") SELECT seq, ", names!(), " FROM placed ORDER BY place),
     queued AS (
         INSERT INTO queue (seq, due_at, shard, failures)
         SELECT seq, due_at, shard, 0 FROM placed ORDER BY place),
     shown AS (
         INSERT INTO known_items AS k (subscription_id, item, scope, enumeration, seen, told, version)
         SELECT open.id, i.item, i.scope, i.enumeration, i.seen, i.told, i.version
         FROM open, unnest($23::text[], $24::text[], $25::bigint[], $26::bytea[], $27::boolean[], $28::bytea[])
             AS i(item, scope, enumeration, seen, told, version)
         ORDER BY i.item
         ON CONFLICT (subscription_id, item) DO UPDATE SET scope = excluded.scope,
             enumeration = excluded.enumeration, seen = excluded.seen, told = k.told OR excluded.told,
             version = CASE WHEN excluded.told AND NOT k.told THEN excluded.version ELSE k.version END),
     forgotten AS (
         DELETE FROM known_items k USING open
         WHERE k.subscription_id = open.id AND k.item = ANY($29) AND NOT k.told),
     scoped AS (
         INSERT INTO reconcile_scopes (subscription_id, name, link, enumeration, enumerating, window_from, window_to)
         SELECT open.id, $30, $31, $32, $33, $34, $35 FROM open
         ON CONFLICT (subscription_id, name) DO UPDATE SET link = excluded.link,
             enumeration = excluded.enumeration, enumerating = excluded.enumerating,
             window_from = excluded.window_from, window_to = excluded.window_to)
     SELECT EXISTS (SELECT 1 FROM there), EXISTS (SELECT 1 FROM leased)"
);

/// Items as columns, each once.
#[derive(Default)]
struct Items<'a> {
    id: Vec<Cow<'a, str>>,
    scope: Vec<Cow<'a, str>>,
    enumeration: Vec<i64>,
    seen: Vec<Option<&'a [u8]>>,
    told: Vec<bool>,
    version: Vec<Option<&'a [u8]>>,
}

impl<'a> Items<'a> {
    /// A statement can touch a row once: an item that is shown twice is as it was shown last, but for what was told of it,
    /// and one that is to be forgotten need not be written before.
    fn of(items: &'a [KnownItem], forget: &HashSet<Cow<'_, str>>) -> Self {
        let mut last: BTreeMap<Cow<'a, str>, (&'a KnownItem, Option<&'a KnownItem>)> =
            BTreeMap::new();
        for item in items {
            if is_too_long(&item.id) || is_too_long(&item.scope) {
                continue;
            }
            let told = item.told.then_some(item);
            last.entry(text(&item.id))
                .and_modify(|(shown, first_told)| {
                    *shown = item;
                    *first_told = first_told.or(told);
                })
                .or_insert((item, told));
        }
        let mut columns = Self::default();
        for (id, (shown, told)) in last {
            if told.is_none() && forget.contains(&id) {
                continue;
            }
            let version = told.and_then(|item| item.version.as_ref());
            columns.id.push(id);
            columns.scope.push(text(&shown.scope));
            columns.enumeration.push(number(shown.enumeration));
            columns
                .seen
                .push(shown.seen.as_ref().map(|seen| &seen.0[..]));
            columns.told.push(told.is_some());
            columns.version.push(version.map(|version| &version.0[..]));
        }
        columns
    }
}

/// Records it.
pub(super) async fn record(
    shared: &Shared,
    sql: &mut PgConnection,
    page: &ReconcilePage,
    lease: Lease,
) -> Result<(), Undone> {
    let mut finds = Columns::default();
    let (mut due, mut shards) = (Vec::new(), Vec::new());
    for find in &page.finds {
        finds.push(&find.notification, Verdict::Accepted);
        due.push(find.due_at.as_millis());
        shards.push(i16::from(find.shard.get()));
    }
    let mut forget: HashSet<Cow<'_, str>> = page.forget.iter().map(|item| text(item)).collect();
    let items = Items::of(&page.items, &forget);
    for id in &items.id {
        forget.remove(id);
    }
    let scope = &page.scope;
    let (from, to) = scope.window.unzip();
    let (there, leased): (bool, bool) = bind!(sqlx::query_as(PAGE), finds)
        .bind(due)
        .bind(shards)
        .bind(i16::from(lease.shard().get()))
        .bind(lease.epoch())
        .bind(&shared.node)
        .bind(page.subscription.to_string())
        .bind(items.id)
        .bind(items.scope)
        .bind(items.enumeration)
        .bind(items.seen)
        .bind(items.told)
        .bind(items.version)
        .bind(forget.into_iter().collect::<Vec<_>>())
        .bind(text(&scope.name))
        .bind(text_if_any(scope.link.as_deref()))
        .bind(number(scope.enumeration))
        .bind(scope.enumerating)
        .bind(time(from))
        .bind(time(to))
        .fetch_one(sql)
        .await?;
    match (there, leased) {
        (false, _) => Err(missing(page.subscription)),
        (true, false) => Err(fenced(lease.shard())),
        (true, true) => {
            shared
                .hints
                .queued(page.finds.iter().map(|find| find.shard).collect());
            Ok(())
        }
    }
}
