//! What the store says of itself.

use std::sync::atomic::Ordering;

use rusqlite::{Connection, Result};
use tidings_domain::{Timestamp, clock::within};

use super::{SqliteStore, row::Columns};
use crate::record::StoreHealth;

impl SqliteStore {
    /// From memory, but for the oldest that waits; that is left out if the readers are too busy to say.
    pub(super) async fn ask_health(&self) -> StoreHealth {
        let oldest = within(&*self.clock, self.health_wait, self.readers.read(oldest)).await;
        let mut trouble = self.gauges.trouble();
        let oldest_waiting = match oldest {
            Ok(Ok(oldest)) => oldest,
            Ok(Err(error)) => {
                trouble.get_or_insert(format!("the database cannot be read: {error}"));
                None
            }
            Err(_) => None,
        };
        let count = |gauge: &std::sync::atomic::AtomicI64| {
            u64::try_from(gauge.load(Ordering::Relaxed)).unwrap_or(0)
        };
        StoreHealth {
            trouble,
            queued_notifications: count(&self.gauges.queued),
            pending_deliveries: count(&self.gauges.pending),
            oldest_waiting,
        }
    }
}

fn oldest(sql: &Connection) -> Result<Option<Timestamp>> {
    // The first of the queue and the first due of each webhook: a look into an index each, however much waits.
    sql.prepare_cached(
        "SELECT min(since) FROM (
             SELECT * FROM (SELECT n.received_at AS since FROM queue q JOIN notifications n ON n.seq = q.seq
                 ORDER BY q.seq LIMIT 1)
             UNION ALL
             SELECT (SELECT min(d.due_at) FROM deliveries d WHERE d.webhook_id = w.id AND d.state = 'pending')
             FROM webhooks w)",
    )?
    .query_row([], |row| Columns::new(row).time_if_any())
}
