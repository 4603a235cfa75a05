//! A subscription as the directory holds it, and Graph's ids as look-ups compare them.

use tidings_domain::{
    ids::{ConnectionId, EnvironmentId, IntegrationId, SubscriptionId},
    resource::{ChangeTypes, ResourceKind},
    subscription::Subscription,
};
use tidings_graph::resource::SubscriptionPath;
use tidings_storage::{Store, record::KeyedHash};
use uuid::Uuid;

/// What every look-up needs to know of a subscription: small, since there may be 100,000, and without its clientState.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionEntry {
    /// Its id.
    pub id: SubscriptionId,
    /// Where it lives.
    pub environment: EnvironmentId,
    /// The integration of its connection.
    pub integration: IntegrationId,
    /// Whose consent serves it.
    pub connection: ConnectionId,
    /// Graph's id, once known.
    pub graph_id: Option<GraphId>,
    /// Graph's id of the one that was replaced: what Graph still has to deliver names it, for up to four hours by
    /// Microsoft's "change notifications delivery" page.
    pub former_graph_id: Option<GraphId>,
    /// The keyed hash of its clientState.
    pub client_state_hash: KeyedHash,
    /// What is watched, in canonical form.
    pub resource: Box<str>,
    /// The same, read; `None` if this version cannot read it.
    pub path: Option<Box<SubscriptionPath>>,
    /// The kind of what is watched.
    pub kind: ResourceKind,
    /// Which changes are wanted.
    pub change_types: ChangeTypes,
}

impl SubscriptionEntry {
    /// The entry for `subscription`, its clientState hashed with the key of `store`.
    pub fn new(subscription: &Subscription, store: &dyn Store) -> Self {
        Self {
            id: subscription.id,
            environment: subscription.environment,
            integration: subscription.integration,
            connection: subscription.connection,
            graph_id: subscription.graph_id.as_deref().map(GraphId::new),
            former_graph_id: subscription
                .former
                .as_ref()
                .map(|former| GraphId::new(&former.graph_id)),
            client_state_hash: store.hash_client_state(subscription.client_state.expose()),
            resource: subscription.resource.as_str().into(),
            path: SubscriptionPath::parse(&subscription.resource)
                .ok()
                .map(Box::new),
            kind: subscription.kind,
            change_types: subscription.change_types,
        }
    }
}

/// An id that Graph gave to a subscription: a GUID, whose letters mean the same in either case.
///
/// Microsoft promises a GUID; should it ever be something else, it is compared as text without case.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum GraphId {
    /// What it is.
    Guid(Uuid),
    /// What it might become.
    Other(Box<str>),
}

impl GraphId {
    /// Reads an id. Allocates nothing if it is a GUID.
    pub fn new(text: &str) -> Self {
        Uuid::try_parse(text).map_or_else(
            |_| Self::Other(text.to_ascii_lowercase().into()),
            Self::Guid,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_compare_without_case() {
        let lower = "7f105c7d-2dc5-4530-97cd-4e7ae6534c07";
        assert_eq!(GraphId::new(lower), GraphId::new(&lower.to_uppercase()));
        assert_eq!(GraphId::new("Not-A-GUID"), GraphId::new("not-a-guid"));
        assert_ne!(GraphId::new("a"), GraphId::new("b"));
    }
}
