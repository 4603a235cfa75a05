//! Rows to put into a store.

use bytes::Bytes;
use tidings_domain::{
    Secret, Timestamp,
    connection::{Connection, ConnectionIntent, ConnectionState},
    delivery::{Attempt, AttemptOutcome},
    environment::Environment,
    event::{Event, ObjectState},
    ids::{ConnectionId, DeliveryId, EnvironmentId, IntegrationId, WebhookId},
    integration::{GLOBAL_GRAPH_URL, GLOBAL_LOGIN_URL, Integration, WebhookSecret},
    notification::{Notification, Origin, Verdict},
    page::{Page, PageLimit},
    resource::{ChangeType, ResourceKind},
    shard::Shard,
    subscription::{Subscription, SubscriptionState},
    trigger::Trigger,
    webhook::{Webhook, WebhookState, WebhookUrl},
};
use uuid::Uuid;

use super::World;
use crate::{
    Lease,
    record::{
        AfterAttempt, AttemptResult, DedupKey, DueDelivery, HealthChange, NewDelivery, NewEvent,
        NewNotification, QueuedNotification, Seq, SubscriptionUpdate,
    },
};

/// An environment with an integration, a connection and a webhook in it.
pub(crate) struct Tenant {
    pub(crate) environment: EnvironmentId,
    pub(crate) integration: IntegrationId,
    pub(crate) connection: ConnectionId,
    pub(crate) webhook: WebhookId,
}

pub(crate) const UPDATED: Trigger = Trigger::Change {
    kind: ResourceKind::Event,
    change: ChangeType::Updated,
};

pub(crate) fn all() -> Page {
    Page::first(PageLimit::new(PageLimit::MAX).unwrap())
}

/// An update that leaves everything as it is.
pub(crate) fn unchanged(subscription: &Subscription) -> SubscriptionUpdate {
    SubscriptionUpdate {
        id: subscription.id,
        state: subscription.state,
        graph_id: subscription.graph_id.clone(),
        expires_at: subscription.expires_at,
        due_at: subscription.due_at,
        failures: subscription.failures,
        last_error: subscription.last_error.clone(),
        renewed_at: subscription.renewed_at,
        patched_at: subscription.patched_at,
        notification_url: subscription.notification_url.clone(),
        lifecycle_url: subscription.lifecycle_url.clone(),
        former: subscription.former.clone(),
        attended: None,
        reconcile: None,
        events: Vec::new(),
    }
}

pub(crate) fn key(number: u8) -> DedupKey {
    DedupKey([number; 16])
}

impl World {
    pub(crate) fn environment(&self, name: &str) -> Environment {
        Environment {
            id: self.ids.environment(),
            name: name.to_owned(),
            created_at: self.now(),
        }
    }

    pub(crate) fn integration(&self, environment: EnvironmentId, key: &str) -> Integration {
        Integration {
            id: self.ids.next(),
            environment,
            key: key.parse().unwrap(),
            client_id: "c0ffee00-0000-4000-8000-000000000001".to_owned(),
            client_secret: Secret::new("the client secret"),
            webhook_secret: WebhookSecret::parse("a-webhook-secret-of-ours").unwrap(),
            login_url: GLOBAL_LOGIN_URL.parse().unwrap(),
            graph_url: GLOBAL_GRAPH_URL.parse().unwrap(),
            created_at: self.now(),
        }
    }

    pub(crate) fn connection(&self, integration: &Integration) -> Connection {
        Connection {
            id: self.ids.next(),
            environment: integration.environment,
            integration: integration.id,
            tenant_id: self.ids.environment().0,
            state: ConnectionState::Active,
            intent: ConnectionIntent::Kept,
            created_at: self.now(),
        }
    }

    pub(crate) fn subscription(&self, connection: &Connection, resource: &str) -> Subscription {
        Subscription {
            id: self.ids.next(),
            environment: connection.environment,
            integration: connection.integration,
            connection: connection.id,
            policy: None,
            resource: resource.to_owned(),
            kind: ResourceKind::Event,
            change_types: "created,updated".parse().unwrap(),
            state: SubscriptionState::Pending,
            client_state: Secret::new("a client state of ours"),
            graph_id: None,
            expires_at: None,
            due_at: self.now(),
            failures: 0,
            last_error: None,
            created_at: self.now(),
            renewed_at: None,
            deliver_existing: false,
            lifecycle: None,
            patched_at: None,
            notification_url: None,
            lifecycle_url: None,
            former: None,
        }
    }

    pub(crate) fn webhook(&self, environment: EnvironmentId) -> Webhook {
        Webhook {
            id: self.ids.next(),
            environment,
            url: WebhookUrl::parse("https://app.example/hook?token=hidden").unwrap(),
            description: "the app".to_owned(),
            triggers: vec![UPDATED],
            connections: vec![self.ids.next(), self.ids.next()],
            secret: Secret::new("whsec_dGhlIHNlY3JldA=="),
            state: WebhookState::Active,
            failing_since: None,
            created_at: self.now(),
        }
    }

    pub(crate) async fn tenant(&self, name: &str) -> Tenant {
        let environment = self.environment(name);
        let integration = self.integration(environment.id, "microsoft");
        let connection = self.connection(&integration);
        let webhook = self.webhook(environment.id);
        let tenant = Tenant {
            environment: environment.id,
            integration: integration.id,
            connection: connection.id,
            webhook: webhook.id,
        };
        self.store.create_environment(environment).await.unwrap();
        self.store.create_integration(integration).await.unwrap();
        self.store.create_connection(connection).await.unwrap();
        self.store.create_webhook(webhook).await.unwrap();
        tenant
    }

    pub(crate) fn notification(&self, tenant: &Tenant, verdict: Verdict) -> Notification {
        Notification {
            id: self.ids.next(),
            environment: tenant.environment,
            integration: tenant.integration,
            origin: Origin::Notification,
            received_at: self.now(),
            verdict,
            connection: (verdict == Verdict::Accepted).then_some(tenant.connection),
            subscription: (verdict == Verdict::Accepted).then(|| self.ids.next()),
            graph_subscription_id: Some("5ubsc41p-0001".to_owned()),
            tenant_id: Some(Uuid::from_u128(7)),
            change_type: Some(ChangeType::Updated),
            lifecycle_event: None,
            resource: "users/u/events/e".to_owned(),
            etag: Some("W/\"1\"".to_owned()),
            item: Bytes::from_static(br#"{"changeType":"updated"}"#),
        }
    }

    pub(crate) fn arriving(
        &self,
        tenant: &Tenant,
        verdict: Verdict,
        dedup_key: Option<DedupKey>,
    ) -> NewNotification {
        NewNotification {
            notification: self.notification(tenant, verdict),
            dedup_key,
            client_state_hash: (verdict == Verdict::Held)
                .then(|| self.store.hash_client_state("a state nobody knows")),
            due_at: self.now(),
            shard: Shard::FIRST,
        }
    }

    /// The lease under which a shard is held.
    pub(crate) fn lease(&self, shard: Shard) -> Lease {
        self.store.holdings().lease(shard).unwrap()
    }

    /// Records one, and gives its verdict.
    pub(crate) async fn record(&self, new: NewNotification) -> Verdict {
        let verdicts = self.store.record_notifications(vec![new]).await.unwrap();
        let [verdict] = verdicts[..] else {
            panic!("one verdict a notification, not {verdicts:?}");
        };
        verdict
    }

    pub(crate) async fn queue(&self) -> Vec<QueuedNotification> {
        self.store
            .queued_notifications(Seq::default(), 10_000)
            .await
            .unwrap()
    }

    pub(crate) fn event(
        &self,
        tenant: &Tenant,
        of: &QueuedNotification,
        to: &[WebhookId],
    ) -> NewEvent {
        let id = self.ids.next();
        NewEvent {
            event: Event {
                id,
                environment: tenant.environment,
                connection: tenant.connection,
                subscription: of.notification.subscription,
                notification: Some(of.notification.id),
                trigger: UPDATED,
                subject: of.notification.resource.clone(),
                object_state: ObjectState::Fetched,
                created_at: self.now(),
                body: format!(r#"{{"specversion":"1.0","id":"{id}"}}"#).into(),
            },
            deliveries: to
                .iter()
                .map(|&webhook| NewDelivery {
                    id: self.ids.next(),
                    webhook,
                })
                .collect(),
        }
    }

    /// An event that has come the whole way: gives its deliveries, in the order of `to`.
    pub(crate) async fn delivered_to(&self, tenant: &Tenant, to: &[WebhookId]) -> Vec<DeliveryId> {
        let verdict = self
            .record(self.arriving(tenant, Verdict::Accepted, None))
            .await;
        assert_eq!(verdict, Verdict::Accepted);
        let queue = self.queue().await;
        let queued = queue.last().unwrap();
        let event = self.event(tenant, queued, to);
        let ids = event.deliveries.iter().map(|one| one.id).collect();
        assert!(
            self.store
                .finish_notification(queued.seq, queued.lease, vec![event].into())
                .await
                .unwrap()
        );
        ids
    }

    pub(crate) async fn due(&self, webhook: WebhookId) -> Vec<DueDelivery> {
        self.store
            .due_deliveries(webhook, self.now(), 10_000)
            .await
            .unwrap()
    }

    pub(crate) fn attempt(
        &self,
        delivery: DeliveryId,
        webhook: WebhookId,
        next: AfterAttempt,
    ) -> AttemptResult {
        let (outcome, status) = match next {
            AfterAttempt::Delivered => (AttemptOutcome::Success, 204),
            _ => (AttemptOutcome::Status, 500),
        };
        AttemptResult {
            delivery,
            webhook,
            lease: self.lease(Shard::of_webhook(webhook)),
            attempt: Attempt {
                id: self.ids.next(),
                number: 1,
                started_at: self.now(),
                took: std::time::Duration::from_millis(12),
                outcome,
                status: Some(status),
                error: (status == 500).then(|| "the receiver answered 500".to_owned()),
                answer: Bytes::from_static(b"an answer"),
            },
            next,
            health: HealthChange::None,
        }
    }

    pub(crate) async fn attempted(
        &self,
        delivery: DeliveryId,
        webhook: WebhookId,
        next: AfterAttempt,
    ) {
        let result = self.attempt(delivery, webhook, next);
        self.store.record_attempt(result).await.unwrap();
    }

    pub(crate) fn in_seconds(&self, seconds: u64) -> Timestamp {
        self.now() + std::time::Duration::from_secs(seconds)
    }
}
