//! Notifications as they are read.

use bytes::Bytes;
use sqlx::PgConnection;
use tidings_domain::{
    ids::NotificationId,
    notification::{Notification, Verdict},
    page::{Listing, Page},
    resource::ChangeType,
};

use super::{
    lists::{List, Scan},
    row::Columns,
    trouble::Undone,
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

pub(super) async fn one(
    sql: &mut PgConnection,
    id: NotificationId,
) -> Result<Option<Notification>, Undone> {
    let row = sqlx::query(concat!(
        "SELECT ",
        columns!(),
        ", n.checksum, n.item FROM notifications n WHERE n.id = $1"
    ))
    .bind(id.to_string())
    .fetch_optional(sql)
    .await?;
    row.as_ref()
        .map(|row| {
            let mut columns = Columns::new(row);
            columns.skip();
            let mut notification = read(&mut columns)?;
            notification.item = columns.checked_bytes()?;
            Ok(notification)
        })
        .transpose()
}

pub(super) async fn list(
    sql: &mut PgConnection,
    filter: &NotificationFilter,
    page: &Page,
    after: i64,
) -> Result<Listing<Notification>, Undone> {
    // Of every verdict but `accepted` there are few, and each has its index; of connections there may be many.
    let rare = filter
        .verdict
        .is_some_and(|verdict| verdict != Verdict::Accepted);
    let scan = if rare || filter.connection.is_some() {
        Scan::Indexed
    } else {
        Scan::Windows("notifications")
    };
    let mut list = List::new(
        concat!("SELECT ", columns!(), " FROM notifications n"),
        "n.seq",
        scan,
    );
    list.only("n.environment_id = ?", filter.environment);
    list.only("n.integration_id = ?", filter.integration);
    list.only("n.connection_id = ?", filter.connection);
    list.only("n.verdict = ?", filter.verdict);
    if rare {
        // What the partial index was made for, in its words.
        list.only_if("n.verdict <> 'accepted'");
    }
    list.page(sql, page, after, read).await
}

/// Reads the columns of [`columns`] behind the place; the item is left empty.
pub(super) fn read(columns: &mut Columns<'_>) -> Result<Notification, Undone> {
    Ok(Notification {
        id: columns.parsed()?,
        environment: columns.parsed()?,
        integration: columns.parsed()?,
        origin: columns.parsed()?,
        received_at: columns.time()?,
        verdict: columns.parsed()?,
        connection: columns.parsed_if_any()?,
        subscription: columns.parsed_if_any()?,
        graph_subscription_id: columns.value()?,
        tenant_id: columns.parsed_if_any()?,
        change_type: columns.word_if_any(&ChangeType::ALL, ChangeType::as_str)?,
        lifecycle_event: columns.parsed_if_any()?,
        resource: columns.value()?,
        etag: columns.value()?,
        item: Bytes::new(),
    })
}
