//! Notifications on their way into the tables, in the order in which they were left.

use std::{
    slice,
    sync::{Arc, LazyLock},
};

use rusqlite::{Connection, Result};
use tidings_domain::{
    ids::Compact,
    notification::{LifecycleEvent, Notification, Verdict},
    resource::ChangeType,
};

use super::{
    row::{self, Time},
    rows::{Binding, Insert},
};
use crate::record::{DedupKey, NewNotification};

static NOTIFICATIONS: LazyLock<Insert> = LazyLock::new(|| {
    Insert::new(
        "notifications (id, environment_id, integration_id, origin, received_at, verdict, connection_id, subscription_id,
             graph_subscription_id, tenant_id, change_type, lifecycle_event, resource, etag, dedup_key, checksum, item)",
        "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
});

static QUEUE: LazyLock<Insert> = LazyLock::new(|| {
    Insert::new(
        "queue (seq, due_at, failures, client_state_hash)",
        "(?, ?, 0, ?)",
    )
});

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
        if self.0.is_empty() {
            return Ok(());
        }
        // The newest notification is never removed: no place is given twice.
        let first = NOTIFICATIONS.write(sql, &self.0, |binding, arrival| {
            let Arrived { new, checksum } = arrival.arrived();
            let key = new
                .dedup_key
                .filter(|_| arrival.verdict == Verdict::Accepted);
            let notification = &new.notification;
            bind(binding, notification, arrival.verdict, key, *checksum)
        })?;
        let queued: Vec<(i64, &Arrival)> = (first..)
            .zip(&self.0)
            .filter(|(_, arrival)| arrival.is_queued())
            .collect();
        QUEUE.write(sql, &queued, |binding, (seq, arrival)| {
            let new = &arrival.arrived().new;
            let hash = new
                .client_state_hash
                .filter(|_| arrival.verdict == Verdict::Held);
            binding.next(seq)?;
            binding.next(Time(new.due_at))?;
            binding.next(hash.map(|hash| hash.0))
        })?;
        self.0.clear();
        Ok(())
    }
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

/// Writes one rejected notification.
pub(super) fn write_rejected(sql: &Connection, rejected: &Notification) -> Result<()> {
    let checksum = row::checksum(&rejected.item);
    NOTIFICATIONS
        .write(sql, slice::from_ref(rejected), |binding, rejected| {
            bind(binding, rejected, rejected.verdict, None, checksum)
        })
        .map(|_| ())
}

fn bind(
    binding: &mut Binding<'_, '_>,
    notification: &Notification,
    verdict: Verdict,
    key: Option<DedupKey>,
    checksum: i64,
) -> Result<()> {
    binding.next(notification.id.to_bytes())?;
    binding.next(notification.environment.to_bytes())?;
    binding.next(notification.integration.to_bytes())?;
    binding.next(notification.origin.as_str())?;
    binding.next(Time(notification.received_at))?;
    binding.next(verdict.as_str())?;
    binding.next(notification.connection.map(Compact::to_bytes))?;
    binding.next(notification.subscription.map(Compact::to_bytes))?;
    binding.next(&notification.graph_subscription_id)?;
    binding.next(notification.tenant_id.map(Compact::to_bytes))?;
    binding.next(notification.change_type.map(ChangeType::as_str))?;
    binding.next(notification.lifecycle_event.map(LifecycleEvent::as_str))?;
    binding.next(&notification.resource)?;
    binding.next(&notification.etag)?;
    binding.next(key.map(|key| key.0))?;
    binding.next(checksum)?;
    binding.next(&notification.item[..])
}
