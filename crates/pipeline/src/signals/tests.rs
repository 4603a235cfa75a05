//! What one node changes holds on the others.

use std::future::Future;

use futures_util::FutureExt as _;
use tidings_domain::{
    Secret,
    clock::ManualClock,
    ids::WebhookId,
    shard::ShardSet,
    trigger::Trigger,
    webhook::{DisabledReason, Webhook, WebhookState, WebhookUrl},
};
use tidings_storage::{ConfiguredStore as _, record::WebhookChange};

use super::*;
use crate::testing::{Cluster, Member, World};

struct Two {
    world: World,
    cluster: Cluster,
    here: Member,
    there: Member,
}

impl Two {
    async fn new() -> Self {
        let world = World::new(&"https://graph.example".parse().unwrap()).await;
        let cluster = Cluster::new();
        let here = cluster.join(&world.store, &world.clock).await;
        let there = cluster.join(&world.store, &world.clock).await;
        Self {
            world,
            cluster,
            here,
            there,
        }
    }

    /// Lets this node hear while `test` runs.
    async fn hearing<T>(&self, test: impl Future<Output = T>) -> T {
        let stop = CancellationToken::new();
        let signals = self.here.signals();
        tokio::select! {
            () = signals.run(&stop) => panic!("it has ended"),
            done = test => done,
        }
    }

    fn signal(&self, signal: Signal) {
        self.cluster.signal(&self.here.store, signal);
    }

    /// A webhook that is made on the other node.
    async fn webhook(&self) -> WebhookId {
        let webhook = Webhook {
            id: self.world.ids.next(),
            environment: self.world.environment,
            url: WebhookUrl::parse("https://app.example/hook").unwrap(),
            description: String::new(),
            triggers: vec![Trigger::parse("event.created").unwrap()],
            connections: Vec::new(),
            secret: Secret::new("whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="),
            state: WebhookState::Active,
            failing_since: None,
            created_at: tidings_domain::Timestamp::from_millis(0),
        };
        let id = webhook.id;
        self.there.store.create_webhook(webhook).await.unwrap();
        id
    }

    async fn disable(&self, id: WebhookId) {
        let change = WebhookChange {
            state: Some(WebhookState::Disabled {
                reason: DisabledReason::Operator,
                since: tidings_domain::Timestamp::from_millis(0),
            }),
            ..WebhookChange::default()
        };
        self.there.store.change_webhook(id, change).await.unwrap();
    }

    fn state_here(&self, id: WebhookId) -> Option<WebhookState> {
        let webhook = self.here.directory.webhook(id)?;
        Some(webhook.state.clone())
    }
}

async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_change_on_another_node_is_known_and_told() {
    let two = Two::new().await;
    let id = two.webhook().await;
    two.hearing(async {
        assert_eq!(two.state_here(id), None);
        two.signal(Signal::Changed(Change::Webhook(id)));
        until(|| two.state_here(id) == Some(WebhookState::Active)).await;
        assert!(two.here.stages.deliver.take().await.contains(&id));
        two.disable(id).await;
        two.signal(Signal::Changed(Change::Webhook(id)));
        until(|| two.state_here(id) != Some(WebhookState::Active)).await;
        two.there.store.delete_webhook(id).await.unwrap();
        two.signal(Signal::Changed(Change::Webhook(id)));
        until(|| two.state_here(id).is_none()).await;
    })
    .await;
    assert!(
        two.here
            .counted("tidings_nodes_signals_total{signal=\"changed\"} 3")
    );
}

#[tokio::test]
async fn after_changes_that_nobody_can_name_everything_is_read_again() {
    let two = Two::new().await;
    let id = two.webhook().await;
    let gone = two.world.other;
    two.there.store.delete_connection(gone).await.unwrap();
    two.hearing(async {
        assert!(two.here.directory.connection(gone).is_some());
        two.signal(Signal::ChangedSomehow);
        until(|| two.state_here(id).is_some()).await;
        assert!(two.here.directory.connection(gone).is_none());
        two.here.stages.deliver_any.wait().await;
        two.here.stages.enrich.wait().await;
        two.here.stages.subscribe.wait().await;
    })
    .await;
}

#[tokio::test]
async fn work_and_shards_are_told_to_those_whom_they_concern() {
    let two = Two::new().await;
    let id = two.webhook().await;
    two.hearing(async {
        let stages = &two.here.stages;
        two.signal(Signal::Queued);
        stages.enrich.wait().await;
        two.signal(Signal::Reconcile);
        stages.reconcile.wait().await;
        two.signal(Signal::Due(Some(id)));
        assert!(stages.deliver.take().await.contains(&id));
        assert_eq!(stages.deliver_any.wait().now_or_never(), None);
        two.signal(Signal::Due(None));
        stages.deliver_any.wait().await;
        two.cluster.give(&two.here.store, ShardSet::ALL);
        stages.enrich_shards.wait().await;
        stages.deliver_shards.wait().await;
        stages.subscribe.wait().await;
    })
    .await;
}

#[tokio::test]
async fn what_could_not_be_read_is_told_once_it_could_be() {
    let two = Two::new().await;
    let id = two.webhook().await;
    let (directory, stages) = (&two.here.directory, &two.here.stages);
    let clock: &ManualClock = &two.world.clock;
    let stop = CancellationToken::new();
    two.here.store.fail_reads(true);
    let test = two.hearing(async {
        two.signal(Signal::Changed(Change::Webhook(id)));
        // It fails here, and once more when it is repeated.
        for _ in 0..2 {
            until(|| clock.next_wake().is_some()).await;
            clock.advance(std::time::Duration::from_secs(1));
        }
        assert_eq!(stages.deliver.take().now_or_never(), None);
        two.here.store.fail_reads(false);
        until(|| clock.next_wake().is_some()).await;
        clock.advance(std::time::Duration::from_secs(1));
        assert!(stages.deliver.take().await.contains(&id));
        assert_eq!(two.state_here(id), Some(WebhookState::Active));
    });
    tokio::select! {
        () = directory.run(clock, &stop, |change| stages.after(change)) => panic!("it has ended"),
        () = test => {}
    }
}
