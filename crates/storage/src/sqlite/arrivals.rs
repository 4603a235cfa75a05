//! Notifications on their way into the tables, many rows to a statement.
//!
//! What a row costs is mostly what its statement costs. So operations only leave their notifications here, and all of a
//! batch are written at its end, in the order in which they were left.

use std::sync::{Arc, LazyLock};

use rusqlite::{CachedStatement, Connection, Result, ToSql};
use tidings_domain::{
    ids::Compact,
    notification::{LifecycleEvent, Notification, Verdict},
    resource::ChangeType,
};

use super::row::{self, Time};
use crate::record::{DedupKey, NewNotification};

/// How many rows the statements write: as many of the longest as there are rows for, then of the others.
const LENGTHS: [usize; 3] = [32, 8, 1];

/// A notification and the checksum of its item: computed by the caller, as the writer has little time.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) new: NewNotification,
    checksum: i64,
}

impl Arrived {
    pub(super) fn new(new: NewNotification) -> Self {
        let checksum = row::checksum(&new.notification.item);
        Self { new, checksum }
    }
}

/// The notifications of a batch that are not written yet.
#[derive(Debug, Default)]
pub(super) struct Arrivals(Vec<Arrival>);

#[derive(Debug)]
struct Arrival {
    /// All of its POST.
    post: Arc<[Arrived]>,
    place: usize,
    verdict: Verdict,
}

impl Arrivals {
    /// Leaves the notification at `place` of `post` to be written.
    pub(super) fn add(&mut self, post: &Arc<[Arrived]>, place: usize, verdict: Verdict) {
        let post = Arc::clone(post);
        self.0.push(Arrival {
            post,
            place,
            verdict,
        });
    }

    /// Forgets what was not written.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Writes all of them.
    pub(super) fn write(&mut self, sql: &Connection) -> Result<()> {
        let mut rest = self.0.as_slice();
        for texts in &*TEXTS {
            let mut chunks = rest.chunks_exact(texts.rows);
            for rows in &mut chunks {
                write(sql, rows, texts)?;
            }
            rest = chunks.remainder();
        }
        self.0.clear();
        Ok(())
    }
}

/// Writes one rejected notification.
pub(super) fn write_rejected(sql: &Connection, notification: &Notification) -> Result<()> {
    let mut statement = sql.prepare_cached(&single().notifications)?;
    let checksum = row::checksum(&notification.item);
    let mut binding = Binding::new(&mut statement);
    binding.notification(notification, notification.verdict, None, checksum)?;
    statement.raw_execute().map(|_| ())
}

fn write(sql: &Connection, rows: &[Arrival], texts: &Texts) -> Result<()> {
    let mut statement = sql.prepare_cached(&texts.notifications)?;
    let mut binding = Binding::new(&mut statement);
    for row in rows {
        let Arrived { new, checksum } = row.arrived();
        let key = new.dedup_key.filter(|_| row.verdict == Verdict::Accepted);
        binding.notification(&new.notification, row.verdict, key, *checksum)?;
    }
    statement.raw_execute()?;
    // The newest row is never removed, so that SQLite's next place is one higher than all that were ever given.
    let first = sql.last_insert_rowid() + 1 - i64::try_from(rows.len()).unwrap_or(i64::MAX);
    let queued = (first..).zip(rows).filter(|(_, row)| row.is_queued());
    if rows.iter().all(Arrival::is_queued) {
        let mut statement = sql.prepare_cached(&texts.queue)?;
        let mut binding = Binding::new(&mut statement);
        for (seq, row) in queued {
            binding.queued(seq, row)?;
        }
        statement.raw_execute()?;
        return Ok(());
    }
    for (seq, row) in queued {
        let mut statement = sql.prepare_cached(&single().queue)?;
        Binding::new(&mut statement).queued(seq, row)?;
        statement.raw_execute()?;
    }
    Ok(())
}

impl Arrival {
    fn arrived(&self) -> &Arrived {
        &self.post[self.place]
    }

    /// Whether the next stage is to look at it.
    fn is_queued(&self) -> bool {
        matches!(self.verdict, Verdict::Accepted | Verdict::Held)
    }
}

/// Binds the values of one row after the other.
struct Binding<'a, 'sql> {
    statement: &'a mut CachedStatement<'sql>,
    bound: usize,
}

impl<'a, 'sql> Binding<'a, 'sql> {
    fn new(statement: &'a mut CachedStatement<'sql>) -> Self {
        Self {
            statement,
            bound: 0,
        }
    }

    fn next(&mut self, value: impl ToSql) -> Result<()> {
        self.bound += 1;
        self.statement.raw_bind_parameter(self.bound, value)
    }

    fn notification(
        &mut self,
        notification: &Notification,
        verdict: Verdict,
        key: Option<DedupKey>,
        checksum: i64,
    ) -> Result<()> {
        self.next(notification.id.to_bytes())?;
        self.next(notification.environment.to_bytes())?;
        self.next(notification.integration.to_bytes())?;
        self.next(notification.origin.as_str())?;
        self.next(Time(notification.received_at))?;
        self.next(verdict.as_str())?;
        self.next(notification.connection.map(Compact::to_bytes))?;
        self.next(notification.subscription.map(Compact::to_bytes))?;
        self.next(&notification.graph_subscription_id)?;
        self.next(notification.tenant_id.map(Compact::to_bytes))?;
        self.next(notification.change_type.map(ChangeType::as_str))?;
        self.next(notification.lifecycle_event.map(LifecycleEvent::as_str))?;
        self.next(&notification.resource)?;
        self.next(&notification.etag)?;
        self.next(key.map(|key| key.0))?;
        self.next(checksum)?;
        self.next(&notification.item[..])
    }

    fn queued(&mut self, seq: i64, row: &Arrival) -> Result<()> {
        let new = &row.arrived().new;
        let hash = new
            .client_state_hash
            .filter(|_| row.verdict == Verdict::Held);
        self.next(seq)?;
        self.next(Time(new.due_at))?;
        self.next(hash.map(|hash| hash.0))
    }
}

/// The statements that write so many rows at once.
struct Texts {
    rows: usize,
    notifications: String,
    queue: String,
}

static TEXTS: LazyLock<[Texts; 3]> = LazyLock::new(|| LENGTHS.map(Texts::of));

/// Those that write a single row.
fn single() -> &'static Texts {
    &TEXTS[LENGTHS.len() - 1]
}

impl Texts {
    fn of(rows: usize) -> Self {
        let repeated = |values: &str| vec![values; rows].join(", ");
        Self {
            rows,
            notifications: format!(
                "INSERT INTO notifications (id, environment_id, integration_id, origin, received_at, verdict,
                     connection_id, subscription_id, graph_subscription_id, tenant_id, change_type, lifecycle_event, resource, etag,
                     dedup_key, checksum, item)
                 VALUES {}",
                repeated("(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
            ),
            queue: format!(
                "INSERT INTO queue (seq, due_at, failures, client_state_hash) VALUES {}",
                repeated("(?, ?, 0, ?)")
            ),
        }
    }
}
