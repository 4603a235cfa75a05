//! Events as they are read.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension as _, Result};
use tidings_domain::{
    event::{Event, ObjectState},
    ids::{Compact, EventId},
    page::{Listing, Page},
};

use super::{
    lists::{List, Scan},
    row::Columns,
};
use crate::record::EventFilter;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT seq, id, environment_id, connection_id, subscription_id, notification_id, trigger, subject, \
             object_state, created_at",
            $rest
        )
    };
}

pub(super) fn one(sql: &Connection, id: EventId) -> Result<Option<Event>> {
    sql.prepare_cached(select!(", checksum, body FROM events WHERE id = ?"))?
        .query_row([id.to_bytes()], |row| {
            let mut columns = Columns::new(row);
            columns.value::<i64>()?;
            let mut event = read(&mut columns)?;
            event.body = columns.checked_bytes()?;
            Ok(event)
        })
        .optional()
}

pub(super) fn list(
    sql: &Connection,
    filter: &EventFilter,
    page: &Page,
    after: i64,
) -> Result<Listing<Event>> {
    let scan = if filter.connection.is_some() {
        Scan::Indexed
    } else {
        Scan::Windows("events")
    };
    let mut list = List::new(select!(" FROM events"), "seq", scan);
    list.only_id("environment_id = ?", filter.environment);
    list.only_id("connection_id = ?", filter.connection);
    list.only("trigger = ?", filter.trigger);
    list.page(sql, page, after, read)
}

/// Reads all but the body, which is left empty.
fn read(columns: &mut Columns<'_>) -> Result<Event> {
    Ok(Event {
        id: columns.id()?,
        environment: columns.id()?,
        connection: columns.id()?,
        subscription: columns.id_if_any()?,
        notification: columns.id_if_any()?,
        trigger: columns.trigger()?,
        subject: columns.value()?,
        object_state: columns.word(&ObjectState::ALL, ObjectState::as_str)?,
        created_at: columns.time()?,
        body: Bytes::new(),
    })
}
