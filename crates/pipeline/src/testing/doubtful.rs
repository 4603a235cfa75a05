//! A store whose answers are lost.

use std::sync::Arc;

use tokio::sync::Notify;

use super::store_over::{store_over, verbs::*};

/// Commits changes of webhooks, deliveries to be sent again and what came of notifications, and then says that it is unavailable, or never answers.
#[derive(Debug)]
pub(crate) struct Doubtful {
    inner: Arc<dyn Store>,
    answers: bool,
    /// Is told of each commit.
    pub(crate) committed: Notify,
}

impl Doubtful {
    pub(crate) fn new(inner: &Arc<dyn Store>, answers: bool) -> Arc<Self> {
        Arc::new(Self {
            inner: Arc::clone(inner),
            answers,
            committed: Notify::new(),
        })
    }

    async fn lose<T>(&self) -> Done<T> {
        self.committed.notify_one();
        if !self.answers {
            std::future::pending::<()>().await;
        }
        let detail = "the answer was lost".to_owned();
        Err(StoreError::Unavailable { detail })
    }
}

store_over! {
    Doubtful {
        async fn change_webhook(&self, id: WebhookId, change: WebhookChange) -> Done<Option<Webhook>> {
            self.inner.change_webhook(id, change).await?;
            self.lose().await
        }
        async fn redeliver(&self, id: DeliveryId, now: Timestamp) -> Done<Option<Delivery>> {
            self.inner.redeliver(id, now).await?;
            self.lose().await
        }
        async fn finish_notification(&self, seq: Seq, lease: Lease, outcome: Outcome) -> Done<bool> {
            self.inner.finish_notification(seq, lease, outcome).await?;
            self.lose().await
        }
        fn holdings(&self) -> Holdings {
            self.inner.holdings()
        }
    }
    passed {
        webhook(id: WebhookId) -> Done<Option<Webhook>>;
        record_notifications(notifications: Vec<NewNotification>) -> Done<Vec<Verdict>>;
        queued_notifications(after: Seq, limit: u32) -> Done<Vec<QueuedNotification>>;
        queued_notifications_at(places: Vec<Seq>) -> Done<Vec<QueuedNotification>>;
        postpone_notification(seq: Seq, lease: Lease, due_at: Timestamp) -> Done<()>;
        settle_held(seq: Seq, lease: Lease, settled: NewNotification) -> Done<Verdict>;
        webhooks_with_pending() -> Done<Vec<(WebhookId, Timestamp)>>;
        due_deliveries(webhook: WebhookId, now: Timestamp, limit: u32) -> Done<Vec<DueDelivery>>;
        next_due_delivery(webhook: WebhookId, now: Timestamp) -> Done<Option<Timestamp>>;
        record_attempt(result: AttemptResult) -> Done<()>;
        create_subscription(subscription: Subscription, shard: Shard) -> Done<()>;
        due_subscriptions(now: Timestamp, limit: u32) -> Done<Vec<DueSubscription>>;
        next_due_subscription() -> Done<Option<Timestamp>>;
        update_subscription(update: SubscriptionUpdate, lease: Option<Lease>) -> Done<()>;
        next_signal() -> Signal;
    }
}
