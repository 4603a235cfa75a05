//! Attempts on their way into the table.
//!
//! The place of an attempt is made of its delivery's and of its number among all attempts of it. So those of one delivery
//! stand together, in their order, and need no index.

use std::sync::{Arc, LazyLock};

use rusqlite::{Connection, OptionalExtension as _, Result};
use tidings_domain::ids::Compact;

use super::{row::Time, rows::Insert};
use crate::record::AttemptResult;

/// How many bits of a place are the number among the attempts of the delivery. No delivery comes to a million attempts,
/// each asked for by somebody or by the retry schedule; should one, those beyond are counted and not kept.
const BITS: u32 = 20;

/// Where an attempt `a` is one of the delivery that has this place.
macro_rules! of {
    ($delivery:literal) => {
        concat!(
            "a.seq >= (",
            $delivery,
            " << 20) AND a.seq < ((",
            $delivery,
            " + 1) << 20)"
        )
    };
}
pub(super) use of;

static ATTEMPTS: LazyLock<Insert> = LazyLock::new(|| {
    Insert::new(
        "attempts (seq, id, delivery_seq, number, started_at, took_ms, outcome, status, error, answer)",
        "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
});

/// The attempts of a batch that are not written yet.
#[derive(Debug, Default)]
pub(super) struct Tries(Vec<Try>);

#[derive(Debug)]
struct Try {
    seq: i64,
    delivery: i64,
    result: Arc<AttemptResult>,
}

impl Tries {
    /// Leaves an attempt of the delivery at this place to be written, unless it has been recorded before; whether it was
    /// not. `last` is the place of the delivery's last attempt.
    pub(super) fn add(
        &mut self,
        sql: &Connection,
        delivery: i64,
        last: Option<i64>,
        result: &Arc<AttemptResult>,
    ) -> Result<bool> {
        let mut last = last;
        for earlier in self.0.iter().filter(|one| one.delivery == delivery) {
            if earlier.result.attempt.id == result.attempt.id {
                return Ok(false);
            }
            last = Some(earlier.seq);
        }
        if last.is_some() && is_recorded(sql, delivery, result)? {
            return Ok(false);
        }
        let seq = last.map_or(delivery << BITS, |last| last + 1);
        if seq >> BITS == delivery {
            let result = Arc::clone(result);
            self.0.push(Try {
                seq,
                delivery,
                result,
            });
        }
        Ok(true)
    }

    /// Forgets what was not written.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Writes all of them.
    pub(super) fn write(&mut self, sql: &Connection) -> Result<()> {
        ATTEMPTS.write(sql, &self.0, |binding, one| {
            let attempt = &one.result.attempt;
            binding.next(one.seq)?;
            binding.next(attempt.id.to_bytes())?;
            binding.next(one.delivery)?;
            binding.next(attempt.number)?;
            binding.next(Time(attempt.started_at))?;
            binding.next(i64::try_from(attempt.took.as_millis()).unwrap_or(i64::MAX))?;
            binding.next(attempt.outcome.as_str())?;
            binding.next(attempt.status)?;
            binding.next(&attempt.error)?;
            binding.next(&attempt.answer[..])
        })?;
        self.0.clear();
        Ok(())
    }
}

/// Whether the attempt stands among those of its delivery.
fn is_recorded(sql: &Connection, delivery: i64, result: &AttemptResult) -> Result<bool> {
    sql.prepare_cached(concat!(
        "SELECT 1 FROM attempts a WHERE ",
        of!("?1"),
        " AND a.id = ?2"
    ))?
    .query_row((delivery, result.attempt.id.to_bytes()), |_| Ok(()))
    .optional()
    .map(|found| found.is_some())
}
