//! Notifications as they are read.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension as _, Result};
use tidings_domain::{
    ids::{Compact, NotificationId},
    notification::{Notification, Verdict},
    page::{Listing, Page},
    resource::ChangeType,
};

use super::{
    lists::{List, Scan},
    row::Columns,
};
use crate::record::NotificationFilter;

/// The columns that [`read`] reads, but for the item.
macro_rules! columns {
    () => {
        "n.seq, n.id, n.environment_id, n.integration_id, n.origin, n.received_at, n.verdict, n.connection_id, \
         n.subscription_id, n.graph_subscription_id, n.tenant_id, n.change_type, n.lifecycle_event, n.resource, \
         n.etag"
    };
}
pub(super) use columns;

pub(super) fn one(sql: &Connection, id: NotificationId) -> Result<Option<Notification>> {
    sql.prepare_cached(concat!(
        "SELECT ",
        columns!(),
        ", n.checksum, n.item FROM notifications n WHERE n.id = ?"
    ))?
    .query_row([id.to_bytes()], |row| {
        let mut columns = Columns::new(row);
        columns.value::<i64>()?;
        let mut notification = read(&mut columns)?;
        notification.item = columns.checked_bytes()?;
        Ok(notification)
    })
    .optional()
}

pub(super) fn list(
    sql: &Connection,
    filter: &NotificationFilter,
    page: &Page,
    after: i64,
) -> Result<Listing<Notification>> {
    // Of every verdict but `accepted` there are few, and each has its index; of connections there may be many.
    let indexed = filter.connection.is_some()
        || filter
            .verdict
            .is_some_and(|verdict| verdict != Verdict::Accepted);
    let scan = if indexed {
        Scan::Indexed
    } else {
        Scan::Windows("notifications")
    };
    let mut list = List::new(
        concat!("SELECT ", columns!(), " FROM notifications n"),
        "n.seq",
        scan,
    );
    list.only_id("n.environment_id = ?", filter.environment);
    list.only_id("n.integration_id = ?", filter.integration);
    list.only_id("n.connection_id = ?", filter.connection);
    list.only("n.verdict = ?", filter.verdict);
    if filter
        .verdict
        .is_some_and(|verdict| verdict != Verdict::Accepted)
    {
        // What the partial index was made for, in its words.
        list.only_if("n.verdict <> 'accepted'");
    }
    list.page(sql, page, after, read)
}

/// Reads the columns of [`columns`] behind the place; the item is left empty.
pub(super) fn read(columns: &mut Columns<'_>) -> Result<Notification> {
    Ok(Notification {
        id: columns.id()?,
        environment: columns.id()?,
        integration: columns.id()?,
        origin: columns.parsed()?,
        received_at: columns.time()?,
        verdict: columns.parsed()?,
        connection: columns.id_if_any()?,
        subscription: columns.id_if_any()?,
        graph_subscription_id: columns.value()?,
        tenant_id: columns.id_if_any()?,
        change_type: columns.word_if_any(&ChangeType::ALL, ChangeType::as_str)?,
        lifecycle_event: columns.parsed_if_any()?,
        resource: columns.value()?,
        etag: columns.value()?,
        item: Bytes::new(),
    })
}
