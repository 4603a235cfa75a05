//! API keys. A key of one environment sees those of its environment; one that spans all sees all, or those of the
//! environment that it names.

use serde::Serialize;
use tidings_domain::{
    Timestamp,
    ids::{EnvironmentId, KeyId},
    key::{ApiKey, Scope},
    page::{Page, PageLimit},
};
use tidings_pipeline::gateway::Gateway;

use super::access::Access;
use crate::problem::Problem;

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod list;

/// A key as it is shown.
#[derive(Debug, Serialize)]
pub(crate) struct KeyJson<'a> {
    id: KeyId,
    environment_id: Option<EnvironmentId>,
    name: &'a str,
    scope: Scope,
    prefix: &'a str,
    created_at: Timestamp,
    /// The key itself; only in the answer to its creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
}

impl<'a> From<&'a ApiKey> for KeyJson<'a> {
    fn from(key: &'a ApiKey) -> Self {
        Self {
            id: key.id,
            environment_id: key.environment,
            name: &key.name,
            scope: key.scope,
            prefix: &key.prefix,
            created_at: key.created_at,
            key: None,
        }
    }
}

/// The key with this id that the caller can see.
async fn find(gateway: &Gateway, access: &Access, id: KeyId) -> Result<ApiKey, Problem> {
    // The store has no verb for one key, and there are few.
    let limit = PageLimit::new(PageLimit::MAX).expect("invariant: the largest limit is one");
    let mut page = Page::first(limit);
    loop {
        let listing = gateway.store.keys(access.keys_of(), page).await?;
        if let Some(key) = listing.items.into_iter().find(|key| key.id == id) {
            return Ok(key);
        }
        match listing.next {
            Some(after) => {
                page = Page {
                    after: Some(after),
                    limit,
                }
            }
            None => return Err(Problem::not_found(format_args!("key `{id}`"))),
        }
    }
}
