//! Which changes are made, in which order, and which have arrived.
//!
//! The items go side by side; of one item the next change is made when the one before has arrived, so that each event
//! shows the item as that change left it.

use serde_json::Value;
use tidings_domain::{
    Timestamp,
    event::ObjectState,
    resource::{ChangeType, ResourceKind},
    trigger::Trigger,
};

/// An item that is changed, in one tenant.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// Which tenant, by its place in the list.
    pub(super) tenant: usize,
    /// What it is.
    pub(super) kind: ResourceKind,
    /// Its id, once it was created.
    pub(super) id: Option<String>,
    /// When the last change was asked for.
    pub(super) changed_at: Timestamp,
    /// How many of its changes have arrived.
    pub(super) arrived: usize,
}

/// All items and their changes.
#[derive(Debug)]
pub(super) struct Script {
    /// The items.
    pub(super) items: Vec<Item>,
}

/// The changes of one item, in order.
pub(super) const CHANGES: [ChangeType; 3] = ChangeType::ALL;
/// The kinds of items.
pub(super) const KINDS: [ResourceKind; 2] = [ResourceKind::Event, ResourceKind::Message];

impl Script {
    /// One item of each kind in each of `tenants`.
    pub(super) fn new(tenants: usize) -> Self {
        let items = (0..tenants)
            .flat_map(|tenant| KINDS.map(|kind| (tenant, kind)))
            .map(|(tenant, kind)| Item {
                tenant,
                kind,
                id: None,
                changed_at: Timestamp::default(),
                arrived: 0,
            })
            .collect();
        Self { items }
    }

    /// The triggers that a webhook needs to hear of all changes.
    pub(super) fn triggers() -> Vec<String> {
        KINDS
            .into_iter()
            .flat_map(|kind| CHANGES.map(|change| Trigger::Change { kind, change }.to_string()))
            .collect()
    }

    /// How many changes there are.
    pub(super) fn total(&self) -> usize {
        self.items.len() * CHANGES.len()
    }

    /// How many changes have arrived.
    pub(super) fn arrived(&self) -> usize {
        self.items.iter().map(|item| item.arrived).sum()
    }

    /// The item whose next change is `kind` (such as `event.created`) of `subject` in `tenant`.
    pub(super) fn expecting(&self, tenant: usize, kind: &str, subject: &str) -> Option<usize> {
        self.items.iter().position(|item| {
            let is_it = item
                .id
                .as_deref()
                .is_some_and(|id| subject.rsplit('/').next() == Some(id));
            item.tenant == tenant
                && is_it
                && item.next().is_some_and(|next| next.to_string() == kind)
        })
    }

    /// What has not arrived: place of the tenant and trigger.
    pub(super) fn missing(&self) -> Vec<(usize, Trigger)> {
        let of = |item: &Item| {
            let (tenant, kind) = (item.tenant, item.kind);
            CHANGES[item.arrived..]
                .iter()
                .map(move |&change| (tenant, Trigger::Change { kind, change }))
                .collect::<Vec<_>>()
        };
        self.items.iter().flat_map(of).collect()
    }
}

impl Item {
    /// The change that is to arrive next.
    pub(super) fn next(&self) -> Option<Trigger> {
        self.next_change().map(|change| Trigger::Change {
            kind: self.kind,
            change,
        })
    }

    /// How the item changes next.
    pub(super) fn next_change(&self) -> Option<ChangeType> {
        CHANGES.get(self.arrived).copied()
    }
}

/// Whether an event's data holds what its change is about: the item, unless it was deleted.
pub(super) fn has_data(data: &Value) -> bool {
    let state = data["object_state"].as_str();
    if data["change_type"] == ChangeType::Deleted.as_str() {
        state == Some(ObjectState::Deleted.as_str())
    } else {
        state == Some(ObjectState::Fetched.as_str()) && data["object"].is_object()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_without_its_item_is_told_from_one_with_it() {
        for (data, has) in [
            (
                json!({"change_type": "created", "object_state": "fetched", "object": {"id": "x"}}),
                true,
            ),
            (
                json!({"change_type": "deleted", "object_state": "deleted", "object": null}),
                true,
            ),
            (
                json!({"change_type": "updated", "object_state": "gone", "object": null}),
                false,
            ),
            (
                json!({"change_type": "created", "object_state": "fetched", "object": null}),
                false,
            ),
            (json!({}), false),
        ] {
            assert_eq!(has_data(&data), has, "{data}");
        }
    }

    #[test]
    fn two_tenants_make_twelve_changes() {
        let script = Script::new(2);
        assert_eq!((script.total(), script.arrived()), (12, 0));
        assert_eq!(script.missing().len(), 12);
        assert_eq!(Script::triggers().len(), 6);
    }

    #[test]
    fn an_arrival_counts_once_for_its_own_item_and_tenant_only() {
        let mut script = Script::new(2);
        script.items[0].id = Some("AAMk1".to_owned());
        let subject = "users/u/events/AAMk1";
        assert_eq!(script.expecting(0, "event.created", subject), Some(0));
        for (tenant, kind, subject) in [
            (1, "event.created", subject),
            (0, "message.created", subject),
            (0, "event.updated", subject),
            (0, "event.created", "users/u/events/AAMk2"),
        ] {
            assert_eq!(script.expecting(tenant, kind, subject), None);
        }
        script.items[0].arrived += 1;
        assert_eq!(script.expecting(0, "event.created", subject), None);
        assert_eq!(script.expecting(0, "event.updated", subject), Some(0));
        assert_eq!(script.missing().len(), 11);
    }
}
