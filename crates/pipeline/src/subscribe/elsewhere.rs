//! Waits for another node to act on a row of its.
//!
//! Whoever asks for a subscription wants to hear what Graph said. That goes to the node that holds the row's shard by the
//! row itself, which is due, and comes back the same way: no node talks to another.

use std::time::Duration;

use tidings_domain::{
    Clock,
    ids::SubscriptionId,
    shard::Shard,
    subscription::{Subscription, SubscriptionState},
};
use tidings_graph::resource::SubscriptionPath;
use tidings_storage::StoreError;

use super::{Subscribe, SubscribeParts};

/// How soon a row is looked at first; the wait doubles with each look.
const FIRST_LOOK: Duration = Duration::from_millis(50);
/// The longest wait between two looks.
const LONGEST_LOOK: Duration = Duration::from_secs(1);

impl Subscribe {
    /// Whether this node is the one that asks Graph for a row.
    pub(super) async fn is_ours(&self, row: &Subscription) -> Result<bool, StoreError> {
        let parts = &self.parts;
        let tenant = match parts.directory.connection(row.connection) {
            Some(connection) => connection.tenant_id,
            None => match parts.store.connection(row.connection).await? {
                Some(connection) => connection.tenant_id,
                // A row does not outlive its connection: it has gone too.
                None => return Ok(true),
            },
        };
        let path = SubscriptionPath::parse(&row.resource).ok();
        let owner = path.as_ref().and_then(SubscriptionPath::mailbox);
        let shard = Shard::of_mailbox(row.integration, tenant, owner);
        Ok(parts.fence.holds(shard))
    }

    /// Waits until the node whose row it is has asked Graph for it, with whatever result, but no longer than that may
    /// take. Gives the row as it then is.
    pub(super) async fn served_elsewhere(
        &self,
        id: SubscriptionId,
    ) -> Result<Option<Subscription>, StoreError> {
        let mut looks = Looks::new(&self.parts);
        let row = loop {
            let row = self.parts.store.subscription(id).await?;
            let waits = row
                .as_ref()
                .is_some_and(|row| row.state == SubscriptionState::Pending && row.failures == 0);
            if !waits || !looks.again().await {
                break row;
            }
        };
        self.refresh(id).await;
        Ok(row)
    }

    /// Waits until the node whose row it is has removed it, or has tried, but no longer than that may take.
    pub(super) async fn removed_elsewhere(&self, id: SubscriptionId) -> Result<(), StoreError> {
        let mut looks = Looks::new(&self.parts);
        while let Some(row) = self.parts.store.subscription(id).await? {
            if row.state != SubscriptionState::Deleting {
                // What that node had begun before has ended just now, and was written over the wish.
                self.mark_deleting(id).await?;
            } else if row.failures > 0 {
                break;
            }
            if !looks.again().await {
                break;
            }
        }
        self.refresh(id).await;
        Ok(())
    }
}

/// Looks at a row: seldom enough, and not for ever.
struct Looks<'a> {
    clock: &'a dyn Clock,
    wait: Duration,
    /// On the monotonic clock.
    end: Duration,
}

impl<'a> Looks<'a> {
    fn new(parts: &'a SubscribeParts) -> Self {
        let clock = &*parts.clock;
        Self {
            clock,
            wait: FIRST_LOOK,
            // One call, and as much again for what that node may have under way.
            end: clock.monotonic() + parts.config.timeout.0 * 2,
        }
    }

    /// Waits for the next look; `false` if there have been enough.
    async fn again(&mut self) -> bool {
        if self.clock.monotonic() >= self.end {
            return false;
        }
        self.clock.sleep(self.wait).await;
        self.wait = (self.wait * 2).min(LONGEST_LOOK);
        true
    }
}
