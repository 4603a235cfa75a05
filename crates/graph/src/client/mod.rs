//! A client for the calls that Tidings makes.
//!
//! | module | holds |
//! | --- | --- |
//! | `call` | one exchange with Graph |
//! | `ids` | which ids Outlook's items are named by |
//! | `token` | sign-in, tokens kept and refreshed early |
//! | `subscriptions` | the calls about subscriptions |
//! | `fetch` | getting one item |
//! | `batch` | many calls in one |
//! | `delta` | pages of delta queries |
//! | `list` | lists, page by page |
//! | `link` | links to what follows, of the same host only |

use std::{fmt, sync::Arc, time::Duration};

use tidings_domain::{Clock, Entropy, Secret, ids::IntegrationId};
use tidings_egress::Egress;
use url::Url;

mod batch;
mod call;
mod delta;
mod fetch;
mod ids;
mod link;
mod list;
mod subscriptions;
mod token;

#[cfg(test)]
mod tests;

pub use batch::{MAX_PARTS, Part, PartAnswer};
pub use delta::{DeltaAt, DeltaError, DeltaPage, Next};
pub use fetch::Fetched;
pub use ids::IdType;
pub use link::{DeltaLink, ForeignLink};
pub use list::{ListAt, ListPage};
pub use token::Token;

use call::{Call, below, json, unreadable};

/// The most of an answer about subscriptions that is read. A page of them has some 100 KB.
const ANSWER_CAP: usize = 4 * 1024 * 1024;

/// What a call is made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The integration: tokens are kept per integration and tenant.
    pub integration: IntegrationId,
    /// The tenant: a GUID or a domain.
    pub tenant: String,
    /// The app registration's id.
    pub client_id: String,
    /// The app registration's secret.
    pub client_secret: Secret,
    /// Where tokens come from, without a path.
    pub login_url: Url,
    /// Where Graph is, without a version.
    pub graph_url: Url,
}

/// Calls Graph. Cheap to clone; tokens are shared.
#[derive(Clone)]
pub struct GraphClient {
    inner: Arc<Inner>,
    timeout: Duration,
    ids: IdType,
}

struct Inner {
    egress: Egress,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    tokens: token::Cache,
}

impl fmt::Debug for GraphClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GraphClient")
            .field("timeout", &self.timeout)
            .field("ids", &self.ids)
            .finish_non_exhaustive()
    }
}

impl GraphClient {
    /// A client whose every call ends within `timeout`.
    pub fn new(
        egress: Egress,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        timeout: Duration,
    ) -> Self {
        let inner = Inner {
            egress,
            clock,
            entropy,
            tokens: token::Cache::default(),
        };
        Self {
            inner: Arc::new(inner),
            timeout,
            ids: IdType::Default,
        }
    }

    /// The same client, tokens included, with another time limit.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self {
            timeout,
            ..self.clone()
        }
    }

    /// The same client, tokens included, that asks for ids of this type with every call.
    #[must_use]
    pub fn with_ids(&self, ids: IdType) -> Self {
        Self {
            ids,
            ..self.clone()
        }
    }
}
