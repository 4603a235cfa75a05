//! Policies: keeping the rows of subscriptions that are wished of many users or teams.
//!
//! A policy names what is watched of whom: `users/{user}/events`. With each connection that it holds for it is expanded:
//! Graph is asked who there is, then again and again who has come and gone. Each answer is recorded with the rows that it
//! makes and those that it has removed, and with the link that follows. From there on the rows are like any other, and the
//! subscribe stage sees to them.
//!
//! | module | holds |
//! | --- | --- |
//! | `expand` | one policy with one connection: who there is, page by page |
//! | `member` | who of them is watched |
//! | `wish` | the row for one of them |
//! | `schedule` | when Graph is asked next |

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures_util::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};
use tidings_domain::{
    Clock, Entropy, Ids,
    clock::within,
    config::PolicyConfig,
    ids::{ConnectionId, PolicyId},
};
use tidings_graph::client::GraphClient;
use tidings_storage::{Store, StoreError, record::DueExpansion};
use tokio_util::sync::CancellationToken;

use crate::{
    credentials::Credentials, directory::Directory, fence::Fence, metrics::Stage, wake::Wake,
};

mod expand;
mod member;
mod schedule;
mod wish;

#[cfg(test)]
mod tests;

/// The pause after the store could not be read, and the shortest between two looks at it.
const PAUSE: Duration = Duration::from_secs(1);
/// A loop that was not woken looks by itself this often: the time of day may have jumped, or another node may have made
/// a policy or a connection.
const LOOK_ANYWAY: Duration = Duration::from_mins(1);
/// How long a stop waits for what is under way. It goes on at the next start where it was.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Keeps the rows that policies wish for. Clones are the same stage.
#[derive(Clone, Debug)]
pub struct Policies {
    parts: Arc<PolicyParts>,
}

/// What [`Policies`] works with.
#[derive(Debug)]
pub struct PolicyParts {
    /// Where policies and rows are.
    pub store: Arc<dyn Store>,
    /// Whose they are.
    pub directory: Arc<Directory>,
    /// Asks Graph. Its time limit is replaced by the configured one.
    pub graph: GraphClient,
    /// Its time.
    pub clock: Arc<dyn Clock>,
    /// Makes clientStates.
    pub entropy: Arc<dyn Entropy>,
    /// Makes ids.
    pub ids: Arc<Ids>,
    /// Its limits.
    pub config: PolicyConfig,
    /// Wakes it: a policy or a connection is new, or has gone.
    pub wake: Wake,
    /// Is told of rows that are to be seen to.
    pub subscribe: Wake,
    /// Tells its connections from those of other nodes.
    pub fence: Fence,
    /// Records what calls show of credentials.
    pub credentials: Credentials,
}

/// What is expanded once at a time.
type Key = (PolicyId, ConnectionId);
type Running = std::pin::Pin<Box<dyn Future<Output = Key> + Send>>;

impl Policies {
    /// A stage made of these parts.
    pub fn new(parts: PolicyParts) -> Self {
        let graph = parts.graph.with_timeout(parts.config.timeout.0);
        Self {
            parts: Arc::new(PolicyParts { graph, ..parts }),
        }
    }

    /// Expands what is due until `stop`.
    pub async fn run(&self, stop: &CancellationToken) {
        let mut running: FuturesUnordered<Running> = FuturesUnordered::new();
        let mut busy = HashSet::new();
        // Whether there may be policies or connections that are new to each other.
        let mut news = true;
        loop {
            let wait = match self.begin(&mut running, &mut busy, news).await {
                Ok(wait) => {
                    news = false;
                    wait
                }
                Err(error) => {
                    tracing::warn!(%error, "policies cannot be read: it is tried again");
                    PAUSE
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                Some(key) = running.next(), if !running.is_empty() => {
                    busy.remove(&key);
                }
                () = self.parts.wake.wait() => news = true,
                () = self.parts.clock.sleep(wait) => news = true,
            }
            while let Some(Some(key)) = running.next().now_or_never() {
                busy.remove(&key);
            }
        }
        let rest = async { while running.next().await.is_some() {} };
        let _ = within(&*self.parts.clock, LAST_WORDS, rest).await;
    }

    /// Begins with as many as may be under way, and says how long to wait for the next.
    async fn begin(
        &self,
        running: &mut FuturesUnordered<Running>,
        busy: &mut HashSet<Key>,
        news: bool,
    ) -> Result<Duration, StoreError> {
        let parts = &self.parts;
        let now = parts.clock.now();
        if news {
            parts.store.make_expansions(now).await?;
        }
        let most = parts.config.concurrency.max(1);
        if busy.len() >= most {
            // Whatever ends makes room.
            return Ok(LOOK_ANYWAY);
        }
        // Those under way are still due in the store.
        let limit = u32::try_from(busy.len() + most).unwrap_or(u32::MAX);
        for due in parts.store.due_expansions(now, limit).await? {
            let key = (due.expansion.policy, due.expansion.connection);
            if busy.len() < most && busy.insert(key) {
                running.push(self.turn(due, key));
            }
        }
        let next = parts.store.next_due_expansion().await?;
        let wait = next.map_or(LOOK_ANYWAY, |due_at| now.until(due_at));
        Ok(wait.clamp(PAUSE, LOOK_ANYWAY))
    }

    fn turn(&self, due: DueExpansion, key: Key) -> Running {
        let this = self.clone();
        Box::pin(async move {
            let lease = due.lease;
            let turn = std::panic::AssertUnwindSafe(expand::turn(&this.parts, due)).catch_unwind();
            let problem = match turn.await {
                Ok(Err(StoreError::Fenced { .. })) => {
                    this.parts.fence.refuse(lease, Stage::Policy);
                    return key;
                }
                // Missing: it was removed meanwhile, or its connection was.
                Ok(Ok(()) | Err(StoreError::Missing { .. })) => return key,
                Ok(Err(error)) => error.to_string(),
                Err(_) => "an error in the program".to_owned(),
            };
            tracing::error!(policy.id = %key.0, connection.id = %key.1, problem, "a policy could not be expanded");
            // It is as due as before: without a pause it would be tried again at once.
            this.parts.clock.sleep(PAUSE * 10).await;
            key
        })
    }
}
