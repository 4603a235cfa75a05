//! Taking notifications: split a POST into its items, give each its verdict, commit them, and only then answer.
//!
//! | module | holds |
//! | --- | --- |
//! | [`verdict`] | what is made of one notification |
//! | [`dedup`] | what tells a change from every other |
//! | [`held`] | the verdict of what had to wait for its subscription |
//! | [`shard`] | which node is to work on it |
//! | `room` | how much may wait |
//! | `items` | how many items one POST may have |
//! | `excerpt` | what is kept of what was rejected |

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tidings_domain::{
    Clock, Ids, Timestamp,
    clock::within,
    ids::EnvironmentId,
    integration::Integration,
    notification::{Notification, Origin, Verdict},
};
use tidings_graph::wire::notification::{Item, parse_collection, without_client_state};
use tidings_storage::{
    Holdings, Store, StoreError,
    record::{KeyedHash, NewNotification},
};

use crate::{
    directory::{Directory, Tables},
    metrics::IngestMetrics,
    wake::Wake,
};

pub mod dedup;
mod excerpt;
pub mod held;
mod items;
mod room;
pub mod shard;
pub mod verdict;

use room::HoldingRoom;
use verdict::Judgement;

/// How many rejected items of one POST are kept; of the others only the number is.
const KEPT_REJECTED: usize = 100;
/// How long an answer waits for the commit. Graph counts answers over 3 s as slow (Microsoft's "Receive change
/// notifications through webhooks" page), and a quick 503 beats a slow 202: what was committed after all comes again as
/// a duplicate.
const COMMIT_WAIT: Duration = Duration::from_millis(2_500);
/// How long an answer then waits for rejected items to be written. They are kept if there is room, not at any price.
const REJECTED_WAIT: Duration = Duration::from_millis(250);

/// Takes notifications. Share it in an [`Arc`].
#[derive(Debug)]
pub struct Ingest {
    store: Arc<dyn Store>,
    directory: Arc<Directory>,
    clock: Arc<dyn Clock>,
    ids: Arc<Ids>,
    metrics: IngestMetrics,
    enrich: Wake,
    holdings: Holdings,
    hold: Duration,
    room: HoldingRoom,
}

/// What became of a POST: it is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The verdict of each of its items, in their order.
    pub verdicts: Vec<Verdict>,
}

/// Why a POST was not taken. Nothing of it leads to an event.
#[derive(Clone, Debug, thiserror::Error)]
pub enum IngestError {
    /// The store does not take it now. Whoever sent it is to send it again.
    #[error("notifications cannot be stored now: {0}")]
    Busy(#[source] StoreError),
    /// It is no collection of notifications.
    #[error("{detail}")]
    Malformed {
        /// What is wrong with it.
        detail: String,
    },
    /// It has more items than any POST of Graph's.
    #[error("the body has more than {} notifications", items::MOST)]
    TooMany,
    /// There is no such environment, or no such integration in it.
    #[error("there is no such environment or integration")]
    UnknownDestination,
}

impl Ingest {
    /// Takes notifications into `store` and wakes `enrich` for them. What fits nothing waits for `hold`.
    pub fn new(
        store: Arc<dyn Store>,
        directory: Arc<Directory>,
        clock: Arc<dyn Clock>,
        ids: Arc<Ids>,
        metrics: IngestMetrics,
        enrich: Wake,
        hold: Duration,
    ) -> Self {
        Self {
            holdings: store.holdings(),
            store,
            directory,
            clock,
            ids,
            metrics,
            enrich,
            hold,
            room: HoldingRoom::new(hold),
        }
    }

    /// Takes the POST with `body` that came to the notification URL of `key` in `environment`.
    ///
    /// `Ok` means that everything of it that leads to an event is on disk.
    pub async fn receive(
        &self,
        environment: EnvironmentId,
        key: &str,
        body: Bytes,
    ) -> Result<Receipt, IngestError> {
        let integration = self
            .directory
            .integration(environment, key)
            .ok_or(IngestError::UnknownDestination)?;
        if items::too_many(&body) {
            self.record_malformed(&integration, &body).await;
            return Err(IngestError::TooMany);
        }
        match self.sort(&integration, &body) {
            Ok(sorted) => self.record(sorted).await,
            Err(detail) => {
                self.record_malformed(&integration, &body).await;
                Err(IngestError::Malformed { detail })
            }
        }
    }

    /// Judges the items of `body`. Everything that borrows from the body ends here, before the wait for the store.
    fn sort(&self, integration: &Integration, body: &[u8]) -> Result<Sorted, String> {
        let items = parse_collection(body).map_err(|error| error.to_string())?;
        let now = self.clock.now();
        let mut sorted = Sorted::with_capacity(items.len());
        let mut hashes = LastHash::default();
        let tables = self.directory.tables();
        for item in &items {
            let hash = hashes.of(&*self.store, item);
            self.sort_item(&tables, integration, item, hash, now, &mut sorted);
        }
        Ok(sorted)
    }

    fn sort_item(
        &self,
        tables: &Tables,
        integration: &Integration,
        item: &Item<'_>,
        hash: Option<KeyedHash>,
        now: Timestamp,
        sorted: &mut Sorted,
    ) {
        let raw = item.raw.get().as_bytes();
        let Ok(said) = &item.parsed else {
            sorted.reject(Verdict::Malformed, || {
                let mut kept = self.blank(integration, now);
                kept.item = excerpt::of_item(without_client_state(raw));
                kept
            });
            return;
        };
        let mut judgement = verdict::judge(tables, integration, said, hash);
        if judgement.verdict == Verdict::Held
            && !self
                .room
                .take(integration.id, raw.len(), self.clock.monotonic())
        {
            judgement.verdict = Verdict::UnknownSubscription;
        }
        let Judgement {
            verdict,
            connection,
            subscription,
            resource,
        } = judgement;
        let rejected = verdict.is_rejection();
        let make = || {
            let text = |text: &str| {
                if rejected {
                    excerpt::of_text(text)
                } else {
                    text.to_owned()
                }
            };
            let item = without_client_state(raw);
            Notification {
                verdict,
                connection,
                subscription,
                graph_subscription_id: Some(text(&said.subscription_id)),
                tenant_id: said.tenant_id,
                change_type: said.change_type,
                lifecycle_event: said.lifecycle_event,
                resource: resource
                    .unwrap_or_else(|| text(said.resource.as_deref().unwrap_or_default())),
                etag: said
                    .resource_data
                    .as_ref()
                    .and_then(|data| data.etag.as_deref())
                    .map(text),
                item: if rejected {
                    excerpt::of_item(item)
                } else {
                    item
                },
                ..self.blank(integration, now)
            }
        };
        if rejected {
            sorted.reject(verdict, make);
            return;
        }
        let notification = make();
        let held = verdict == Verdict::Held;
        let dedup_key = if held {
            None
        } else {
            dedup::key(subscription, &notification.resource, said)
        };
        sorted.accept(NewNotification {
            shard: shard::of(&notification),
            notification,
            dedup_key,
            client_state_hash: hash.filter(|_| held),
            due_at: if held { now + self.hold } else { now },
        });
    }

    async fn record(&self, sorted: Sorted) -> Result<Receipt, IngestError> {
        let Sorted {
            mut verdicts,
            accepted,
            places,
            rejected,
        } = sorted;
        if !accepted.is_empty() {
            // A hint that comes too early, or for nothing, does no harm; one that is missing, because whoever waited
            // for the answer has gone away meanwhile, would.
            // Where it is all for other nodes, the store tells them.
            let held = self.holdings.shards();
            let ours = accepted.iter().any(|new| held.contains(new.shard));
            let _wakes_at_the_end = ours.then(|| self.enrich.at_the_end());
            let commit = self.store.record_notifications(accepted);
            let given = within(&*self.clock, COMMIT_WAIT, commit)
                .await
                .unwrap_or(Err(StoreError::Overloaded))
                .map_err(IngestError::Busy)?;
            for (place, verdict) in places.into_iter().zip(given) {
                verdicts[place] = verdict;
            }
        }
        for &verdict in &verdicts {
            self.metrics.verdict(verdict);
        }
        self.record_rejected(rejected).await;
        Ok(Receipt { verdicts })
    }

    async fn record_malformed(&self, integration: &Integration, body: &[u8]) {
        self.metrics.verdict(Verdict::Malformed);
        let mut kept = self.blank(integration, self.clock.now());
        kept.item = excerpt::of_bytes(&without_client_state(body));
        self.record_rejected(vec![kept]).await;
    }

    /// Keeps rejected notifications if there is room. Whether that works changes nothing for whoever sent them.
    async fn record_rejected(&self, rejected: Vec<Notification>) {
        if rejected.is_empty() {
            return;
        }
        match within(
            &*self.clock,
            REJECTED_WAIT,
            self.store.record_rejected(rejected),
        )
        .await
        {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::debug!(%error, "rejected notifications were counted, not kept");
            }
            Err(_) => tracing::debug!(
                "rejected notifications were counted, and may not be kept: the store is slow"
            ),
        }
    }

    /// A malformed notification of which nothing is known.
    fn blank(&self, integration: &Integration, now: Timestamp) -> Notification {
        Notification {
            id: self.ids.next(),
            environment: integration.environment,
            integration: integration.id,
            origin: Origin::Notification,
            received_at: now,
            verdict: Verdict::Malformed,
            connection: None,
            subscription: None,
            graph_subscription_id: None,
            tenant_id: None,
            change_type: None,
            lifecycle_event: None,
            resource: String::new(),
            etag: None,
            item: Bytes::new(),
        }
    }
}

/// The items of a POST, by what is to be done with them.
struct Sorted {
    verdicts: Vec<Verdict>,
    accepted: Vec<NewNotification>,
    /// Where in `verdicts` each of `accepted` stands.
    places: Vec<usize>,
    rejected: Vec<Notification>,
}

impl Sorted {
    fn with_capacity(items: usize) -> Self {
        Self {
            verdicts: Vec::with_capacity(items),
            accepted: Vec::with_capacity(items),
            places: Vec::with_capacity(items),
            rejected: Vec::new(),
        }
    }

    fn accept(&mut self, notification: NewNotification) {
        self.places.push(self.verdicts.len());
        self.verdicts.push(notification.notification.verdict);
        self.accepted.push(notification);
    }

    fn reject(&mut self, verdict: Verdict, make: impl FnOnce() -> Notification) {
        self.verdicts.push(verdict);
        if self.rejected.len() < KEPT_REJECTED {
            self.rejected.push(make());
        }
    }
}

/// The items of one POST mostly carry one clientState: it is hashed once.
#[derive(Default)]
struct LastHash<'a> {
    last: Option<(&'a str, KeyedHash)>,
}

impl<'a> LastHash<'a> {
    fn of(&mut self, store: &dyn Store, item: &'a Item<'_>) -> Option<KeyedHash> {
        let client_state = item.parsed.as_ref().ok()?.client_state.as_deref()?;
        if let Some((last, hash)) = self.last
            && last == client_state
        {
            return Some(hash);
        }
        let hash = store.hash_client_state(client_state);
        self.last = Some((client_state, hash));
        Some(hash)
    }
}

#[cfg(test)]
mod tests;
