//! What Graph says of a subscription itself: it is told, and noted for whoever sees to it.
//!
//! Graph says the same again and again until something is done (Microsoft's "lifecycle notifications" page: expect them
//! at any frequency). An app hears of it once.

use tidings_domain::reconcile::ReconcileReason;
use tidings_domain::{
    connection::Connection,
    notification::{LifecycleEvent, Notification},
    subscription::{Subscription, SubscriptionState},
    trigger::Operation,
};
use tidings_graph::resource::SubscriptionPath;
use tidings_storage::{
    StoreError,
    record::{AskReconcile, LifecycleNote, NewEvent, Outcome},
};

use super::EnrichParts;
use crate::{
    directory::GraphId,
    operational::{self, News, Watched},
    reconcile,
    subscribe::APART,
};

/// What a lifecycle notification leads to: nothing, if it is about a subscription that was made by hand, or about one
/// that has been replaced.
pub(super) async fn outcome(
    parts: &EnrichParts,
    notification: &Notification,
    event: LifecycleEvent,
) -> Result<Outcome, StoreError> {
    let Some(id) = notification.subscription else {
        return Ok(Outcome::default());
    };
    let Some(row) = parts.store.subscription(id).await? else {
        return Ok(Outcome::default());
    };
    let connection = parts.directory.connection(row.connection);
    let Some(connection) = connection.filter(|_| row.state != SubscriptionState::Deleting) else {
        return Ok(Outcome::default());
    };
    let said = Said {
        parts,
        notification,
        row: &row,
        connection: &connection,
    };
    match event {
        LifecycleEvent::Missed => said.missed().await,
        LifecycleEvent::ReauthorizationRequired => Ok(said.reauthorize()),
        LifecycleEvent::SubscriptionRemoved => Ok(said.removed()),
    }
}

struct Said<'a> {
    parts: &'a EnrichParts,
    notification: &'a Notification,
    row: &'a Subscription,
    connection: &'a Connection,
}

impl Said<'_> {
    /// Graph did not deliver everything, of this subscription or of one that it replaced: what that was is looked for.
    async fn missed(&self) -> Result<Outcome, StoreError> {
        let path = SubscriptionPath::parse(&self.row.resource);
        if !path.is_ok_and(|path| reconcile::covers(&path)) {
            let told = self.tell(
                Operation::SubscriptionMissed,
                "Graph says that it did not deliver some notifications, and there is no way to find out what they told",
            );
            return Ok(vec![told].into());
        }
        let now = self.parts.clock.now();
        let known = self.parts.store.reconcile(self.row.id).await?;
        let looked_for = known.is_some_and(|one| {
            one.reason == ReconcileReason::Missed
                && one.started_at.max(one.finished_at) < Some(one.asked_at)
        });
        let events = if looked_for {
            Vec::new()
        } else {
            vec![self.tell(
                Operation::SubscriptionMissed,
                "Graph says that it did not deliver some notifications: what they told is looked for",
            )]
        };
        let ask = AskReconcile {
            reason: ReconcileReason::Missed,
            asked_at: now,
            due_at: now,
            deliver_existing: false,
        };
        Ok(Outcome {
            events,
            reconcile: Some((self.row.id, ask)),
            ..Outcome::default()
        })
    }

    /// One renewal does for all that Graph may mean, and it does not want two within some minutes.
    fn reauthorize(&self) -> Outcome {
        if self.row.graph_id.is_none() || !self.is_about_this_one() {
            return Outcome::default();
        }
        let now = self.parts.clock.now();
        let may_ask = self
            .row
            .patched_at
            .map_or(now, |last| now.max(last + APART));
        // While a renewal is tried again and again, or was asked for just now, it is no news that one is wanted.
        let is_news = may_ask == now
            && self.row.failures == 0
            && !self.row.lifecycle.is_some_and(|noted| noted.reauthorize);
        let told = is_news.then(|| {
            self.tell(
                Operation::SubscriptionReauthorizationRequired,
                "Graph says that the subscription, its token or its permission is about to end: it is renewed",
            )
        });
        Outcome {
            events: told.into_iter().collect(),
            lifecycle: Some(LifecycleNote {
                subscription: self.row.id,
                event: LifecycleEvent::ReauthorizationRequired,
                due_at: may_ask,
            }),
            ..Outcome::default()
        }
    }

    fn removed(&self) -> Outcome {
        if !self.is_about_this_one() {
            return Outcome::default();
        }
        let is_news =
            self.row.graph_id.is_some() && !self.row.lifecycle.is_some_and(|noted| noted.removed);
        let told = is_news.then(|| {
            self.tell(
                Operation::SubscriptionRemoved,
                "Graph says that it has removed the subscription: it is made anew",
            )
        });
        Outcome {
            events: told.into_iter().collect(),
            lifecycle: Some(LifecycleNote {
                subscription: self.row.id,
                event: LifecycleEvent::SubscriptionRemoved,
                due_at: self.parts.clock.now(),
            }),
            ..Outcome::default()
        }
    }

    /// Whether the notification names the subscription that Graph serves now, and none that was replaced since. What is
    /// not known yet may be it.
    fn is_about_this_one(&self) -> bool {
        let named = self.notification.graph_subscription_id.as_deref();
        let now = self.row.graph_id.as_deref();
        match (named, now) {
            (Some(named), Some(now)) => GraphId::new(named) == GraphId::new(now),
            _ => true,
        }
    }

    fn tell(&self, operation: Operation, reason: &str) -> NewEvent {
        let parts = self.parts;
        let news = News {
            operation,
            subscription: Some(Watched {
                id: self.row.id,
                resource: &self.row.resource,
            }),
            notification: Some(self.notification.id),
            reason,
            found: None,
            since: None,
            expires_at: self.row.expires_at,
        };
        operational::event(
            &parts.directory,
            &parts.ids,
            parts.clock.now(),
            self.connection,
            news,
        )
    }
}
