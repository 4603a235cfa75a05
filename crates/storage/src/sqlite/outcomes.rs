//! Events and their deliveries on their way into the tables, in the order in which they were left.

use std::sync::{Arc, LazyLock};

use rusqlite::{Connection, Result};
use tidings_domain::ids::Compact;

use super::{
    row::{self, Text, Time},
    rows::{Binding, Insert},
};
use crate::record::{NewDelivery, NewEvent};

static EVENTS: LazyLock<Insert> = LazyLock::new(|| {
    Insert::new(
        "events (id, environment_id, connection_id, subscription_id, notification_id, trigger, subject, object_state,
             created_at, checksum, body)",
        "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
});

static DELIVERIES: LazyLock<Insert> = LazyLock::new(|| {
    Insert::new(
        "deliveries (id, environment_id, event_seq, webhook_id, state, attempts, due_at, created_at)",
        "(?, ?, ?, ?, 'pending', 0, ?, ?)",
    )
});

/// An event and the checksum of its body: computed by the caller, as the writer has little time.
#[derive(Debug)]
pub(super) struct SummedEvent {
    pub(super) new: NewEvent,
    checksum: i64,
}

impl SummedEvent {
    pub(super) fn new(new: NewEvent) -> Self {
        let checksum = row::checksum(&new.event.body);
        Self { new, checksum }
    }
}

/// The events and deliveries of a batch that are not written yet.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    events: Vec<Made>,
    deliveries: Vec<Wanted>,
}

#[derive(Debug)]
struct Made {
    /// All of its notification.
    events: Arc<[SummedEvent]>,
    place: usize,
}

#[derive(Debug)]
struct Wanted {
    /// The place of its event among those of the batch.
    event: usize,
    delivery: NewDelivery,
}

impl Outcomes {
    /// Leaves the event at `place` of `events` to be written.
    pub(super) fn add(&mut self, events: &Arc<[SummedEvent]>, place: usize) {
        let events = Arc::clone(events);
        self.events.push(Made { events, place });
    }

    /// Leaves a delivery of the event that was left last to be written. Its webhook exists.
    pub(super) fn add_delivery(&mut self, delivery: NewDelivery) {
        self.deliveries.push(Wanted {
            event: self.events.len() - 1,
            delivery,
        });
    }

    /// Forgets what was not written.
    pub(super) fn clear(&mut self) {
        self.events.clear();
        self.deliveries.clear();
    }

    /// Writes all of them.
    pub(super) fn write(&mut self, sql: &Connection) -> Result<()> {
        if self.events.is_empty() {
            return Ok(());
        }
        let first = EVENTS.write(sql, &self.events, |binding, made| {
            bind_event(binding, made.event())
        })?;
        DELIVERIES.write(sql, &self.deliveries, |binding, wanted| {
            let event = &self.events[wanted.event].event().new.event;
            binding.next(wanted.delivery.id.to_bytes())?;
            binding.next(event.environment.to_bytes())?;
            binding.next(first + i64::try_from(wanted.event).unwrap_or(i64::MAX))?;
            binding.next(wanted.delivery.webhook.to_bytes())?;
            binding.next(Time(event.created_at))?;
            binding.next(Time(event.created_at))
        })?;
        self.clear();
        Ok(())
    }
}

impl Made {
    fn event(&self) -> &SummedEvent {
        &self.events[self.place]
    }
}

fn bind_event(binding: &mut Binding<'_, '_>, event: &SummedEvent) -> Result<()> {
    let SummedEvent { new, checksum } = event;
    let event = &new.event;
    binding.next(event.id.to_bytes())?;
    binding.next(event.environment.to_bytes())?;
    binding.next(event.connection.to_bytes())?;
    binding.next(event.subscription.map(Compact::to_bytes))?;
    binding.next(event.notification.map(Compact::to_bytes))?;
    binding.next(Text(event.trigger))?;
    binding.next(&event.subject)?;
    binding.next(event.object_state.as_str())?;
    binding.next(Time(event.created_at))?;
    binding.next(checksum)?;
    binding.next(&event.body[..])
}
