//! How many changes became known on each day, and how.

use rusqlite::{Connection, Result, Row, params_from_iter, types::Value};
use tidings_domain::{
    completeness::{self, Completeness, Counted, Day, DayCounts},
    ids::{Compact, SubscriptionId},
};

use super::{
    row::{self, Columns},
    writer::Tx,
};
use crate::record::SubscriptionFilter;

pub(super) fn add(tx: &Tx<'_>, counted: &[Counted]) -> Result<()> {
    let mut statement = tx.sql.prepare_cached(
        "INSERT INTO subscription_days AS d (subscription_id, day, on_time, late, found, hours)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE EXISTS (SELECT 1 FROM subscriptions WHERE id = ?1)
         ON CONFLICT (subscription_id, day) DO UPDATE SET on_time = d.on_time + excluded.on_time,
             late = d.late + excluded.late, found = d.found + excluded.found, hours = d.hours | excluded.hours",
    )?;
    for one in counted {
        let counts = Completeness::of(one.how, one.count);
        statement.execute((
            one.subscription.to_bytes(),
            Day::of(one.at).0,
            row::number(counts.on_time),
            row::number(counts.late),
            row::number(counts.found),
            completeness::hour_bit(one.at, one.how),
        ))?;
    }
    Ok(())
}

pub(super) fn total(
    sql: &Connection,
    which: SubscriptionFilter,
    from: Day,
) -> Result<Completeness> {
    let (of, id) = match which {
        SubscriptionFilter::All => ("", None),
        SubscriptionFilter::Connection(id) => ("connection_id = ?2", Some(id.to_bytes())),
        SubscriptionFilter::Environment(id) => ("environment_id = ?2", Some(id.to_bytes())),
        SubscriptionFilter::Integration(id) => ("integration_id = ?2", Some(id.to_bytes())),
        SubscriptionFilter::One(id) => ("id = ?2", Some(id.to_bytes())),
    };
    let meant = if of.is_empty() {
        String::new()
    } else {
        format!("AND subscription_id IN (SELECT id FROM subscriptions WHERE {of})")
    };
    let text = format!(
        "SELECT coalesce(sum(on_time), 0), coalesce(sum(late), 0), coalesce(sum(found), 0) FROM subscription_days
         WHERE day >= ?1 {meant}"
    );
    let values = [Value::Integer(from.0)]
        .into_iter()
        .chain(id.map(|id| Value::Blob(id.to_vec())));
    sql.prepare_cached(&text)?
        .query_row(params_from_iter(values), |row| {
            counts(&mut Columns::new(row))
        })
}

pub(super) fn days(
    sql: &Connection,
    these: &[SubscriptionId],
    from: Day,
) -> Result<Vec<DayCounts>> {
    let mut statement = sql.prepare_cached(
        "SELECT subscription_id, day, on_time, late, found, hours FROM subscription_days
         WHERE subscription_id = ? AND day >= ? ORDER BY day",
    )?;
    let mut found = Vec::new();
    for id in these {
        for row in statement.query_map((id.to_bytes(), from.0), read)? {
            found.push(row?);
        }
    }
    Ok(found)
}

pub(super) fn forget(tx: &Tx<'_>, before: Day, limit: u32) -> Result<u64> {
    let gone = tx
        .sql
        .prepare_cached(
            "DELETE FROM subscription_days
             WHERE seq IN (SELECT seq FROM subscription_days WHERE day < ? LIMIT ?)",
        )?
        .execute((before.0, limit))?;
    Ok(u64::try_from(gone).unwrap_or(u64::MAX))
}

/// Forgets all of a subscription.
pub(super) fn forget_all(tx: &Tx<'_>, id: SubscriptionId) -> Result<()> {
    tx.sql
        .prepare_cached("DELETE FROM subscription_days WHERE subscription_id = ?")?
        .execute([id.to_bytes()])?;
    Ok(())
}

fn read(row: &Row<'_>) -> Result<DayCounts> {
    let mut columns = Columns::new(row);
    Ok(DayCounts {
        subscription: columns.id()?,
        day: Day(columns.value()?),
        counts: counts(&mut columns)?,
        hours: columns.value()?,
    })
}

fn counts(columns: &mut Columns<'_>) -> Result<Completeness> {
    Ok(Completeness {
        on_time: columns.number()?,
        late: columns.number()?,
        found: columns.number()?,
    })
}
