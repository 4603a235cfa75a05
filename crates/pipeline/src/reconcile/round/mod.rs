//! One subscription, from where its round is to the end of it.
//!
//! Each page is recorded with what it led to, so that a round goes on where it was cut off.
//!
//! | module | holds |
//! | --- | --- |
//! | `delta` | delta queries, page by page, one after the other where there are folders |
//! | `whole` | what Graph gives all at once |
//! | `record` | what a part of an enumeration leads to |
//! | `scope` | how far a part of what is watched is |

use std::{collections::HashMap, sync::Arc};

use tidings_domain::{
    connection::Connection,
    notification::Origin,
    reconcile::{Reconcile, ReconcileReason, ReconcileScope},
    subscription::Subscription,
};
use tidings_graph::{
    CallError,
    client::Access,
    resource::{Enumeration, SubscriptionPath},
};
use tidings_storage::{Lease, StoreError};

use super::ReconcileParts;
use crate::manage::connection::access;

mod delta;
mod record;
mod scope;
mod whole;

/// The largest page that is read, in bytes. Of full mail messages with large bodies few fit.
const PAGE_CAP: usize = 32 << 20;

/// Why a round does not go on now.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stopped {
    /// Graph.
    #[error(transparent)]
    Graph(#[from] CallError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The shard is another node's.
    #[error("another node works on it now")]
    Lost,
    /// Somebody has wished the subscription away, or what it belongs to is not known yet.
    #[error("the subscription or its connection is not there")]
    Gone,
}

/// What a round works with.
pub(super) struct Round<'a> {
    parts: &'a ReconcileParts,
    subscription: Subscription,
    connection: Arc<Connection>,
    access: Access,
    path: SubscriptionPath,
    lease: Lease,
    /// What is there was there before everything.
    baseline: bool,
    origin: Origin,
    scopes: HashMap<String, ReconcileScope>,
    /// What the round has found.
    pub(super) finds: u64,
}

impl<'a> Round<'a> {
    pub(super) async fn new(
        parts: &'a ReconcileParts,
        state: &Reconcile,
        lease: Lease,
    ) -> Result<Self, Stopped> {
        let id = state.subscription;
        let subscription = parts.store.subscription(id).await?.ok_or(Stopped::Gone)?;
        let connection = parts
            .directory
            .connection(subscription.connection)
            .ok_or(Stopped::Gone)?;
        let integration = parts
            .directory
            .integration_by_id(subscription.integration)
            .ok_or(Stopped::Gone)?;
        let path = SubscriptionPath::parse(&subscription.resource).map_err(|_| Stopped::Gone)?;
        let scopes = parts.store.reconcile_scopes(id).await?;
        Ok(Self {
            parts,
            access: access(&integration, connection.tenant_id.to_string()),
            subscription,
            connection,
            path,
            lease,
            baseline: state.finished_at.is_none() && !state.deliver_existing,
            origin: match state.reason {
                _ if state.finished_at.is_none() && state.deliver_existing => Origin::Existing,
                ReconcileReason::Notified => Origin::Unnamed,
                _ => Origin::Reconcile,
            },
            scopes: scopes
                .into_iter()
                .map(|scope| (scope.name.clone(), scope))
                .collect(),
            finds: 0,
        })
    }

    /// Goes on to the end of the round. Gives the scopes that exist no more.
    pub(super) async fn run(&mut self) -> Result<Vec<String>, Stopped> {
        match self.path.enumeration() {
            Enumeration::Delta(request) => self.delta(String::new(), None, |_| request).await?,
            Enumeration::DeltaInWindow(request) => {
                let window = self.window();
                let first = move |(start, end)| request.within(start, end);
                self.delta(String::new(), Some(window), move |window| {
                    first(window.unwrap_or_default())
                })
                .await?;
            }
            Enumeration::DeltaPerMailFolder(folders) => return self.mail_folders(&folders).await,
            Enumeration::Listing(request) => self.listing(&request).await?,
            Enumeration::Single(item) => self.single(&item).await?,
            Enumeration::None { .. } => {}
        }
        Ok(Vec::new())
    }

    /// Between two calls: whether this node is still to make them.
    fn may_go_on(&self) -> Result<(), Stopped> {
        if self.parts.fence.allows(self.lease) {
            Ok(())
        } else {
            Err(Stopped::Lost)
        }
    }

    async fn noted<T>(&self, answer: Result<T, CallError>) -> Result<T, Stopped> {
        self.note(answer.as_ref().err()).await;
        Ok(answer?)
    }

    async fn noted_error(&self, error: CallError) -> Stopped {
        self.note(Some(&error)).await;
        error.into()
    }

    async fn note(&self, error: Option<&CallError>) {
        self.parts.credentials.note(&self.connection, error).await;
    }
}
