//! How many changes became known on each day, and how.

use sqlx::{PgConnection, postgres::PgRow};
use tidings_domain::{
    completeness::{self, Completeness, Counted, Day, DayCounts},
    ids::SubscriptionId,
};

use super::{
    row::{Columns, number},
    trouble::Undone,
};
use crate::record::SubscriptionFilter;

/// Adds rows `c` of days, many to a statement; they are locked in the order of their keys.
macro_rules! adding {
    ($rows:expr) => {
        concat!(
            "INSERT INTO subscription_days AS d (subscription_id, day, on_time, late, found, hours)
             SELECT c.subscription_id, c.day, sum(c.on_time)::bigint, sum(c.late)::bigint, sum(c.found)::bigint,
                 bit_or(c.hours)
             FROM ",
            $rows,
            " JOIN subscriptions s ON s.id = c.subscription_id
             GROUP BY c.subscription_id, c.day ORDER BY c.subscription_id, c.day
             ON CONFLICT (subscription_id, day) DO UPDATE SET on_time = d.on_time + excluded.on_time,
                 late = d.late + excluded.late, found = d.found + excluded.found, hours = d.hours | excluded.hours"
        )
    };
}
pub(super) use adding;

/// What is added, as columns.
#[derive(Default)]
pub(super) struct Additions {
    pub(super) subscription: Vec<String>,
    pub(super) day: Vec<i64>,
    pub(super) on_time: Vec<i64>,
    pub(super) late: Vec<i64>,
    pub(super) found: Vec<i64>,
    pub(super) hours: Vec<i32>,
}

impl Additions {
    pub(super) fn push(&mut self, one: &Counted) {
        let counts = Completeness::of(one.how, one.count);
        self.subscription.push(one.subscription.to_string());
        self.day.push(Day::of(one.at).0);
        self.on_time.push(number(counts.on_time));
        self.late.push(number(counts.late));
        self.found.push(number(counts.found));
        // There are 24 bits.
        let hours = completeness::hour_bit(one.at, one.how);
        self.hours.push(hours.cast_signed());
    }
}

pub(super) async fn add(sql: &mut PgConnection, counted: &[Counted]) -> Result<(), Undone> {
    let mut all = Additions::default();
    for one in counted {
        all.push(one);
    }
    sqlx::query(adding!(
        "unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::integer[])
             AS c(subscription_id, day, on_time, late, found, hours)"
    ))
    .bind(all.subscription)
    .bind(all.day)
    .bind(all.on_time)
    .bind(all.late)
    .bind(all.found)
    .bind(all.hours)
    .execute(sql)
    .await?;
    Ok(())
}

macro_rules! total {
    ($more:literal) => {
        concat!(
            "SELECT coalesce(sum(on_time), 0)::bigint, coalesce(sum(late), 0)::bigint, coalesce(sum(found), 0)::bigint
             FROM subscription_days WHERE day >= $1",
            $more
        )
    };
    (of $column:literal) => {
        concat!(
            "SELECT coalesce(sum(d.on_time), 0)::bigint, coalesce(sum(d.late), 0)::bigint,
                 coalesce(sum(d.found), 0)::bigint
             FROM subscriptions s JOIN subscription_days d ON d.subscription_id = s.id
             WHERE d.day >= $1 AND s.",
            $column,
            " = $2"
        )
    };
}

pub(super) async fn total(
    sql: &mut PgConnection,
    which: SubscriptionFilter,
    from: Day,
) -> Result<Completeness, Undone> {
    let (text, id) = match which {
        SubscriptionFilter::All => (total!(""), None),
        SubscriptionFilter::Connection(id) => (total!(of "connection_id"), Some(id.to_string())),
        SubscriptionFilter::Environment(id) => (total!(of "environment_id"), Some(id.to_string())),
        SubscriptionFilter::Integration(id) => (total!(of "integration_id"), Some(id.to_string())),
        SubscriptionFilter::One(id) => (total!(of "id"), Some(id.to_string())),
    };
    let query = sqlx::query(text).bind(from.0);
    let row = match id {
        Some(id) => query.bind(id).fetch_one(sql).await?,
        None => query.fetch_one(sql).await?,
    };
    counts(&mut Columns::new(&row))
}

pub(super) async fn days(
    sql: &mut PgConnection,
    these: &[SubscriptionId],
    from: Day,
) -> Result<Vec<DayCounts>, Undone> {
    let these: Vec<String> = these.iter().map(ToString::to_string).collect();
    let rows = sqlx::query(
        "SELECT subscription_id, day, on_time, late, found, hours FROM subscription_days
         WHERE subscription_id = ANY($1) AND day >= $2 ORDER BY subscription_id, day",
    )
    .bind(these)
    .bind(from.0)
    .fetch_all(sql)
    .await?;
    rows.iter().map(read).collect()
}

pub(super) async fn forget(sql: &mut PgConnection, before: Day, limit: u32) -> Result<u64, Undone> {
    let gone = sqlx::query(
        "DELETE FROM subscription_days WHERE seq IN (
             SELECT seq FROM subscription_days WHERE day < $1 ORDER BY subscription_id, day LIMIT $2 FOR UPDATE SKIP LOCKED)",
    )
    .bind(before.0)
    .bind(i64::from(limit))
    .execute(sql)
    .await?;
    Ok(gone.rows_affected())
}

/// Forgets all of a subscription.
pub(super) async fn forget_all(sql: &mut PgConnection, id: &str) -> Result<(), Undone> {
    sqlx::query("DELETE FROM subscription_days WHERE subscription_id = $1")
        .bind(id)
        .execute(sql)
        .await?;
    Ok(())
}

fn read(row: &PgRow) -> Result<DayCounts, Undone> {
    let mut columns = Columns::new(row);
    Ok(DayCounts {
        subscription: columns.parsed()?,
        day: Day(columns.value()?),
        counts: counts(&mut columns)?,
        hours: columns.value::<i32>()?.cast_unsigned(),
    })
}

fn counts(columns: &mut Columns<'_>) -> Result<Completeness, Undone> {
    Ok(Completeness {
        on_time: columns.number()?,
        late: columns.number()?,
        found: columns.number()?,
    })
}
