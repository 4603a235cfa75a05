//! Events, as they are kept and as they are read.

use std::borrow::Cow;

use bytes::Bytes;
use sqlx::PgConnection;
use tidings_domain::{
    event::{Event, ObjectState},
    ids::EventId,
    page::{Listing, Page},
};

use super::{
    lists::{List, Scan},
    row::{Columns, shown, text},
    trouble::Undone,
};
use crate::{
    checksum,
    record::{EventFilter, NewEvent, Seq},
};

/// Parts of a WITH that keep events and make their deliveries, to webhooks that still exist. `$5` … the events `e`, of which
/// those are kept that `$which` joins; `$17` … the deliveries.
macro_rules! making {
    ($which:literal) => {
        concat!(
            "made AS MATERIALIZED (
                 SELECT nextval('events_seq') AS seq, e.* FROM (
                     SELECT e.* FROM unnest($5::bigint[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
                         $11::text[], $12::text[], $13::text[], $14::bigint[], $15::bigint[], $16::bytea[])
                         WITH ORDINALITY AS e(of, id, environment_id, connection_id, subscription_id, notification_id,
                             trigger, subject, object_state, created_at, checksum, body, place) ",
            $which,
            " ORDER BY e.place) e),
             kept AS (
                 INSERT INTO events (seq, id, environment_id, connection_id, subscription_id, notification_id, trigger,
                     subject, object_state, created_at, checksum, body)
                 SELECT seq, id, environment_id, connection_id, subscription_id, notification_id, trigger, subject,
                     object_state, created_at, checksum, body
                 FROM made ORDER BY place),
             delivered AS (
                 INSERT INTO deliveries (seq, id, environment_id, event_seq, webhook_id, state, attempts, due_at,
                     created_at)
                 SELECT nextval('deliveries_seq'), d.id, d.environment_id, d.event_seq, d.webhook_id, 'pending', 0,
                     d.created_at, d.created_at
                 FROM (
                     SELECT d.id, m.environment_id, m.seq AS event_seq, d.webhook_id, m.created_at
                     FROM unnest($17::text[], $18::text[], $19::text[])
                         WITH ORDINALITY AS d(event_id, id, webhook_id, place)
                     JOIN made m ON m.id = d.event_id JOIN webhooks w ON w.id = d.webhook_id
                     ORDER BY d.place) d)"
        )
    };
}
pub(super) use making;

/// Binds the columns of [`Made`].
macro_rules! bind_made {
    ($query:expr, $made:expr) => {
        $query
            .bind($made.of)
            .bind($made.id)
            .bind($made.environment)
            .bind($made.connection)
            .bind($made.subscription)
            .bind($made.notification)
            .bind($made.trigger)
            .bind($made.subject)
            .bind($made.object_state)
            .bind($made.created_at)
            .bind($made.checksum)
            .bind($made.body)
            .bind($made.delivery_event)
            .bind($made.delivery_id)
            .bind($made.delivery_webhook)
    };
}
pub(super) use bind_made;

/// The columns of events and deliveries that go into a statement as arrays.
#[derive(Default)]
pub(super) struct Made<'a> {
    pub(super) of: Vec<i64>,
    pub(super) id: Vec<String>,
    pub(super) environment: Vec<String>,
    pub(super) connection: Vec<String>,
    pub(super) subscription: Vec<Option<String>>,
    pub(super) notification: Vec<Option<String>>,
    pub(super) trigger: Vec<String>,
    pub(super) subject: Vec<Cow<'a, str>>,
    pub(super) object_state: Vec<&'static str>,
    pub(super) created_at: Vec<i64>,
    pub(super) checksum: Vec<i64>,
    pub(super) body: Vec<&'a [u8]>,
    pub(super) delivery_event: Vec<String>,
    pub(super) delivery_id: Vec<String>,
    pub(super) delivery_webhook: Vec<String>,
}

impl<'a> Made<'a> {
    /// Adds an event of the notification at a place.
    pub(super) fn push(&mut self, of: Seq, new: &'a NewEvent) {
        let event = &new.event;
        let id = event.id.to_string();
        for delivery in &new.deliveries {
            self.delivery_event.push(id.clone());
            self.delivery_id.push(delivery.id.to_string());
            self.delivery_webhook.push(delivery.webhook.to_string());
        }
        self.of.push(of.0);
        self.id.push(id);
        self.environment.push(event.environment.to_string());
        self.connection.push(event.connection.to_string());
        self.subscription.push(shown(event.subscription));
        self.notification.push(shown(event.notification));
        self.trigger.push(event.trigger.to_string());
        self.subject.push(text(&event.subject));
        self.object_state.push(event.object_state.as_str());
        self.created_at.push(event.created_at.as_millis());
        self.checksum.push(checksum::of(&event.body));
        self.body.push(&event.body);
    }
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT seq, id, environment_id, connection_id, subscription_id, notification_id, trigger, subject, \
             object_state, created_at",
            $rest
        )
    };
}

pub(super) async fn one(sql: &mut PgConnection, id: EventId) -> Result<Option<Event>, Undone> {
    let row = sqlx::query(select!(", checksum, body FROM events WHERE id = $1"))
        .bind(id.to_string())
        .fetch_optional(sql)
        .await?;
    row.as_ref()
        .map(|row| {
            let mut columns = Columns::new(row);
            columns.skip();
            let mut event = read(&mut columns)?;
            event.body = columns.checked_bytes()?;
            Ok(event)
        })
        .transpose()
}

pub(super) async fn list(
    sql: &mut PgConnection,
    filter: &EventFilter,
    page: &Page,
    after: i64,
) -> Result<Listing<Event>, Undone> {
    let scan = if filter.connection.is_some() {
        Scan::Indexed
    } else {
        Scan::Windows("events")
    };
    let mut list = List::new(select!(" FROM events"), "seq", scan);
    list.only("environment_id = ?", filter.environment);
    list.only("connection_id = ?", filter.connection);
    list.only("trigger = ?", filter.trigger);
    list.page(sql, page, after, read).await
}

/// Reads all but the body, which is left empty.
fn read(columns: &mut Columns<'_>) -> Result<Event, Undone> {
    Ok(Event {
        id: columns.parsed()?,
        environment: columns.parsed()?,
        connection: columns.parsed()?,
        subscription: columns.parsed_if_any()?,
        notification: columns.parsed_if_any()?,
        trigger: columns.trigger()?,
        subject: columns.value()?,
        object_state: columns.word(&ObjectState::ALL, ObjectState::as_str)?,
        created_at: columns.time()?,
        body: Bytes::new(),
    })
}
