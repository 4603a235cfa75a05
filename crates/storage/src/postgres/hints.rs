//! What other nodes are told, so that they need not wait until they look.
//!
//! A hint only. It is sent after the commit, and many that come together are sent as one: PostgreSQL takes a lock of the
//! whole server at the commit of whoever notifies, so the commits that carry work must not.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tidings_domain::{
    ids::WebhookId,
    shard::{Shard, ShardSet},
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Shared, pool::Purpose};
use crate::Holdings;

/// The channel that all nodes listen to.
pub(super) const CHANNEL: &str = "tidings";

/// The pause between two messages: what comes meanwhile goes together.
const PAUSE: Duration = Duration::from_millis(5);

/// So many webhooks are named in one message; PostgreSQL's limit is 8,000 bytes.
const MOST_NAMED: usize = 100;

/// What is to be told.
pub(super) struct Hints {
    holdings: Holdings,
    waiting: Mutex<Waiting>,
    wake: Notify,
}

#[derive(Default)]
struct Waiting {
    look: bool,
    queued: ShardSet,
    due: BTreeSet<WebhookId>,
    reconcile: ShardSet,
}

/// One word of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hint<'a> {
    /// These webhooks, by their ids with commas between, may have deliveries that are due.
    Due(&'a str),
    /// Some webhooks of these shards have.
    DueAny(ShardSet),
    /// Something changed in what is configured, or in who holds what.
    Look,
    /// Notifications of these shards were committed.
    Queued(ShardSet),
    /// Somebody asked that subscriptions of these shards be reconciled.
    Reconcile(ShardSet),
}

impl<'a> Hint<'a> {
    pub(super) fn parse(word: &'a str) -> Option<Self> {
        let shards = |text| u64::from_str_radix(text, 16).ok().map(ShardSet::from_bits);
        match word.split_once('=') {
            None => (word == "look").then_some(Self::Look),
            Some(("queued", text)) => shards(text).map(Self::Queued),
            Some(("reconcile", text)) => shards(text).map(Self::Reconcile),
            Some(("due-any", text)) => shards(text).map(Self::DueAny),
            Some(("due", ids)) => Some(Self::Due(ids)),
            Some(_) => None,
        }
    }
}

impl Hints {
    pub(super) fn new(holdings: Holdings) -> Self {
        Self {
            holdings,
            waiting: Mutex::default(),
            wake: Notify::new(),
        }
    }

    /// Notifications of these shards were committed.
    pub(super) fn queued(&self, shards: ShardSet) {
        let foreign = shards.without(self.holdings.shards());
        if foreign.is_empty() {
            return;
        }
        let mut waiting = self.lock();
        waiting.queued = ShardSet::from_bits(waiting.queued.bits() | foreign.bits());
        self.wake.notify_one();
    }

    /// Somebody asked that subscriptions of these shards be reconciled.
    pub(super) fn reconcile(&self, shards: ShardSet) {
        let foreign = shards.without(self.holdings.shards());
        if foreign.is_empty() {
            return;
        }
        let mut waiting = self.lock();
        waiting.reconcile = ShardSet::from_bits(waiting.reconcile.bits() | foreign.bits());
        self.wake.notify_one();
    }

    /// Deliveries to these webhooks may have become due.
    pub(super) fn due(&self, webhooks: impl IntoIterator<Item = WebhookId>) {
        let held = self.holdings.shards();
        let mut waiting = self.lock();
        for webhook in webhooks {
            if !held.contains(Shard::of_webhook(webhook)) {
                waiting.due.insert(webhook);
                self.wake.notify_one();
            }
        }
    }

    /// Something changed in what is configured, or in who holds what.
    pub(super) fn look(&self) {
        self.lock().look = true;
        self.wake.notify_one();
    }

    fn take(&self) -> Option<String> {
        let Waiting {
            look,
            queued,
            due,
            reconcile,
        } = std::mem::take(&mut *self.lock());
        let mut message = String::new();
        // Writing into a text cannot fail.
        if look {
            message.push_str("look ");
        }
        if !queued.is_empty() {
            let _ = write!(message, "queued={:x} ", queued.bits());
        }
        if !reconcile.is_empty() {
            let _ = write!(message, "reconcile={:x} ", reconcile.bits());
        }
        if due.len() > MOST_NAMED {
            let shards: ShardSet = due.into_iter().map(Shard::of_webhook).collect();
            let _ = write!(message, "due-any={:x} ", shards.bits());
        } else if !due.is_empty() {
            message.push_str("due=");
            for webhook in due {
                let _ = write!(message, "{webhook},");
            }
        }
        (!message.is_empty()).then_some(message)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends hints until the store is closed.
pub(super) async fn send(shared: Arc<Shared>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = shared.hints.wake.notified() => {}
        }
        if let Some(message) = shared.hints.take()
            && let Err(error) = tell(&shared, &message).await
        {
            tracing::debug!(%error, "other nodes could not be told: they will look by themselves");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = shared.timer.sleep(PAUSE) => {}
        }
    }
}

async fn tell(shared: &Shared, message: &str) -> Result<(), crate::StoreError> {
    let lent = shared.pool.lend(Purpose::Work).await?;
    let told = lent
        .run(async |sql| {
            // Nothing is lost with a hint, so nobody waits for the disk.
            sqlx::query("SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, $2)")
                .bind(CHANNEL)
                .bind(message.trim_end())
                .execute(sql)
                .await?;
            Ok(())
        })
        .await;
    Ok(told?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_what_is_heard() {
        let clock = tidings_domain::clock::ManualClock::new(tidings_domain::Timestamp::default());
        let hints = Hints::new(Holdings::leased(Arc::new(clock)));
        let shards: ShardSet = Shard::all().take(3).collect();
        let ids: Vec<WebhookId> = "whk_01ARZ3NDEKTSV4RRFFQ69G5FAV"
            .parse()
            .into_iter()
            .collect();
        hints.look();
        hints.queued(shards);
        hints.reconcile(shards);
        hints.due(ids.iter().copied());
        let message = hints.take().unwrap();
        let heard: Vec<_> = message.split(' ').filter_map(Hint::parse).collect();
        let named = format!("{},", ids[0]);
        assert_eq!(
            heard,
            [
                Hint::Look,
                Hint::Queued(shards),
                Hint::Reconcile(shards),
                Hint::Due(&named)
            ]
        );
        assert_eq!(hints.take(), None);
        assert_eq!(Hint::parse("something-newer=1"), None);
    }

    #[test]
    fn nobody_is_told_of_what_this_node_works_on_itself() {
        let hints = Hints::new(Holdings::all());
        hints.queued(ShardSet::ALL);
        hints.reconcile(ShardSet::ALL);
        assert_eq!(hints.take(), None);
    }
}
