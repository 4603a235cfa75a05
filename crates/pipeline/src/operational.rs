//! Operational events: what became of a subscription or a connection, told to apps as changes are.

use bytes::Bytes;
use serde::Serialize;
use tidings_domain::{
    Ids, Timestamp,
    connection::Connection,
    event::{Event, ObjectState},
    ids::{ConnectionId, EventId, NotificationId, SubscriptionId},
    trigger::{Operation, Trigger},
};
use tidings_storage::record::{NewDelivery, NewEvent};
use uuid::Uuid;

use crate::directory::Directory;

/// What an operational event tells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct News<'a> {
    /// What happened.
    pub(crate) operation: Operation,
    /// To which subscription; `None` if to the connection itself.
    pub(crate) subscription: Option<Watched<'a>>,
    /// By which notification it became known, if by one.
    pub(crate) notification: Option<NotificationId>,
    /// What happened, for people.
    pub(crate) reason: &'a str,
    /// Since when, if that is not now.
    pub(crate) since: Option<Timestamp>,
    /// How many changes were found of which Graph had not told, if that was looked for.
    pub(crate) found: Option<u64>,
    /// When the subscription ends, if Graph has told.
    pub(crate) expires_at: Option<Timestamp>,
}

/// A subscription that an operational event is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watched<'a> {
    pub(crate) id: SubscriptionId,
    pub(crate) resource: &'a str,
}

/// The event of `news` about something of `connection`, for the webhooks that ask for it.
pub(crate) fn event(
    directory: &Directory,
    ids: &Ids,
    now: Timestamp,
    connection: &Connection,
    news: News<'_>,
) -> NewEvent {
    let id: EventId = ids.next();
    let trigger = Trigger::Operation(news.operation);
    let subject = news
        .subscription
        .map_or_else(|| connection.id.to_string(), |one| one.id.to_string());
    let event = Event {
        id,
        environment: connection.environment,
        connection: connection.id,
        subscription: news.subscription.map(|one| one.id),
        notification: news.notification,
        trigger,
        body: body(id, now, connection, &subject, news),
        subject,
        object_state: ObjectState::None,
        created_at: now,
    };
    let deliveries = directory
        .tables()
        .webhooks_wanting(connection.environment, connection.id, trigger)
        .map(|webhook| NewDelivery {
            id: ids.next(),
            webhook: webhook.id,
        })
        .collect();
    NewEvent { event, deliveries }
}

/// `CloudEvents` 1.0 as JSON, its members in the order of those of a change.
fn body(
    id: EventId,
    now: Timestamp,
    connection: &Connection,
    subject: &str,
    news: News<'_>,
) -> Bytes {
    let body = Body {
        specversion: "1.0",
        id,
        kind: Trigger::Operation(news.operation),
        source: format!(
            "/environments/{}/connections/{}",
            connection.environment, connection.id
        ),
        subject,
        time: now,
        datacontenttype: "application/json",
        data: Data {
            connection_id: connection.id,
            tenant_id: connection.tenant_id,
            subscription_id: news.subscription.map(|one| one.id),
            resource: news.subscription.map(|one| one.resource),
            reason: news.reason,
            since: news.since,
            found: news.found,
            expires_at: news.expires_at,
        },
    };
    let json = serde_json::to_vec(&body).expect("invariant: words, ids and times can be written");
    Bytes::from(json)
}

#[derive(Serialize)]
struct Body<'a> {
    specversion: &'static str,
    id: EventId,
    #[serde(rename = "type")]
    kind: Trigger,
    source: String,
    subject: &'a str,
    time: Timestamp,
    datacontenttype: &'static str,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    connection_id: ConnectionId,
    tenant_id: Uuid,
    subscription_id: Option<SubscriptionId>,
    resource: Option<&'a str>,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{TENANT, World};

    #[tokio::test]
    async fn the_body_is_a_cloud_event_that_says_nothing_of_an_object() {
        let world = World::new(&"https://graph.example".parse().unwrap()).await;
        let connection = world.directory.connection(world.connection).unwrap();
        let watched = Watched {
            id: world.ids.next(),
            resource: "users/u/events",
        };
        let news = News {
            operation: Operation::SubscriptionRemoved,
            subscription: Some(watched),
            notification: None,
            reason: "gone",
            since: None,
            found: None,
            expires_at: Some(Timestamp::from_millis(1_000)),
        };
        let now = Timestamp::from_millis(5_000);
        let told = event(&world.directory, &world.ids, now, &connection, news);
        let body: Value = serde_json::from_slice(&told.event.body).unwrap();
        let expected = json!({
            "specversion": "1.0",
            "id": told.event.id,
            "type": "subscription.removed",
            "source": format!("/environments/{}/connections/{}", world.environment, world.connection),
            "subject": watched.id,
            "time": "1970-01-01T00:00:05.000Z",
            "datacontenttype": "application/json",
            "data": {
                "connection_id": world.connection,
                "tenant_id": TENANT,
                "subscription_id": watched.id,
                "resource": "users/u/events",
                "reason": "gone",
                "expires_at": "1970-01-01T00:00:01.000Z",
            },
        });
        assert_eq!(body, expected);
        assert_eq!(told.event.object_state, ObjectState::None);

        let news = News {
            operation: Operation::ConnectionExpired,
            subscription: None,
            since: Some(now),
            expires_at: None,
            ..news
        };
        let told = event(&world.directory, &world.ids, now, &connection, news);
        assert_eq!(told.event.subject, world.connection.to_string());
        let body: Value = serde_json::from_slice(&told.event.body).unwrap();
        assert!(body["data"]["subscription_id"].is_null() && body["data"]["resource"].is_null());
        assert_eq!(body["data"]["since"], "1970-01-01T00:00:05.000Z");
    }
}
