//! Connections as a whole: what becomes of their subscriptions when they are disabled, enabled or deleted.
//!
//! What is wanted is one word in a connection's row. From there on everything follows from looking: those of its
//! subscriptions that are not as it wants are told to be so, again and again, until there is none; the subscribe stage does
//! what each then wants at Graph. A connection that is to be deleted goes when nothing of it is left.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream};
use tidings_domain::{
    Clock, Timestamp,
    connection::ConnectionIntent,
    ids::ConnectionId,
    page::{Page, PageLimit},
    subscription::SubscriptionState,
};
use tidings_storage::{Store, StoreError, record::DueConnection};
use tokio_util::sync::CancellationToken;

use crate::{
    directory::{Change, Directory},
    fence::Fence,
    metrics::Stage,
    wake::Wake,
};

/// The pause after the store could not be read, and the shortest between two looks at it.
const PAUSE: Duration = Duration::from_secs(1);
/// A loop that was not woken looks by itself this often: the time of day may have jumped.
const LOOK_ANYWAY: Duration = Duration::from_mins(1);
/// How soon a connection is looked at again while Graph may serve something that it is not to.
const AGAIN: Duration = Duration::from_secs(5);
/// How often a connection is looked at that is as it is wanted.
const SETTLED: Duration = Duration::from_hours(1);
/// How many connections are looked at side by side.
const AT_ONCE: usize = 4;
/// How many subscriptions one write tells what is wanted: some milliseconds.
const TOLD_AT_ONCE: u32 = 500;

/// Looks after connections as a whole. Clones are the same stage.
#[derive(Clone, Debug)]
pub struct Connections {
    parts: Arc<ConnectionParts>,
}

/// What [`Connections`] works with.
#[derive(Debug)]
pub struct ConnectionParts {
    /// Where the rows are.
    pub store: Arc<dyn Store>,
    /// Is refreshed after each change.
    pub directory: Arc<Directory>,
    /// Its time.
    pub clock: Arc<dyn Clock>,
    /// Wakes it: something else is wanted of a connection.
    pub wake: Wake,
    /// Is told of rows that are to be seen to.
    pub subscribe: Wake,
    /// Tells its connections from those of other nodes.
    pub fence: Fence,
}

impl Connections {
    /// A stage made of these parts.
    pub fn new(parts: ConnectionParts) -> Self {
        Self {
            parts: Arc::new(parts),
        }
    }

    /// Looks at what is due until `stop`.
    pub async fn run(&self, stop: &CancellationToken) {
        loop {
            let wait = match stop.run_until_cancelled(self.look()).await {
                None => return,
                Some(Ok(wait)) => wait,
                Some(Err(error)) => {
                    tracing::warn!(%error, "connections cannot be read: it is tried again");
                    PAUSE
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.parts.wake.wait() => {}
                () = self.parts.clock.sleep(wait) => {}
            }
        }
    }

    /// Looks at what is due, and says how long to wait for the next.
    async fn look(&self) -> Result<Duration, StoreError> {
        let parts = &self.parts;
        let now = parts.clock.now();
        let limit = u32::try_from(AT_ONCE * 8).unwrap_or(u32::MAX);
        let due = parts.store.due_connections(now, limit).await?;
        stream::iter(due)
            .for_each_concurrent(AT_ONCE, |due| self.turn(due))
            .await;
        let next = parts.store.next_due_connection().await?;
        let wait = next.map_or(LOOK_ANYWAY, |due_at| parts.clock.now().until(due_at));
        Ok(wait.clamp(PAUSE, LOOK_ANYWAY))
    }

    async fn turn(&self, due: DueConnection) {
        let (id, lease) = (due.connection.id, due.lease);
        if !self.parts.fence.allows(lease) {
            return;
        }
        match self.settle(due).await {
            // It is gone.
            Ok(()) | Err(StoreError::Missing { .. }) => {}
            Err(StoreError::Fenced { .. }) => self.parts.fence.refuse(lease, Stage::Subscribe),
            Err(error) => {
                tracing::warn!(connection.id = %id, %error, "a connection cannot be looked after now: it is tried again");
            }
        }
    }

    /// Has the subscriptions of a connection follow what is wanted of it.
    async fn settle(&self, due: DueConnection) -> Result<(), StoreError> {
        let parts = &self.parts;
        let (id, lease) = (due.connection.id, due.lease);
        let settled = loop {
            let now = parts.clock.now();
            let settle = parts.store.settle_connection(id, now, TOLD_AT_ONCE, lease);
            let settled = settle.await?;
            if settled.changed > 0 {
                parts.subscribe.wake();
            }
            if settled.changed < u64::from(TOLD_AT_ONCE) {
                break settled;
            }
        };
        let deleting = matches!(due.connection.intent, ConnectionIntent::Deleting { .. });
        if deleting && settled.served == 0 && self.remove(id).await? {
            return Ok(());
        }
        let now = parts.clock.now();
        let again = if settled.served > 0 || deleting {
            AGAIN
        } else {
            SETTLED
        };
        self.put_off(due, now + again).await
    }

    async fn put_off(&self, due: DueConnection, until: Timestamp) -> Result<(), StoreError> {
        let id = due.connection.id;
        let put_off =
            self.parts
                .store
                .put_off_connection(id, due.due_at, until, due.listed_at, due.lease);
        put_off.await
    }

    /// Removes a connection of which Graph serves nothing any more, with the rows that wait; `false` if something came
    /// between.
    async fn remove(&self, id: ConnectionId) -> Result<bool, StoreError> {
        let parts = &self.parts;
        let limit = PageLimit::new(PageLimit::MAX).expect("invariant: the largest limit is one");
        loop {
            let page = Page { after: None, limit };
            let listed = parts.store.subscriptions(None, Some(id), page).await?;
            if listed.items.is_empty() {
                break;
            }
            for row in listed.items {
                if row.state != SubscriptionState::Disabled {
                    return Ok(false);
                }
                let delete = parts.store.delete_subscription(row.id);
                let change = Change::Subscription(row.id);
                parts.directory.change(change, delete).await?;
            }
        }
        let delete = parts.store.delete_connection(id);
        match parts.directory.change(Change::Connection(id), delete).await {
            Ok(gone) => {
                tracing::info!(connection.id = %id, "a connection has been deleted with its subscriptions");
                Ok(gone)
            }
            // A subscription was made just now.
            Err(StoreError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests;
