//! A store that fails when told to.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use crate::testing::{store_over, verbs::*};

/// How the store feels, and how often it was asked. Clones are the same mood.
#[derive(Clone, Debug, Default)]
pub(super) struct Mood(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    reads_fail: AtomicBool,
    writes_fail: AtomicBool,
    reads: AtomicUsize,
    writes: AtomicUsize,
    failed: AtomicUsize,
}

impl Mood {
    pub(super) fn fail_reads(&self, fail: bool) {
        self.0.reads_fail.store(fail, Ordering::SeqCst);
    }

    pub(super) fn fail_writes(&self, fail: bool) {
        self.0.writes_fail.store(fail, Ordering::SeqCst);
    }

    /// How many reads there were.
    pub(super) fn reads(&self) -> usize {
        self.0.reads.load(Ordering::SeqCst)
    }

    /// How many writes there were.
    pub(super) fn writes(&self) -> usize {
        self.0.writes.load(Ordering::SeqCst)
    }

    /// How many verbs have failed.
    pub(super) fn failed(&self) -> usize {
        self.0.failed.load(Ordering::SeqCst)
    }

    fn read(&self) -> Result<(), StoreError> {
        self.0.reads.fetch_add(1, Ordering::SeqCst);
        self.unless(&self.0.reads_fail)
    }

    fn write(&self) -> Result<(), StoreError> {
        self.0.writes.fetch_add(1, Ordering::SeqCst);
        self.unless(&self.0.writes_fail)
    }

    fn unless(&self, fail: &AtomicBool) -> Result<(), StoreError> {
        if !fail.load(Ordering::SeqCst) {
            return Ok(());
        }
        self.0.failed.fetch_add(1, Ordering::SeqCst);
        let detail = "in a bad mood".to_owned();
        Err(StoreError::Unavailable { detail })
    }
}

/// Fails the verbs of this stage when it is in the mood, and passes the rest on.
#[derive(Debug)]
pub(super) struct Moody {
    inner: Arc<dyn Store>,
    mood: Mood,
}

impl Moody {
    pub(super) fn new(inner: Arc<dyn Store>, mood: Mood) -> Self {
        Self { inner, mood }
    }
}

store_over! {
    Moody {
        async fn webhooks_with_pending(&self) -> Done<Vec<(WebhookId, Timestamp)>> {
            self.mood.read()?;
            self.inner.webhooks_with_pending().await
        }
        async fn due_deliveries(&self, webhook: WebhookId, now: Timestamp, limit: u32) -> Done<Vec<DueDelivery>> {
            self.mood.read()?;
            self.inner.due_deliveries(webhook, now, limit).await
        }
        async fn next_due_delivery(&self, webhook: WebhookId, now: Timestamp) -> Done<Option<Timestamp>> {
            self.mood.read()?;
            self.inner.next_due_delivery(webhook, now).await
        }
        async fn record_attempt(&self, result: AttemptResult) -> Done<()> {
            self.mood.write()?;
            self.inner.record_attempt(result).await
        }
        fn holdings(&self) -> Holdings {
            self.inner.holdings()
        }
    }
    passed {
        redeliver(id: DeliveryId, now: Timestamp) -> Done<Option<Delivery>>;
        change_webhook(id: WebhookId, change: WebhookChange) -> Done<Option<Webhook>>;
        webhook(id: WebhookId) -> Done<Option<Webhook>>;
        record_notifications(notifications: Vec<NewNotification>) -> Done<Vec<Verdict>>;
        queued_notifications(after: Seq, limit: u32) -> Done<Vec<QueuedNotification>>;
        queued_notifications_at(places: Vec<Seq>) -> Done<Vec<QueuedNotification>>;
        postpone_notification(seq: Seq, lease: Lease, due_at: Timestamp) -> Done<()>;
        settle_held(seq: Seq, lease: Lease, settled: NewNotification) -> Done<Verdict>;
        finish_notification(seq: Seq, lease: Lease, outcome: Outcome) -> Done<bool>;
        create_subscription(subscription: Subscription, shard: Shard) -> Done<()>;
        due_subscriptions(now: Timestamp, limit: u32) -> Done<Vec<DueSubscription>>;
        next_due_subscription() -> Done<Option<Timestamp>>;
        update_subscription(update: SubscriptionUpdate, lease: Option<Lease>) -> Done<()>;
        next_signal() -> Signal;
    }
}
