//! What the app was told of items, on its way into the table: a part of the statement that ends notifications.

use std::borrow::Cow;

use super::row::text;
use crate::{
    record::{Seq, Told},
    store::is_too_long,
};

/// `$20` … `$24`: what was told, of places that were `taken`. What was told last of an item holds. Rows are locked in the
/// order of their keys.
macro_rules! told {
    () => {
        "known AS MATERIALIZED (
             SELECT DISTINCT ON (k.subscription_id, k.item) k.*
             FROM unnest($20::bigint[], $21::text[], $22::text[], $23::boolean[], $24::bytea[])
                 WITH ORDINALITY AS k(of, subscription_id, item, present, version, place)
             JOIN taken t ON t.seq = k.of
             ORDER BY k.subscription_id, k.item, k.place DESC),
         remembered AS (
             INSERT INTO known_items (subscription_id, item, scope, enumeration, told, version)
             SELECT k.subscription_id, k.item, '', 0, true, k.version
             FROM known k JOIN subscriptions s ON s.id = k.subscription_id
             WHERE k.present ORDER BY k.subscription_id, k.item
             ON CONFLICT (subscription_id, item) DO UPDATE SET told = true, version = excluded.version,
                 seen = NULL),
         forgotten AS (
             DELETE FROM known_items i USING known k
             WHERE NOT k.present AND i.subscription_id = k.subscription_id AND i.item = k.item)"
    };
}
pub(super) use told;

/// What was told, as columns.
#[derive(Default)]
pub(super) struct ToldItems<'a> {
    pub(super) of: Vec<i64>,
    pub(super) subscription: Vec<String>,
    pub(super) item: Vec<Cow<'a, str>>,
    pub(super) present: Vec<bool>,
    pub(super) version: Vec<Option<&'a [u8]>>,
}

impl<'a> ToldItems<'a> {
    pub(super) fn push(&mut self, of: Seq, told: &'a Told) {
        if is_too_long(&told.item) {
            return;
        }
        let version = told.present.as_ref().and_then(Option::as_ref);
        self.of.push(of.0);
        self.subscription.push(told.subscription.to_string());
        self.item.push(text(&told.item));
        self.present.push(told.present.is_some());
        self.version.push(version.map(|version| &version.0[..]));
    }
}

/// Binds what was told.
macro_rules! bind_told {
    ($query:expr, $told:expr) => {
        $query
            .bind($told.of)
            .bind($told.subscription)
            .bind($told.item)
            .bind($told.present)
            .bind($told.version)
    };
}
pub(super) use bind_told;
