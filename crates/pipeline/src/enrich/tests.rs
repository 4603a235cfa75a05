use std::{
    future::{Future, ready},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt as _;
use tidings_domain::{
    Clock as _, Secret, Timestamp,
    connection::{Connection, ConnectionState},
    event::ObjectState,
    ids::{ConnectionId, EnvironmentId, IntegrationId, NotificationId, SubscriptionId, WebhookId},
    notification::{LifecycleEvent, Notification, Verdict},
    page::{Page, PageLimit},
    resource::{ChangeType, ResourceKind},
    subscription::{Subscription, SubscriptionState},
    trigger::Trigger,
    webhook::{Webhook, WebhookState, WebhookUrl},
};
use tidings_storage::record::{DeliveryFilter, NewNotification, QueuedNotification, Seq};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use ulid::Ulid;
use uuid::Uuid;

use super::*;
use crate::{
    directory::Change,
    testing::{Graph, Reply, Seen, TENANT, World, reply},
};

/// The connection that [`queued`] notifications are of.
pub(super) fn connection() -> Connection {
    Connection {
        id: ConnectionId::from(Ulid(3)),
        environment: EnvironmentId(Uuid::from_u128(1)),
        integration: IntegrationId::from(Ulid(2)),
        tenant_id: Uuid::from_u128(9),
        state: ConnectionState::Active,
        created_at: Timestamp::from_millis(0),
    }
}

/// An accepted notification of an updated item, received at one second.
pub(super) fn queued(seq: i64, resource: &str, due_at: i64) -> QueuedNotification {
    let connection = connection();
    QueuedNotification {
        seq: Seq(seq),
        due_at: Timestamp::from_millis(due_at),
        failures: 0,
        client_state_hash: None,
        notification: Notification {
            id: NotificationId::from(Ulid(u128::try_from(seq).unwrap())),
            environment: connection.environment,
            integration: connection.integration,
            received_at: Timestamp::from_millis(1_000),
            verdict: Verdict::Accepted,
            connection: Some(connection.id),
            subscription: Some(SubscriptionId::from(Ulid(4))),
            graph_subscription_id: None,
            tenant_id: Some(connection.tenant_id),
            change_type: Some(ChangeType::Updated),
            lifecycle_event: None,
            resource: resource.to_owned(),
            etag: None,
            item: Bytes::from_static(b"{}"),
        },
    }
}

/// A world with a stage that is not running yet.
struct Stage {
    world: World,
    graph: Graph,
    enrich: Enrich,
    wake: Wake,
}

const A: &str = "users/u/events/a";
const B: &str = "users/u/events/b";

impl Stage {
    async fn new<F>(handler: impl Fn(Seen) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Reply> + Send + 'static,
    {
        Self::at(Graph::start(handler).await).await
    }

    async fn at(graph: Graph) -> Self {
        let world = World::new(&graph.url).await;
        let wake = Wake::new();
        let enrich = Enrich::new(EnrichParts {
            store: Arc::clone(&world.store),
            directory: Arc::clone(&world.directory),
            graph: world.graph.clone(),
            clock: Arc::new(world.clock.clone()),
            entropy: Arc::clone(&world.entropy),
            ids: Arc::clone(&world.ids),
            metrics: world.metrics.enrich.clone(),
            config: world.config.enrich.clone(),
            wake: wake.clone(),
            deliver: Hint::new(),
        });
        Self {
            world,
            graph,
            enrich,
            wake,
        }
    }

    /// Queues a change of `resource`, of a subscription made by hand.
    async fn change(&self, resource: &str, change: ChangeType) -> NewNotification {
        let new = self.notification(resource, change);
        self.record(new.clone()).await;
        new
    }

    /// The same of one of ours.
    async fn managed(&self, resource: &str, change: ChangeType) {
        let mut new = self.notification(resource, change);
        new.notification.subscription = Some(self.world.ids.next());
        self.record(new).await;
    }

    fn notification(&self, resource: &str, change: ChangeType) -> NewNotification {
        let world = &self.world;
        NewNotification {
            notification: Notification {
                id: world.ids.next(),
                environment: world.environment,
                integration: world.integration,
                received_at: world.clock.now(),
                verdict: Verdict::Accepted,
                connection: Some(world.connection),
                subscription: None,
                graph_subscription_id: None,
                tenant_id: Some(TENANT.parse().unwrap()),
                change_type: Some(change),
                lifecycle_event: None,
                resource: resource.to_owned(),
                etag: None,
                item: Bytes::from_static(b"{}"),
            },
            dedup_key: None,
            client_state_hash: None,
            due_at: world.clock.now(),
        }
    }

    async fn record(&self, new: NewNotification) {
        self.world
            .store
            .record_notifications(vec![new])
            .await
            .unwrap();
        self.wake.wake();
    }

    async fn webhook(&self, triggers: &[&str], connections: Vec<ConnectionId>) -> WebhookId {
        let world = &self.world;
        let webhook = Webhook {
            id: world.ids.next(),
            environment: world.environment,
            url: WebhookUrl::parse("http://127.0.0.1:9/hook").unwrap(),
            description: String::new(),
            triggers: triggers
                .iter()
                .map(|name| Trigger::parse(name).unwrap())
                .collect(),
            connections,
            secret: Secret::new("whsec_AAAA"),
            state: WebhookState::Active,
            failing_since: None,
            created_at: world.clock.now(),
        };
        let id = webhook.id;
        world.store.create_webhook(webhook).await.unwrap();
        world.directory.refresh(Change::Webhook(id)).await.unwrap();
        id
    }

    /// Runs the stage while `test` runs.
    async fn run<T>(&self, test: impl Future<Output = T>) -> T {
        let stop = CancellationToken::new();
        tokio::select! {
            () = self.enrich.run(&stop) => panic!("the stage has ended"),
            done = test => done,
        }
    }

    async fn queue_empties(&self) {
        while !self.world.queue().await.is_empty() {
            tokio::task::yield_now().await;
        }
    }

    /// Whether Graph has been asked for `count` things and has answered all.
    fn answered(&self, count: usize) -> bool {
        self.graph.calls().len() >= count && self.world.metrics.enrich.in_flight.get() == 0
    }

    /// Lets time pass once that is so and somebody waits for it.
    async fn pass(&self, span: Duration, calls: usize) {
        self.world.pass(span, || self.answered(calls)).await;
    }

    async fn calls_reach(&self, count: usize) {
        while self.graph.calls().len() < count {
            tokio::task::yield_now().await;
        }
    }
}

fn object(id: &str, etag: &str) -> Reply {
    reply(
        200,
        format!(r#"{{"@odata.etag":"{etag}","id":"{id}","subject":"Lunch"}}"#),
    )
}

#[tokio::test]
async fn a_change_becomes_an_event_with_the_object_for_those_who_ask() {
    let stage = Stage::new(|_| ready(object("a", "1"))).await;
    let wanting = stage.webhook(&["event.updated"], Vec::new()).await;
    let also = stage
        .webhook(&["event.updated"], vec![stage.world.connection])
        .await;
    stage.webhook(&["event.created"], Vec::new()).await;
    stage
        .webhook(&["event.updated"], vec![stage.world.other])
        .await;
    stage.managed(A, ChangeType::Updated).await;
    let events = stage.run(stage.world.events_reach(1)).await;

    assert_eq!(stage.graph.calls()[0].path, format!("/v1.0/{A}"));
    let event = stage
        .world
        .store
        .event(events[0].id)
        .await
        .unwrap()
        .unwrap();
    let body: serde_json::Value = serde_json::from_slice(&event.body).unwrap();
    assert_eq!(body["type"], "event.updated");
    assert_eq!(body["data"]["object"]["subject"], "Lunch");
    assert_eq!(body["data"]["tenant_id"], TENANT);
    let page = Page::first(PageLimit::default());
    let deliveries = stage
        .world
        .store
        .deliveries(DeliveryFilter::default(), page)
        .await
        .unwrap();
    let mut webhooks: Vec<WebhookId> = deliveries.items.iter().map(|one| one.webhook).collect();
    webhooks.sort();
    assert_eq!(webhooks, [wanting, also]);
    assert!(stage.world.queue().await.is_empty());
}

#[tokio::test]
async fn an_event_that_nobody_asked_for_is_kept() {
    let stage = Stage::new(|_| ready(object("a", "1"))).await;
    stage.managed(A, ChangeType::Created).await;
    let events = stage.run(stage.world.events_reach(1)).await;
    assert_eq!(
        events[0].trigger,
        Trigger::of(ResourceKind::Event, ChangeType::Created).unwrap()
    );
    assert_eq!(events[0].object_state, ObjectState::Fetched);
}

#[tokio::test]
async fn a_deletion_of_a_subscription_of_ours_needs_no_look() {
    let stage = Stage::new(|_| ready(object("a", "1"))).await;
    for number in 0..50 {
        stage
            .managed(&format!("users/u/events/{number}"), ChangeType::Deleted)
            .await;
    }
    let events = stage.run(stage.world.events_reach(50)).await;
    assert!(
        events
            .iter()
            .all(|event| event.object_state == ObjectState::Deleted)
    );
    assert!(stage.graph.calls().is_empty());
}

#[tokio::test]
async fn a_claimed_deletion_is_believed_only_when_graph_has_nothing() {
    let stage = Stage::new(|seen| {
        ready(if seen.path.ends_with("/a") {
            reply(404, "")
        } else {
            object("b", "1")
        })
    })
    .await;
    stage.change(A, ChangeType::Deleted).await;
    stage.run(stage.world.events_reach(1)).await;
    stage.change(B, ChangeType::Deleted).await;
    let events = stage.run(stage.world.events_reach(2)).await;
    let told: Vec<_> = events
        .iter()
        .map(|event| (event.trigger.to_string(), event.object_state))
        .collect();
    assert_eq!(
        told,
        [
            ("event.deleted".to_owned(), ObjectState::Deleted),
            ("event.updated".to_owned(), ObjectState::Fetched),
        ]
    );
}

#[tokio::test]
async fn what_was_just_created_is_asked_for_again_before_it_counts_as_gone() {
    let stage = Stage::new(|_| ready(reply(404, ""))).await;
    stage.managed(A, ChangeType::Created).await;
    let events = stage
        .run(async {
            stage.pass(Duration::from_secs(1), 1).await;
            stage.pass(Duration::from_secs(3), 2).await;
            stage.world.events_reach(1).await
        })
        .await;
    assert_eq!(stage.graph.calls().len(), 3);
    assert_eq!(events[0].object_state, ObjectState::Gone);
    assert_eq!(stage.world.queue().await.len(), 0);
}

#[tokio::test]
async fn what_was_updated_and_is_not_there_is_gone_at_once() {
    let stage = Stage::new(|_| ready(reply(404, ""))).await;
    stage.managed(A, ChangeType::Updated).await;
    let events = stage.run(stage.world.events_reach(1)).await;
    assert_eq!(events[0].object_state, ObjectState::Gone);
    assert_eq!(stage.graph.calls().len(), 1);
}

#[tokio::test]
async fn another_version_is_read_once_more_and_then_taken() {
    let stage = Stage::new(|_| ready(object("a", "newer"))).await;
    let mut new = stage.notification(A, ChangeType::Updated);
    new.notification.etag = Some("told".to_owned());
    stage.record(new).await;
    let events = stage
        .run(async {
            stage.pass(Duration::from_secs(2), 1).await;
            stage.world.events_reach(1).await
        })
        .await;
    assert_eq!(stage.graph.calls().len(), 2);
    assert_eq!(events[0].object_state, ObjectState::Fetched);
}

#[tokio::test]
async fn what_graph_refuses_or_is_too_large_is_told_without_its_object() {
    let stage = Stage::new(|seen| {
        ready(if seen.path.ends_with("/a") {
            reply(403, "")
        } else {
            reply(200, format!("{{\"x\":\"{}\"}}", "x".repeat(1 << 20)))
        })
    })
    .await;
    stage.managed(A, ChangeType::Updated).await;
    stage.run(stage.world.events_reach(1)).await;
    stage.managed(B, ChangeType::Updated).await;
    let events = stage.run(stage.world.events_reach(2)).await;
    let states: Vec<_> = events.iter().map(|event| event.object_state).collect();
    assert_eq!(states, [ObjectState::Forbidden, ObjectState::TooLarge]);
}

#[tokio::test]
async fn an_outage_delays_and_drops_nothing() {
    let tries = AtomicUsize::new(0);
    let stage = Stage::new(move |_| {
        ready(match tries.fetch_add(1, Ordering::SeqCst) {
            0 => reply(503, ""),
            1 => Reply {
                status: 429,
                headers: vec![("retry-after", "7.5")],
                body: String::new(),
            },
            _ => object("a", "1"),
        })
    })
    .await;
    stage.managed(A, ChangeType::Updated).await;
    stage
        .run(async {
            stage.pass(Duration::from_millis(1_200), 1).await;
            while stage.world.queue().await[0].failures < 2 {
                tokio::task::yield_now().await;
            }
            let due_at = stage.world.queue().await[0].due_at;
            assert_eq!(
                stage.world.clock.now().until(due_at),
                Duration::from_millis(7_500)
            );
            stage.pass(Duration::from_millis(7_500), 2).await;
            stage.world.events_reach(1).await;
        })
        .await;
}

#[tokio::test]
async fn broken_credentials_break_the_connection_until_they_work_again() {
    let mended = Arc::new(AtomicUsize::new(0));
    let at = Arc::clone(&mended);
    let graph = Graph::start_with_sign_in(move |seen| {
        ready(match (seen.is_token(), at.load(Ordering::SeqCst)) {
            (true, 0) => reply(
                401,
                r#"{"error":"invalid_client","error_description":"AADSTS7000222: Expired."}"#,
            ),
            (true, _) => reply(
                200,
                r#"{"token_type":"Bearer","expires_in":3600,"access_token":"t"}"#,
            ),
            (false, _) => object("a", "1"),
        })
    })
    .await;
    let stage = Stage::at(graph).await;
    stage.managed(A, ChangeType::Updated).await;
    let state = || async {
        stage
            .world
            .store
            .connection(stage.world.connection)
            .await
            .unwrap()
            .unwrap()
            .state
    };
    stage
        .run(async {
            while state().await == ConnectionState::Active {
                tokio::task::yield_now().await;
            }
            let ConnectionState::Broken { reason, .. } = state().await else {
                panic!()
            };
            assert!(reason.contains("expired"), "{reason}");
            assert_eq!(stage.graph.calls().len(), 0);
            mended.store(1, Ordering::SeqCst);
            // The refusal is kept some seconds, and the tenant is left alone for some more.
            for _ in 0..20 {
                stage.pass(Duration::from_secs(15), 0).await;
                tokio::task::yield_now().await;
            }
            stage.world.events_reach(1).await;
        })
        .await;
    assert_eq!(state().await, ConnectionState::Active);
}

#[tokio::test]
async fn items_of_one_resource_stay_in_order_and_others_go_past() {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let stage = Stage::new(move |seen| {
        let held = Arc::clone(&held);
        async move {
            if seen.path.ends_with("/a") {
                held.acquire().await.unwrap().forget();
            }
            object("x", "1")
        }
    })
    .await;
    for change in [
        ChangeType::Created,
        ChangeType::Updated,
        ChangeType::Deleted,
    ] {
        stage.managed(A, change).await;
    }
    stage.managed(B, ChangeType::Updated).await;
    stage
        .run(async {
            let events = stage.world.events_reach(1).await;
            assert_eq!(events[0].subject, B);
            assert_eq!(
                stage
                    .graph
                    .calls()
                    .iter()
                    .filter(|one| one.path.ends_with("/a"))
                    .count(),
                1
            );
            gate.add_permits(2);
            let events = stage.world.events_reach(4).await;
            let told: Vec<_> = events[1..]
                .iter()
                .map(|event| event.trigger.change)
                .collect();
            assert_eq!(
                told,
                [
                    ChangeType::Created,
                    ChangeType::Updated,
                    ChangeType::Deleted
                ]
            );
        })
        .await;
}

#[tokio::test]
async fn a_mailbox_is_asked_for_four_things_at_once_at_most() {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let stage = Stage::new(move |seen| {
        let held = Arc::clone(&held);
        async move {
            if seen.path.contains("/busy/") {
                held.acquire().await.unwrap().forget();
            }
            object("x", "1")
        }
    })
    .await;
    for number in 0..10 {
        stage
            .managed(&format!("users/busy/events/{number}"), ChangeType::Updated)
            .await;
    }
    stage
        .managed("users/calm/events/x", ChangeType::Updated)
        .await;
    let busy = || {
        stage
            .graph
            .calls()
            .iter()
            .filter(|one| one.path.contains("/busy/"))
            .count()
    };
    stage
        .run(async {
            stage.world.events_reach(1).await;
            stage.calls_reach(5).await;
            assert_eq!(busy(), 4);
            gate.add_permits(1);
            stage.world.events_reach(2).await;
            stage.calls_reach(6).await;
            assert_eq!(busy(), 5);
            gate.add_permits(9);
            stage.world.events_reach(11).await;
        })
        .await;
}

#[tokio::test]
async fn a_tenant_that_fails_holds_up_no_other_and_is_not_hammered() {
    let stage = Stage::new(|seen| {
        ready(if seen.path.contains("/down/") {
            reply(503, "")
        } else {
            object("x", "1")
        })
    })
    .await;
    for number in 0..100 {
        stage
            .managed(&format!("users/down/events/{number}"), ChangeType::Updated)
            .await;
    }
    for number in 0..20 {
        let mut new = stage.notification(&format!("users/up/events/{number}"), ChangeType::Updated);
        new.notification.connection = Some(stage.world.other);
        stage.record(new).await;
    }
    stage.run(stage.world.events_reach(20)).await;
    let down = stage
        .graph
        .calls()
        .iter()
        .filter(|one| one.path.contains("/down/"))
        .count();
    assert!((1..=8).contains(&down), "{down}");
    assert_eq!(stage.world.queue().await.len(), 100);
}

#[tokio::test]
async fn lifecycle_notifications_leave_the_queue_without_an_event() {
    let stage = Stage::new(|_| ready(reply(500, ""))).await;
    let mut new = stage.notification("users/u/events", ChangeType::Updated);
    new.notification.change_type = None;
    new.notification.lifecycle_event = Some(LifecycleEvent::Missed);
    stage.record(new).await;
    stage.run(stage.queue_empties()).await;
    assert!(stage.world.events().await.is_empty());
    assert!(stage.graph.calls().is_empty());
}

#[tokio::test]
async fn what_is_held_is_accepted_once_its_subscription_is_known_else_rejected() {
    let stage = Stage::new(|_| ready(object("a", "1"))).await;
    let world = &stage.world;
    let item = |resource: &str| {
        format!(
            r#"{{"subscriptionId":"3e1f7a52-90aa-4c0b-8c55-7d3d1c6a4f10","changeType":"updated","resource":"{resource}","tenantId":"{TENANT}"}}"#
        )
    };
    for (resource, state) in [(A, "known-soon-known-soon"), (B, "never-known-never-known")] {
        let mut new = stage.notification(resource, ChangeType::Updated);
        new.notification.verdict = Verdict::Held;
        new.notification.connection = None;
        new.notification.item = Bytes::from(item(resource));
        new.client_state_hash = Some(world.store.hash_client_state(state));
        new.due_at = world.clock.now() + Duration::from_secs(5);
        stage.record(new).await;
    }
    let subscription = Subscription {
        id: world.ids.next(),
        environment: world.environment,
        integration: world.integration,
        connection: world.connection,
        resource: "users/u/events".to_owned(),
        kind: ResourceKind::Event,
        change_types: "updated".parse().unwrap(),
        state: SubscriptionState::Pending,
        client_state: Secret::new("known-soon-known-soon"),
        graph_id: None,
        expires_at: None,
        due_at: world.clock.now(),
        failures: 0,
        last_error: None,
        created_at: world.clock.now(),
        renewed_at: None,
    };
    let id = subscription.id;
    world.store.create_subscription(subscription).await.unwrap();
    world
        .directory
        .refresh(Change::Subscription(id))
        .await
        .unwrap();
    let events = stage
        .run(async {
            let parked = || world.metrics.enrich.in_memory.get() == 2;
            world.pass(Duration::from_secs(5), parked).await;
            stage.queue_empties().await;
            world.events_reach(1).await
        })
        .await;
    assert_eq!(
        (events[0].subject.as_str(), events[0].subscription),
        (A, Some(id))
    );
    let other = world
        .store
        .notifications(
            tidings_storage::record::NotificationFilter::default(),
            Page::first(PageLimit::default()),
        )
        .await
        .unwrap();
    let verdicts: Vec<Verdict> = other.items.iter().map(|one| one.verdict).collect();
    assert!(
        verdicts.contains(&Verdict::UnknownSubscription) && verdicts.contains(&Verdict::Accepted)
    );
}

#[tokio::test]
async fn a_stage_that_died_half_way_is_taken_up_without_loss_or_repetition() {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let stage = Stage::new(move |_| {
        let held = Arc::clone(&held);
        async move {
            held.acquire().await.unwrap().forget();
            object("x", "1")
        }
    })
    .await;
    for number in 0..20 {
        stage
            .managed(&format!("users/u{number}/events/x"), ChangeType::Updated)
            .await;
    }
    gate.add_permits(7);
    // The stage is dropped with its fetches under way.
    stage.run(stage.world.events_reach(7)).await;
    gate.add_permits(100);
    let events = stage.run(stage.world.events_reach(20)).await;
    let mut subjects: Vec<_> = events.iter().map(|event| event.subject.clone()).collect();
    subjects.sort();
    subjects.dedup();
    assert_eq!(subjects.len(), 20);
}

#[tokio::test]
async fn a_stop_ends_the_stage() {
    let stage = Stage::new(|_| ready(object("a", "1"))).await;
    let stop = CancellationToken::new();
    stop.cancel();
    stage.enrich.run(&stop).await;
    assert!(
        stage
            .world
            .clock
            .sleep(Duration::from_secs(1))
            .now_or_never()
            .is_none()
    );
}
