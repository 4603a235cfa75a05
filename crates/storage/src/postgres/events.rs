//! Events as they are read.

use bytes::Bytes;
use sqlx::PgConnection;
use tidings_domain::{
    event::{Event, ObjectState},
    ids::EventId,
    page::{Listing, Page},
};

use super::{
    lists::{List, Scan},
    row::Columns,
    trouble::Undone,
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
