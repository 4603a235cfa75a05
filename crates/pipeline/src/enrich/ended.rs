//! How a turn of an item ends: what it led to is recorded, or it is put off.

use std::time::Duration;

use futures_util::future::join_all;
use tidings_domain::{
    Timestamp,
    ids::WebhookId,
    shard::{Shard, ShardSet},
};
use tidings_storage::{
    Lease, StoreError,
    record::{Outcome, QueuedNotification, Seq},
};

use super::{EnrichParts, STORE_PAUSE, backlog::Work, breaker::Contact};
use crate::metrics::Stage;

/// The wait after the first failure; it doubles with each.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
/// The longest wait between two tries of an item.
const LONGEST_BACKOFF: Duration = Duration::from_mins(5);
/// The wait before an item is tried again that the store or the program cannot cope with. Somebody has to look.
pub(super) const MISHAP: Duration = Duration::from_mins(10);

/// How a turn ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// What it showed of the tenant's Graph.
    pub(super) graph: Contact,
    /// Others that were told with it and have left the queue.
    pub(super) merged: Vec<Seq>,
    pub(super) next: Next,
}

/// What follows a turn.
#[derive(Debug)]
pub(super) enum Next {
    /// Another node works on it now, or this one does under another lease.
    Lost,
    /// Another turn, with the data if it is worth keeping.
    Again {
        due_at: Timestamp,
        work: Option<Box<Work>>,
    },
    /// It has left the queue.
    Finished,
    /// It was held and is accepted now: it is in the queue as another item.
    Settled,
}

impl Ended {
    /// The turn ended in a panic.
    pub(super) fn panicked(now: Timestamp) -> Self {
        again(Contact::NotAsked, now + MISHAP)
    }
}

/// The item is tried again, the later the more often it failed.
pub(super) async fn postponed(
    parts: &EnrichParts,
    work: &Work,
    retry_after: Option<Duration>,
    graph: Contact,
) -> Ended {
    let (seq, lease) = (work.queued.seq, work.queued.lease);
    let step = FIRST_BACKOFF
        .saturating_mul(1 << work.queued.failures.min(16))
        .min(LONGEST_BACKOFF);
    let jittered = step.mul_f64(0.8 + 0.4 * parts.entropy.fraction());
    let due_at = parts.clock.now() + jittered.max(retry_after.unwrap_or_default());
    put_off(parts, seq, lease, due_at).await;
    again(graph, due_at)
}

/// Records what an item and those that are told with it lead to: what they do is the last one's, and once that is
/// recorded the others leave the queue.
pub(super) async fn finish_all(
    parts: &EnrichParts,
    work: &Work,
    outcome: Outcome,
    graph: Contact,
) -> Ended {
    let last = work.last();
    let ended = finish(parts, last.seq, last.lease, outcome, graph).await;
    if work.merged.is_empty() || !matches!(ended.next, Next::Finished) {
        return ended;
    }
    let finish = |one: &QueuedNotification| {
        let (seq, lease) = (one.seq, one.lease);
        async move {
            match parts
                .store
                .finish_notification(seq, lease, Outcome::default())
                .await
            {
                Ok(_) => return Some(seq),
                Err(StoreError::Fenced { .. }) => parts.fence.refuse(lease, Stage::Enrich),
                Err(error) => {
                    tracing::debug!(seq = seq.0, %error, "a merged notification stays in the queue");
                }
            }
            None
        }
    };
    let ended = join_all(work.all_but_last().map(finish)).await;
    let mut merged: Vec<Seq> = ended.into_iter().flatten().collect();
    parts.metrics.merged(merged.len() as u64);
    let head = work.queued.seq;
    let head_ended = merged.contains(&head);
    merged.retain(|&seq| seq != head);
    merged.push(last.seq);
    let next = if head_ended {
        Next::Finished
    } else {
        // It leads to one more event, of the same state or a later one.
        Next::Again {
            due_at: parts.clock.now() + STORE_PAUSE,
            work: None,
        }
    };
    Ended {
        graph,
        merged,
        next,
    }
}

pub(super) async fn finish(
    parts: &EnrichParts,
    seq: Seq,
    lease: Lease,
    outcome: Outcome,
    graph: Contact,
) -> Ended {
    // The store tells other nodes of theirs.
    let held = parts.fence.held();
    let webhooks: Vec<WebhookId> = outcome
        .events
        .iter()
        .flat_map(|new| &new.deliveries)
        .map(|delivery| delivery.webhook)
        .filter(|&webhook| held == ShardSet::ALL || held.contains(Shard::of_webhook(webhook)))
        .collect();
    let count = outcome.events.len() as u64;
    let asks = outcome.reconcile.is_some();
    // A hint that is given for nothing does no harm.
    let _seen_to = outcome.lifecycle.map(|_| parts.subscribe.at_the_end());
    match parts.store.finish_notification(seq, lease, outcome).await {
        Ok(new) => {
            if new {
                parts.metrics.events(count);
            }
            if asks {
                parts.reconcile.wake();
            }
            // What is not new may have been stored by a turn that did not hear of it.
            parts.deliver.webhooks(webhooks);
            finished(graph)
        }
        Err(StoreError::Fenced { .. }) => {
            parts.fence.refuse(lease, Stage::Enrich);
            lost(graph)
        }
        Err(error) => {
            let now = parts.clock.now();
            if error.is_in_doubt() {
                // If it is stored after all, the next turn finds nothing in the queue, and nobody to tell of it.
                parts.deliver.webhooks(webhooks);
            }
            if error.is_transient() {
                tracing::debug!(seq = seq.0, %error, "an event could not be stored: it is tried again");
                return again(graph, now + STORE_PAUSE);
            }
            if matches!(error, StoreError::Missing { .. }) && count > 0 {
                // The connection was removed meanwhile: what it would have told goes with it.
                return Box::pin(finish(parts, seq, lease, Outcome::default(), graph)).await;
            }
            tracing::error!(seq = seq.0, %error, "an event cannot be stored: it is tried again later");
            put_off(parts, seq, lease, now + MISHAP).await;
            again(graph, now + MISHAP)
        }
    }
}

/// Records that an item is put off. Should that fail, it only comes back earlier after a restart.
pub(super) async fn put_off(parts: &EnrichParts, seq: Seq, lease: Lease, due_at: Timestamp) {
    match parts.store.postpone_notification(seq, lease, due_at).await {
        Ok(()) => {}
        Err(StoreError::Fenced { .. }) => parts.fence.refuse(lease, Stage::Enrich),
        Err(error) => {
            tracing::warn!(seq = seq.0, %error, "it could not be recorded that a notification is put off");
        }
    }
}

pub(super) fn lost(graph: Contact) -> Ended {
    Ended {
        graph,
        merged: Vec::new(),
        next: Next::Lost,
    }
}

pub(super) fn finished(graph: Contact) -> Ended {
    Ended {
        graph,
        merged: Vec::new(),
        next: Next::Finished,
    }
}

pub(super) fn again(graph: Contact, due_at: Timestamp) -> Ended {
    Ended {
        graph,
        merged: Vec::new(),
        next: Next::Again { due_at, work: None },
    }
}
