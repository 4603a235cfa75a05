//! What is made of one notification: a pure function over what is configured.
//!
//! Nothing is believed that does not pass subscription, clientState and tenant together. What fits nothing yet is
//! held, since a notification may come before Graph's answer to the call that made its subscription has been read.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use tidings_domain::{
    ids::{ConnectionId, SubscriptionId},
    integration::Integration,
    notification::Verdict,
};
use tidings_graph::{resource::ItemPath, wire::notification::ChangeNotification};
use tidings_storage::record::KeyedHash;
use uuid::Uuid;

use crate::directory::{GraphId, SubscriptionEntry, Tables};

/// A verdict and what it was matched to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// What was made of it.
    pub verdict: Verdict,
    /// The connection whose data it is about.
    pub connection: Option<ConnectionId>,
    /// The subscription of ours; `None` for those made by hand.
    pub subscription: Option<SubscriptionId>,
    /// The item's path in canonical form, where it can be read.
    pub resource: Option<String>,
}

impl Judgement {
    fn rejected(verdict: Verdict) -> Self {
        Self {
            verdict,
            connection: None,
            subscription: None,
            resource: None,
        }
    }
}

/// Judges a notification that came to the URL of `integration`, with the keyed hash of its clientState.
///
/// It never says `Duplicate`: the store tells that, in the transaction that accepts.
pub fn judge(
    tables: &Tables,
    integration: &Integration,
    notification: &ChangeNotification<'_>,
    client_state: Option<KeyedHash>,
) -> Judgement {
    let by_id = tables.subscription_by_graph_id(&GraphId::new(&notification.subscription_id));
    if let Some(entry) = by_id {
        return judge_managed(tables, integration, notification, client_state, entry);
    }
    let Some(client_state) = client_state else {
        return Judgement::rejected(Verdict::UnknownSubscription);
    };
    if let Some(entry) = tables.subscription_by_client_state(client_state) {
        return judge_managed(tables, integration, notification, Some(client_state), entry);
    }
    let by_hand = tables.webhook_secret_hash(integration.id);
    if by_hand.is_some_and(|secret| same(secret, client_state)) {
        return judge_made_by_hand(tables, integration, notification);
    }
    let readable = notification
        .resource
        .as_deref()
        .is_some_and(|resource| ItemPath::parse(resource).is_ok());
    if notification.change_type.is_some() && !readable {
        return Judgement::rejected(Verdict::Malformed);
    }
    Judgement::rejected(Verdict::Held)
}

/// The subscription is one of ours.
fn judge_managed(
    tables: &Tables,
    integration: &Integration,
    notification: &ChangeNotification<'_>,
    client_state: Option<KeyedHash>,
    entry: &SubscriptionEntry,
) -> Judgement {
    if entry.integration != integration.id {
        // Whose it is must not be told to whoever knows the URL of another integration.
        return Judgement::rejected(Verdict::UnknownSubscription);
    }
    let matched = |verdict, resource| Judgement {
        verdict,
        connection: Some(entry.connection),
        subscription: Some(entry.id),
        resource,
    };
    if !client_state.is_some_and(|sent| same(sent, entry.client_state_hash)) {
        return matched(Verdict::WrongClientState, None);
    }
    let Some(connection) = tables.connection(entry.connection) else {
        return Judgement::rejected(Verdict::UnknownSubscription);
    };
    // Graph always names the tenant ("changeNotification resource type": required), so that none is a wrong one.
    if notification.tenant_id != Some(connection.tenant_id) {
        return matched(Verdict::WrongTenant, None);
    }
    if notification.lifecycle_event.is_some() {
        // Lifecycle notifications often name no resource; theirs is the subscription's.
        return matched(Verdict::Accepted, Some(entry.resource.to_string()));
    }
    let path = read_path(notification, connection.tenant_id).filter(|path| {
        entry
            .path
            .as_ref()
            .is_some_and(|watched| path.is_under(watched))
    });
    match path {
        Some(path) => matched(Verdict::Accepted, Some(path.canonical().to_owned())),
        None => matched(Verdict::Malformed, None),
    }
}

/// The clientState is the one for subscriptions made by hand, which all tenants of the integration share: what comes
/// of it is only a look at Graph.
fn judge_made_by_hand(
    tables: &Tables,
    integration: &Integration,
    notification: &ChangeNotification<'_>,
) -> Judgement {
    let connection = notification
        .tenant_id
        .and_then(|tenant| tables.connection_for_tenant(integration.id, tenant));
    let Some(connection) = connection else {
        return Judgement::rejected(Verdict::WrongTenant);
    };
    let matched = |verdict, resource| Judgement {
        verdict,
        connection: Some(connection.id),
        subscription: None,
        resource,
    };
    match read_path(notification, connection.tenant_id) {
        Some(path) => matched(Verdict::Accepted, Some(path.canonical().to_owned())),
        None if notification.lifecycle_event.is_some() => matched(Verdict::Accepted, None),
        None => matched(Verdict::Malformed, None),
    }
}

/// The item's path, unless it names another tenant beside its user (`users/{id}@{tenant}/…`).
fn read_path(notification: &ChangeNotification<'_>, tenant: Uuid) -> Option<ItemPath> {
    let path = ItemPath::parse(notification.resource.as_deref()?).ok()?;
    path.tenant()
        .is_none_or(|named| named == tenant)
        .then_some(path)
}

fn same(one: KeyedHash, other: KeyedHash) -> bool {
    verify_slices_are_equal(&one.0, &other.0).is_ok()
}
