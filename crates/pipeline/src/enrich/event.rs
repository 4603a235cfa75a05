//! The event that a notification becomes: its trigger and its bytes.

use std::fmt::Write as _;

use bytes::Bytes;
use tidings_domain::{
    Ids, Timestamp,
    connection::Connection,
    event::{Event, ObjectState},
    ids::{EventId, NotificationId},
    notification::{Notification, Origin},
    resource::{ChangeType, ResourceKind},
    trigger::Trigger,
};
use tidings_storage::record::Version;

/// What was found of the changed item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// What happened to it: what Graph said, or what a look showed.
    pub(super) change: ChangeType,
    pub(super) state: ObjectState,
    /// Graph's own JSON, if the state is `Fetched`.
    pub(super) object: Option<Bytes>,
    /// What tells this state of the item from others, where that can be said.
    pub(super) version: Option<Version>,
}

/// The trigger of a change, also where the table has none for it.
///
/// A change type that Microsoft's pages do not state can come all the same: it is told by the nearest trigger that the
/// kind has, `updated` before `created` before `deleted`, rather than by none.
pub(super) fn trigger(kind: ResourceKind, change: ChangeType) -> Option<Trigger> {
    [
        change,
        ChangeType::Updated,
        ChangeType::Created,
        ChangeType::Deleted,
    ]
    .into_iter()
    .find_map(|change| Trigger::of(kind, change))
}

/// The event of `notification`, as it will be delivered. It names those that it answers too.
pub(super) fn make(
    ids: &Ids,
    now: Timestamp,
    notification: &Notification,
    merged: &[NotificationId],
    connection: &Connection,
    trigger: Trigger,
    found: &Found,
) -> Event {
    let id: EventId = ids.next();
    Event {
        id,
        environment: connection.environment,
        connection: connection.id,
        subscription: notification.subscription,
        notification: Some(notification.id),
        trigger,
        subject: notification.resource.clone(),
        object_state: found.state,
        created_at: now,
        body: body(id, notification, merged, connection, trigger, found),
    }
}

/// `CloudEvents` 1.0 as JSON, its members always in this order. The object is Graph's own text, unchanged.
fn body(
    id: EventId,
    notification: &Notification,
    merged: &[NotificationId],
    connection: &Connection,
    trigger: Trigger,
    found: &Found,
) -> Bytes {
    let object = found.object.as_deref().unwrap_or(b"null");
    let subject = json(&notification.resource);
    let mut head = String::with_capacity(640 + 2 * subject.len() + object.len());
    // Of all that is put in here only the path is free text; ids, words and times need no escapes. Writing to a
    // `String` does not fail.
    let _ = write!(
        head,
        r#"{{"specversion":"1.0","id":"{id}","type":"{trigger}","source":"/environments/{}/connections/{}","subject":{subject},"time":"{}","datacontenttype":"application/json","data":{{"connection_id":"{}","tenant_id":"{}","subscription_id":"#,
        connection.environment,
        connection.id,
        notification.received_at,
        connection.id,
        connection.tenant_id,
    );
    let _ = match notification.subscription {
        Some(subscription) => write!(head, "\"{subscription}\""),
        None => write!(head, "null"),
    };
    let _ = write!(
        head,
        r#","change_type":"{}","resource":{subject},"origin":"{}","object":"#,
        found.change,
        match notification.origin {
            Origin::Existing | Origin::Reconcile => "reconcile",
            // That it did not name the item concerns nobody who gets the item.
            Origin::Notification | Origin::Unnamed => "notification",
        },
    );
    let mut body = head.into_bytes();
    body.extend_from_slice(object);
    body.extend_from_slice(br#","object_state":""#);
    body.extend_from_slice(found.state.as_str().as_bytes());
    body.push(b'"');
    for (place, id) in merged.iter().enumerate() {
        body.extend_from_slice(if place == 0 {
            br#","merged":[""#
        } else {
            br#",""#
        });
        body.extend_from_slice(id.to_string().as_bytes());
        body.push(b'"');
    }
    if !merged.is_empty() {
        body.push(b']');
    }
    body.extend_from_slice(b"}}");
    Bytes::from(body)
}

fn json(text: &str) -> String {
    serde_json::to_string(text).expect("invariant: a text can be written as JSON")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tidings_domain::{clock::ManualClock, entropy::SeededEntropy};

    use super::*;
    use crate::enrich::tests::{connection, queued};

    #[test]
    fn the_body_is_a_cloud_event_with_the_object_as_graph_wrote_it() {
        let clock = ManualClock::new(Timestamp::from_millis(5_000));
        let ids = Ids::new(Arc::new(clock), Arc::new(SeededEntropy::new(1)));
        let notification = queued(7, "users/u/events/a\"b", 0).notification;
        let connection = connection();
        let object = "{ \"id\" : \"x\",\n\"n\":1.50 }";
        let found = Found {
            change: ChangeType::Updated,
            state: ObjectState::Fetched,
            object: Some(Bytes::from(object)),
            version: None,
        };
        let trigger = Trigger::parse("event.updated").unwrap();
        let event = make(
            &ids,
            Timestamp::from_millis(9_000),
            &notification,
            &[],
            &connection,
            trigger,
            &found,
        );
        let expected = format!(
            r#"{{"specversion":"1.0","id":"{}","type":"event.updated","source":"/environments/{}/connections/{}","subject":"users/u/events/a\"b","time":"1970-01-01T00:00:01.000Z","datacontenttype":"application/json","data":{{"connection_id":"{}","tenant_id":"{}","subscription_id":"{}","change_type":"updated","resource":"users/u/events/a\"b","origin":"notification","object":{object},"object_state":"fetched"}}}}"#,
            event.id,
            connection.environment,
            connection.id,
            connection.id,
            connection.tenant_id,
            notification.subscription.unwrap(),
        );
        assert_eq!(event.body, expected);
        serde_json::from_slice::<serde_json::Value>(&event.body).unwrap();
    }

    #[test]
    fn without_an_object_or_a_subscription_there_is_null_and_what_was_merged_is_named() {
        let clock = ManualClock::new(Timestamp::from_millis(5_000));
        let ids = Ids::new(Arc::new(clock), Arc::new(SeededEntropy::new(1)));
        let mut notification = queued(7, "users/u/events/a", 0).notification;
        notification.subscription = None;
        let found = Found {
            change: ChangeType::Deleted,
            state: ObjectState::Deleted,
            object: None,
            version: None,
        };
        let trigger = Trigger::parse("event.deleted").unwrap();
        let event = make(
            &ids,
            Timestamp::from_millis(9_000),
            &notification,
            &[
                queued(8, "x", 0).notification.id,
                queued(9, "x", 0).notification.id,
            ],
            &connection(),
            trigger,
            &found,
        );
        let body: serde_json::Value = serde_json::from_slice(&event.body).unwrap();
        assert!(body["data"]["object"].is_null() && body["data"]["subscription_id"].is_null());
        assert_eq!(body["data"]["object_state"], "deleted");
        let merged = [8, 9].map(|seq| queued(seq, "x", 0).notification.id.to_string());
        assert_eq!(body["data"]["merged"], serde_json::json!(merged));
    }

    #[test]
    fn a_change_without_a_trigger_is_told_by_the_nearest() {
        let of = |kind, change| trigger(kind, change).unwrap().to_string();
        assert_eq!(
            of(ResourceKind::Presence, ChangeType::Deleted),
            "presence.updated"
        );
        assert_eq!(
            of(ResourceKind::CallRecording, ChangeType::Updated),
            "call_recording.created"
        );
        assert_eq!(
            of(ResourceKind::Event, ChangeType::Deleted),
            "event.deleted"
        );
        for &kind in ResourceKind::ALL {
            assert!(
                ChangeType::ALL
                    .iter()
                    .all(|&change| trigger(kind, change).is_some())
            );
        }
    }
}
