//! What the stages would have written: put into the store by hand, because the management API only shows it.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tidings_domain::{
    Secret,
    delivery::{Attempt, AttemptOutcome},
    event::{Event, ObjectState},
    ids::{ConnectionId, DeliveryId, EventId, NotificationId, SubscriptionId, WebhookId},
    notification::{Notification, Origin, Verdict},
    resource::{ChangeType, ChangeTypes, ResourceKind},
    shard::Shard,
    subscription::{Subscription, SubscriptionState},
    trigger::Trigger,
};
use tidings_pipeline::directory::Change;
use tidings_storage::{
    Lease,
    record::{
        AfterAttempt, AttemptResult, HealthChange, NewDelivery, NewEvent, NewNotification, Seq,
    },
};

use super::{Api, NOW};

/// What one change has left behind.
pub(crate) struct Trace {
    pub(crate) notification: NotificationId,
    pub(crate) event: EventId,
    pub(crate) delivery: DeliveryId,
}

impl Api {
    /// A subscription of `connection` that Graph serves.
    pub(crate) async fn subscription(&self, connection: &Value) -> SubscriptionId {
        let connection = self
            .gateway
            .directory
            .connection(id::<ConnectionId>(connection))
            .unwrap();
        let subscription = Subscription {
            id: self.ids.next(),
            environment: connection.environment,
            integration: connection.integration,
            connection: connection.id,
            policy: None,
            resource: "users/7/events".to_owned(),
            kind: ResourceKind::Event,
            change_types: ChangeTypes::new([ChangeType::Created, ChangeType::Deleted]).unwrap(),
            state: SubscriptionState::Active,
            client_state: Secret::new("known to Graph and us only"),
            graph_id: Some("7f105c7d-2dc5-4530-97cd-4e7ae6534c07".to_owned()),
            expires_at: Some(NOW + Duration::from_mins(10_000)),
            due_at: NOW + Duration::from_mins(5_000),
            failures: 0,
            last_error: None,
            created_at: NOW,
            renewed_at: Some(NOW),
            deliver_existing: false,
            lifecycle: None,
            patched_at: None,
            notification_url: None,
            lifecycle_url: None,
            former: None,
        };
        let id = subscription.id;
        self.gateway
            .store
            .create_subscription(subscription, Shard::FIRST)
            .await
            .unwrap();
        self.gateway
            .directory
            .refresh(Change::Subscription(id))
            .await
            .unwrap();
        id
    }

    /// A notification of `connection` that nobody believed.
    pub(crate) async fn rejected(&self, connection: &Value, item: &'static [u8]) -> NotificationId {
        let mut notification = self.received(connection);
        notification.verdict = Verdict::Malformed;
        notification.connection = None;
        notification.item = Bytes::from_static(item);
        let id = notification.id;
        self.gateway
            .store
            .record_rejected(vec![notification])
            .await
            .unwrap();
        id
    }

    /// A change to an event in a calendar of `connection`, on its way to `webhook`.
    pub(crate) async fn change(&self, connection: &Value, webhook: &Value) -> Trace {
        let store = &self.gateway.store;
        let notification = self.received(connection);
        let event = Event {
            id: self.ids.next(),
            environment: notification.environment,
            connection: id::<ConnectionId>(connection),
            subscription: None,
            notification: Some(notification.id),
            trigger: Trigger::parse("event.updated").unwrap(),
            subject: notification.resource.clone(),
            object_state: ObjectState::Fetched,
            created_at: NOW,
            body: Bytes::from_static(
                br#"{"specversion":"1.0","data":{"object":{"subject":"Lunch"}}}"#,
            ),
        };
        let trace = Trace {
            notification: notification.id,
            event: event.id,
            delivery: self.ids.next(),
        };
        let new = NewNotification {
            notification,
            dedup_key: None,
            client_state_hash: None,
            // Far away, so that no stage takes it out of the queue before this does.
            due_at: NOW + Duration::from_hours(24),
            shard: Shard::FIRST,
        };
        store.record_notifications(vec![new]).await.unwrap();
        let queued = store
            .queued_notifications(Seq::default(), 1_000)
            .await
            .unwrap();
        let seq = queued
            .iter()
            .find(|queued| queued.notification.id == trace.notification)
            .unwrap()
            .seq;
        let delivery = NewDelivery {
            id: trace.delivery,
            webhook: id::<WebhookId>(webhook),
        };
        let led_to = vec![NewEvent {
            event,
            deliveries: vec![delivery],
        }];
        assert!(
            store
                .finish_notification(seq, Lease::of_the_only_node(), led_to.into())
                .await
                .unwrap()
        );
        trace
    }

    /// An attempt of `delivery` that the webhook answered with `status`.
    pub(crate) async fn attempt(
        &self,
        delivery: DeliveryId,
        webhook: &Value,
        status: u16,
        next: AfterAttempt,
    ) {
        let success = status == 200;
        let attempt = Attempt {
            id: self.ids.next(),
            number: 1,
            started_at: NOW,
            took: Duration::from_millis(42),
            outcome: if success {
                AttemptOutcome::Success
            } else {
                AttemptOutcome::Status
            },
            status: Some(status),
            error: (!success).then(|| format!("answered {status}")),
            answer: Bytes::from_static(b"said \xff"),
        };
        let result = AttemptResult {
            delivery,
            webhook: id::<WebhookId>(webhook),
            lease: Lease::of_the_only_node(),
            attempt,
            next,
            health: HealthChange::None,
        };
        self.gateway.store.record_attempt(result).await.unwrap();
    }

    fn received(&self, connection: &Value) -> Notification {
        let connection = self
            .gateway
            .directory
            .connection(id::<ConnectionId>(connection))
            .unwrap();
        let item = json!({ "changeType": "updated", "resource": "Users/7/Events/AAMk=" });
        Notification {
            id: self.ids.next(),
            environment: connection.environment,
            integration: connection.integration,
            origin: Origin::Notification,
            received_at: NOW,
            verdict: Verdict::Accepted,
            connection: Some(connection.id),
            subscription: None,
            graph_subscription_id: Some("7f105c7d-2dc5-4530-97cd-4e7ae6534c07".to_owned()),
            tenant_id: Some(connection.tenant_id),
            change_type: Some(ChangeType::Updated),
            lifecycle_event: None,
            resource: "users/7/events/AAMk=".to_owned(),
            etag: None,
            item: item.to_string().into(),
        }
    }
}

fn id<I: std::str::FromStr<Err: std::fmt::Debug>>(shown: &Value) -> I {
    shown["id"].as_str().unwrap().parse().unwrap()
}
