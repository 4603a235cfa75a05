//! What other nodes did, and who on this one is to hear of it.
//!
//! A stage tells the next of new work by a [`Wake`]; where the next stage is on another node, the store carries the
//! hint there. Changes of what is configured come the same way. All of it is a hint: each stage also looks by itself.

use std::sync::Arc;

use tidings_storage::{Signal, Store};
use tokio_util::sync::CancellationToken;

use crate::{
    deliver::Hint,
    directory::{Change, Directory},
    metrics::NodesMetrics,
    wake::Wake,
};

/// Hears what other nodes did. Clones are the same.
#[derive(Clone, Debug)]
pub struct Signals {
    /// Says what they did.
    pub store: Arc<dyn Store>,
    /// Is brought up to date.
    pub directory: Arc<Directory>,
    /// Counts.
    pub metrics: NodesMetrics,
    /// Are woken.
    pub stages: Stages,
}

/// How the stages of this node are woken.
#[derive(Clone, Debug, Default)]
pub struct Stages {
    /// Notifications are in the queue.
    pub enrich: Wake,
    /// Other shards are held: for enrich.
    pub enrich_shards: Wake,
    /// Deliveries to certain webhooks may be due.
    pub deliver: Hint,
    /// Deliveries to any webhook may be due.
    pub deliver_any: Wake,
    /// Other shards are held: for deliver.
    pub deliver_shards: Wake,
    /// Subscriptions may be due, or others than before are ours.
    pub subscribe: Wake,
    /// Subscriptions may have to be reconciled, or others than before are ours.
    pub reconcile: Wake,
    /// Something else may be wanted of connections, or others than before are ours.
    pub connections: Wake,
    /// There may be policies or connections that are new or gone, or others than before are ours.
    pub policies: Wake,
}

impl Stages {
    /// What follows from a change that the directory now knows; `None` if anything may have changed.
    pub fn after(&self, change: Option<Change>) {
        match change {
            // It may have been enabled, or go elsewhere now.
            Some(Change::Webhook(id)) => self.deliver.webhooks([id]),
            // Somebody may wait for what Graph is to be asked.
            Some(Change::Subscription(_)) => self.subscribe.wake(),
            // Its credentials may work again, or something else is wanted of it.
            Some(Change::Connection(_)) => {
                self.subscribe.wake();
                self.reconcile.wake();
                self.policies.wake();
                self.connections.wake();
            }
            // Of a policy, and of the rows that it makes or removes, others hear as of a change of its integration.
            Some(Change::Integration(_)) => {
                self.policies.wake();
                self.subscribe.wake();
            }
            Some(Change::Environment(_)) => {}
            None => {
                self.deliver_any.wake();
                self.enrich.wake();
                self.subscribe.wake();
                self.reconcile.wake();
                self.policies.wake();
                self.connections.wake();
            }
        }
    }

    fn shards_changed(&self) {
        self.enrich_shards.wake();
        self.deliver_shards.wake();
        self.subscribe.wake();
        self.reconcile.wake();
        self.policies.wake();
        self.connections.wake();
    }
}

impl Signals {
    /// Hears and tells until `stop`.
    pub async fn run(&self, stop: &CancellationToken) {
        while let Some(signal) = stop.run_until_cancelled(self.store.next_signal()).await {
            self.metrics.signal(signal);
            if stop.run_until_cancelled(self.hear(signal)).await.is_none() {
                return;
            }
        }
    }

    async fn hear(&self, signal: Signal) {
        match signal {
            // What cannot be read yet is repeated by the directory, and told then.
            Signal::Changed(change) => {
                if self.directory.refresh(change).await.is_ok() {
                    self.stages.after(Some(change));
                }
            }
            Signal::ChangedSomehow => {
                if self.directory.reload().await.is_ok() {
                    self.stages.after(None);
                }
            }
            Signal::Due(Some(webhook)) => self.stages.deliver.webhooks([webhook]),
            Signal::Due(None) => self.stages.deliver_any.wake(),
            Signal::Queued => self.stages.enrich.wake(),
            Signal::Reconcile => self.stages.reconcile.wake(),
            Signal::Shards => self.stages.shards_changed(),
        }
    }
}

#[cfg(test)]
mod tests;
