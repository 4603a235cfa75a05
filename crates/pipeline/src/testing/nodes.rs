//! Several nodes over one store: who holds what is as the test says.

use std::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use tidings_domain::{Clock, clock::ManualClock, shard::ShardSet};
use tidings_graph::resource::SubscriptionPath;
use tidings_storage::Changed;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::store_over::{store_over, verbs::*};
use crate::{
    directory::Directory,
    fence::Fence,
    ingest::shard,
    metrics::Metrics,
    signals::{Signals, Stages},
};

/// The nodes of one store.
#[derive(Clone, Debug)]
pub(crate) struct Cluster(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// Of each shard: the node, and how often that has changed.
    owners: [(usize, i64); Shard::COUNT as usize],
    nodes: Vec<Told>,
}

/// What a node is told.
#[derive(Debug)]
struct Told {
    holdings: Holdings,
    signals: UnboundedSender<Signal>,
}

/// Nobody.
const NOBODY: usize = usize::MAX;

/// A node's view of the store.
#[derive(Debug)]
pub(crate) struct Node {
    inner: Arc<dyn Store>,
    cluster: Cluster,
    number: usize,
    holdings: Holdings,
    heard: tokio::sync::Mutex<UnboundedReceiver<Signal>>,
    cannot_read: AtomicBool,
    read_again: AtomicUsize,
}

/// A node with what its stages are made of.
pub(crate) struct Member {
    pub(crate) store: Arc<Node>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) metrics: Metrics,
    pub(crate) fence: Fence,
    pub(crate) stages: Stages,
}

impl Cluster {
    /// Without nodes.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            owners: [(NOBODY, 0); Shard::COUNT as usize],
            nodes: Vec::new(),
        })))
    }

    /// One more node, which holds nothing yet.
    pub(crate) async fn join(&self, store: &Arc<dyn Store>, clock: &ManualClock) -> Member {
        let store = Arc::new(self.node(Arc::clone(store), clock));
        let metrics = Metrics::new();
        Member {
            directory: Arc::new(Directory::load(store.clone()).await.unwrap()),
            fence: Fence::new(store.holdings(), metrics.nodes.clone()),
            stages: Stages::default(),
            metrics,
            store,
        }
    }

    fn node(&self, inner: Arc<dyn Store>, clock: &ManualClock) -> Node {
        let clock: Arc<dyn Clock> = Arc::new(clock.clone());
        let holdings = Holdings::leased(clock);
        let (signals, heard) = unbounded_channel();
        let mut state = self.state();
        state.nodes.push(Told {
            holdings: holdings.clone(),
            signals,
        });
        Node {
            inner,
            cluster: self.clone(),
            number: state.nodes.len() - 1,
            holdings,
            heard: tokio::sync::Mutex::new(heard),
            cannot_read: AtomicBool::new(false),
            read_again: AtomicUsize::new(0),
        }
    }

    /// Hands `shards` over to `node`, in the orderly way: whoever had them knows.
    pub(crate) fn give(&self, node: &Node, shards: ShardSet) {
        let mut state = self.state();
        state.change(node.number, shards);
        for number in 0..state.nodes.len() {
            state.tell(number);
        }
    }

    /// Gives `shards` to `node` and tells nobody else: whoever had them was thought to be dead.
    pub(crate) fn give_behind_its_back(&self, node: &Node, shards: ShardSet) {
        let mut state = self.state();
        state.change(node.number, shards);
        state.tell(node.number);
    }

    /// Tells `node` of something.
    pub(crate) fn signal(&self, node: &Node, signal: Signal) {
        self.state().nodes[node.number]
            .signals
            .send(signal)
            .unwrap();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl State {
    fn change(&mut self, node: usize, shards: ShardSet) {
        for shard in shards.iter() {
            let (owner, epoch) = &mut self.owners[usize::from(shard.get())];
            (*owner, *epoch) = (node, *epoch + 1);
        }
    }

    fn tell(&self, node: usize) {
        let held = Shard::all().filter_map(|shard| self.lease(node, shard));
        let told = &self.nodes[node];
        if told.holdings.set(held, std::time::Duration::MAX) {
            // Its test may be over.
            let _ = told.signals.send(Signal::Shards);
        }
    }

    fn lease(&self, node: usize, shard: Shard) -> Option<Lease> {
        let (owner, epoch) = self.owners[usize::from(shard.get())];
        (owner == node).then(|| Lease::new(shard, epoch))
    }

    fn others(&self, node: usize) -> impl Iterator<Item = &Told> {
        let nodes = self.nodes.iter().enumerate();
        nodes.filter_map(move |(number, told)| (number != node).then_some(told))
    }
}

impl Member {
    /// What hears of other nodes here.
    pub(crate) fn signals(&self) -> Signals {
        Signals {
            store: self.store.clone(),
            directory: Arc::clone(&self.directory),
            metrics: self.metrics.nodes.clone(),
            stages: self.stages.clone(),
        }
    }

    /// What its metrics show under this name.
    pub(crate) fn count(&self, name: &str) -> u64 {
        let all = self.metrics.encode();
        let mut values = all.lines().filter_map(|line| line.strip_prefix(name));
        values.next().unwrap().trim().parse().unwrap()
    }

    /// Whether a line stands in its metrics.
    pub(crate) fn counted(&self, line: &str) -> bool {
        self.metrics.encode().lines().any(|one| one == line)
    }
}

impl Node {
    /// Webhooks cannot be read from now on, or can be again.
    pub(crate) fn fail_reads(&self, fail: bool) {
        self.cannot_read.store(fail, Ordering::SeqCst);
    }

    /// How often queued notifications have been read by their places.
    pub(crate) fn read_again(&self) -> usize {
        self.read_again.load(Ordering::SeqCst)
    }

    /// The lease of a shard, as far as this node knows.
    fn lease(&self, shard: Shard) -> Option<Lease> {
        let state = self.cluster.state();
        let epochs = 0..=state.owners[usize::from(shard.get())].1;
        epochs
            .map(|epoch| Lease::new(shard, epoch))
            .find(|&lease| self.holdings.covers(lease))
    }

    /// Refuses what was worked on under a lease that is none any more.
    fn check(&self, lease: Lease) -> Done<()> {
        let shard = lease.shard();
        if self.cluster.state().lease(self.number, shard) == Some(lease) {
            Ok(())
        } else {
            Err(StoreError::Fenced { shard })
        }
    }

    fn own(&self, found: Vec<QueuedNotification>) -> Vec<QueuedNotification> {
        let own = |mut queued: QueuedNotification| {
            queued.lease = self.lease(shard::of(&queued.notification))?;
            Some(queued)
        };
        found.into_iter().filter_map(own).collect()
    }

    async fn shard_of(&self, row: &Subscription) -> Shard {
        let connection = self.inner.connection(row.connection).await.unwrap();
        let path = SubscriptionPath::parse(&row.resource).unwrap();
        let tenant = connection.unwrap().tenant_id;
        Shard::of_mailbox(row.integration, tenant, path.mailbox())
    }

    fn tell_others(&self, signal: Signal) {
        for other in self.cluster.state().others(self.number) {
            let _ = other.signals.send(signal);
        }
    }
}

store_over! {
    Node {
        fn holdings(&self) -> Holdings {
            self.holdings.clone()
        }
        async fn next_signal(&self) -> Signal {
            match self.heard.lock().await.recv().await {
                Some(signal) => signal,
                None => std::future::pending().await,
            }
        }
        async fn record_notifications(&self, new: Vec<NewNotification>) -> Done<Vec<Verdict>> {
            let recorded = self.inner.record_notifications(new).await;
            self.tell_others(Signal::Queued);
            recorded
        }
        async fn queued_notifications(&self, after: Seq, limit: u32) -> Done<Vec<QueuedNotification>> {
            // The youngest of those behind come again, as if they had been committed only now.
            let from = Seq((after.0 - 3).max(0));
            let found = self.inner.queued_notifications(from, limit.max(1_000)).await?;
            Ok(self.own(found))
        }
        async fn queued_notifications_at(&self, places: Vec<Seq>) -> Done<Vec<QueuedNotification>> {
            let found = self.own(self.inner.queued_notifications_at(places).await?);
            self.read_again.fetch_add(1, Ordering::SeqCst);
            Ok(found)
        }
        async fn postpone_notification(&self, seq: Seq, lease: Lease, due_at: Timestamp) -> Done<()> {
            self.check(lease)?;
            self.inner.postpone_notification(seq, lease, due_at).await
        }
        async fn settle_held(&self, seq: Seq, lease: Lease, settled: NewNotification) -> Done<Verdict> {
            self.check(lease)?;
            self.inner.settle_held(seq, lease, settled).await
        }
        async fn finish_notification(&self, seq: Seq, lease: Lease, outcome: Outcome) -> Done<bool> {
            self.check(lease)?;
            let finished = self.inner.finish_notification(seq, lease, outcome).await;
            self.tell_others(Signal::Due(None));
            finished
        }
        async fn webhook(&self, id: WebhookId) -> Done<Option<Webhook>> {
            if self.cannot_read.load(Ordering::SeqCst) {
                let detail = "as the test says".to_owned();
                return Err(StoreError::Unavailable { detail });
            }
            self.inner.webhook(id).await
        }
        async fn webhooks_with_pending(&self) -> Done<Vec<(WebhookId, Timestamp)>> {
            let mut found = self.inner.webhooks_with_pending().await?;
            found.retain(|&(id, _)| self.lease(Shard::of_webhook(id)).is_some());
            Ok(found)
        }
        async fn due_deliveries(&self, webhook: WebhookId, now: Timestamp, limit: u32) -> Done<Vec<DueDelivery>> {
            let Some(lease) = self.lease(Shard::of_webhook(webhook)) else {
                return Ok(Vec::new());
            };
            let mut found = self.inner.due_deliveries(webhook, now, limit).await?;
            for one in &mut found {
                one.lease = lease;
            }
            Ok(found)
        }
        async fn next_due_delivery(&self, webhook: WebhookId, now: Timestamp) -> Done<Option<Timestamp>> {
            match self.lease(Shard::of_webhook(webhook)) {
                Some(_) => self.inner.next_due_delivery(webhook, now).await,
                None => Ok(None),
            }
        }
        async fn record_attempt(&self, result: AttemptResult) -> Done<()> {
            self.check(result.lease)?;
            self.inner.record_attempt(result).await
        }
        async fn create_subscription(&self, row: Subscription, shard: Shard) -> Done<()> {
            let id = row.id;
            self.inner.create_subscription(row, shard).await?;
            self.tell_others(Signal::Changed(Changed::Subscription(id)));
            Ok(())
        }
        async fn due_subscriptions(&self, now: Timestamp, limit: u32) -> Done<Vec<DueSubscription>> {
            let mut due = Vec::new();
            for mut one in self.inner.due_subscriptions(now, limit.max(1_000)).await? {
                if let Some(lease) = self.lease(self.shard_of(&one.subscription).await) {
                    one.lease = lease;
                    due.push(one);
                }
            }
            Ok(due)
        }
        async fn update_subscription(&self, update: SubscriptionUpdate, lease: Option<Lease>) -> Done<()> {
            if let Some(lease) = lease {
                self.check(lease)?;
            }
            let id = update.id;
            self.inner.update_subscription(update, lease).await?;
            self.tell_others(Signal::Changed(Changed::Subscription(id)));
            Ok(())
        }
    }
    passed {
        redeliver(id: DeliveryId, now: Timestamp) -> Done<Option<Delivery>>;
        change_webhook(id: WebhookId, change: WebhookChange) -> Done<Option<Webhook>>;
        next_due_subscription() -> Done<Option<Timestamp>>;
    }
}
