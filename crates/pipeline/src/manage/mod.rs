//! What the management API's verbs do beyond a row in the store: the rules about what people configure.
//!
//! One file a noun. Every verb changes rows through the [`Directory`], so that what was answered holds.

use std::sync::Arc;

use tidings_domain::{Clock, Entropy, Ids, config::EgressConfig};
use tidings_graph::{CallError, GraphClient};
use tidings_storage::{Store, StoreError};
use url::Url;

use crate::{directory::Directory, wake::Wake};

pub mod address;
pub mod connection;
mod delivery;
pub mod environment;
mod first_start;
pub mod integration;
pub mod key;
pub mod policy;
pub mod webhook;

pub use address::Reach;
pub use connection::NewConnection;
pub use first_start::{FirstStartError, prepare};
pub use integration::NewIntegration;
pub use key::{KeyCache, NewKey};
pub use policy::{NewPolicy, PolicyScope};
pub use webhook::{NewWebhook, WebhookEdit};

/// The verbs. Share it in an [`Arc`].
#[derive(Debug)]
pub struct Manage {
    store: Arc<dyn Store>,
    directory: Arc<Directory>,
    graph: GraphClient,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    ids: Arc<Ids>,
    webhook_reach: Reach,
    graph_reach: Reach,
    public_url: Url,
    deliver: Wake,
    policies: Wake,
    connections: Wake,
    keys: KeyCache,
}

/// What [`Manage`] works with.
#[derive(Debug)]
pub struct ManageParts {
    /// Where rows go.
    pub store: Arc<dyn Store>,
    /// What is refreshed after each change.
    pub directory: Arc<Directory>,
    /// Signs in when a tenant is connected.
    pub graph: GraphClient,
    /// Dates rows.
    pub clock: Arc<dyn Clock>,
    /// Makes secrets.
    pub entropy: Arc<dyn Entropy>,
    /// Makes ids.
    pub ids: Arc<Ids>,
    /// Which addresses webhooks, sign-in and Graph may have.
    pub egress: EgressConfig,
    /// Under which URL Graph reaches this server.
    pub public_url: Url,
    /// Is woken when deliveries have become due.
    pub deliver: Wake,
    /// Is woken when there are policies or connections that are new.
    pub policies: Wake,
    /// Is woken when something else is wanted of connections.
    pub connections: Wake,
}

/// Why a verb did nothing.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ManageError {
    /// Something with the same name or key exists, or something still hangs on what is to be removed.
    #[error("{what} exists already")]
    Conflict {
        /// What exists.
        what: String,
    },
    /// Sign-in or Graph did not do what was asked.
    #[error("{0}")]
    Graph(#[source] CallError),
    /// A member of what was asked cannot be taken.
    #[error("{detail}")]
    Invalid {
        /// The member, as a JSON pointer (RFC 6901) into the request's body: `/tenant_id`.
        pointer: &'static str,
        /// What is wrong with it and what to do.
        detail: String,
    },
    /// Something that was named does not exist.
    #[error("{what} does not exist")]
    Missing {
        /// What does not exist.
        what: String,
    },
    /// The store could not do it.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for ManageError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict { what } => Self::Conflict { what },
            StoreError::Missing { what } => Self::Missing { what },
            other => Self::Store(other),
        }
    }
}

impl Manage {
    /// The verbs over these parts.
    pub fn new(parts: ManageParts) -> Self {
        let ManageParts {
            store,
            directory,
            graph,
            clock,
            entropy,
            ids,
            egress,
            public_url,
            deliver,
            policies,
            connections,
        } = parts;
        Self {
            store,
            directory,
            graph,
            clock,
            entropy,
            ids,
            webhook_reach: Reach::of_webhooks(&egress),
            graph_reach: Reach::of_graph(&egress),
            public_url,
            deliver,
            policies,
            connections,
            keys: KeyCache::default(),
        }
    }
}

fn invalid(pointer: &'static str, detail: impl Into<String>) -> ManageError {
    ManageError::Invalid {
        pointer,
        detail: detail.into(),
    }
}

#[cfg(test)]
mod tests;
