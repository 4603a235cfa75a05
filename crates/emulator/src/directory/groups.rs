//! The groups of a tenant and who is in them.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    delta::{Journal, Moment, Removal},
    mailbox::item::{Item, Place},
    time,
};

/// The groups of a tenant.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    shelf: RwLock<BTreeMap<Uuid, Group>>,
    /// Their changes, those of members too; written while `shelf` is held, so that both have the same order.
    pub(crate) journal: Journal,
}

#[derive(Debug)]
struct Group {
    profile: Arc<Item>,
    /// Whether it was deleted and can be restored.
    deleted: bool,
    members: BTreeMap<Uuid, Membership>,
    /// Its place in lists.
    age: u64,
}

/// Somebody who is, or was, in a group.
#[derive(Clone, Copy, Debug)]
struct Membership {
    /// Whether they are in it.
    present: bool,
    /// The change of the group that made it so.
    since: u64,
}

/// What became of a deleted group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deletion {
    /// It is gone. Only Microsoft 365 groups can be restored.
    ForGood,
    /// It can be restored.
    Restorable,
}

/// Members that a client cannot change.
const READ_ONLY: [&str; 3] = ["@odata.context", "createdDateTime", "id"];

impl Groups {
    /// Makes a group from a client's members.
    pub(crate) fn create(
        &self,
        id: Uuid,
        members: Map<String, Value>,
        moment: Moment,
    ) -> Arc<Item> {
        let mut fields = defaults(id, moment);
        overlay(&mut fields, members);
        let profile = Arc::new(render(fields, None));
        let mut shelf = self.write();
        let age = self.journal.record(&profile, None, moment);
        let group = Group {
            profile: Arc::clone(&profile),
            deleted: false,
            members: BTreeMap::new(),
            age,
        };
        shelf.insert(id, group);
        profile
    }

    /// A group that is not deleted.
    pub(crate) fn get(&self, id: Uuid) -> Option<Arc<Item>> {
        self.read().get(&id)?.living().map(Arc::clone)
    }

    /// Every group that is not deleted, oldest first.
    pub(crate) fn all(&self) -> Vec<Arc<Item>> {
        let shelf = self.read();
        let mut living: Vec<&Group> = shelf.values().filter(|group| !group.deleted).collect();
        living.sort_by_key(|group| group.age);
        living
            .into_iter()
            .map(|group| Arc::clone(&group.profile))
            .collect()
    }

    /// Changes members of a group's profile.
    pub(crate) fn update(
        &self,
        id: Uuid,
        members: Map<String, Value>,
        moment: Moment,
    ) -> Option<Arc<Item>> {
        let mut shelf = self.write();
        let group = shelf.get_mut(&id)?;
        let mut fields = group.living()?.fields.clone();
        overlay(&mut fields, members);
        group.profile = Arc::new(render(fields, Some(&group.profile)));
        self.journal.record(&group.profile, None, moment);
        Some(Arc::clone(&group.profile))
    }

    /// Deletes a group.
    pub(crate) fn delete(&self, id: Uuid, moment: Moment) -> Option<Deletion> {
        let mut shelf = self.write();
        let group = shelf.get_mut(&id)?;
        let profile = Arc::clone(group.living()?);
        let unified = profile
            .fields
            .get("groupTypes")
            .and_then(Value::as_array)
            .is_some_and(|types| types.contains(&"Unified".into()));
        let (removal, deletion) = if unified {
            group.deleted = true;
            (Removal::Changed, Deletion::Restorable)
        } else {
            shelf.remove(&id);
            (Removal::Deleted, Deletion::ForGood)
        };
        self.journal.record(&profile, Some(removal), moment);
        Some(deletion)
    }

    /// Brings a deleted group back.
    pub(crate) fn restore(&self, id: Uuid, moment: Moment) -> Option<Arc<Item>> {
        let mut shelf = self.write();
        let group = shelf.get_mut(&id).filter(|group| group.deleted)?;
        group.deleted = false;
        self.journal.record(&group.profile, None, moment);
        Some(Arc::clone(&group.profile))
    }

    /// Deletes a deleted group for good; whether there was one.
    pub(crate) fn purge(&self, id: Uuid, moment: Moment) -> bool {
        let mut shelf = self.write();
        if !shelf.get(&id).is_some_and(|group| group.deleted) {
            return false;
        }
        if let Some(group) = shelf.remove(&id) {
            self.journal
                .record(&group.profile, Some(Removal::Deleted), moment);
        }
        true
    }

    /// Whether it was deleted and can be restored.
    pub(crate) fn is_deleted(&self, id: Uuid) -> bool {
        self.read().get(&id).is_some_and(|group| group.deleted)
    }

    /// Who is in a group.
    pub(crate) fn members(&self, id: Uuid) -> Option<Vec<Uuid>> {
        let shelf = self.read();
        let group = shelf.get(&id).filter(|group| !group.deleted)?;
        let present = group.members.iter().filter(|(_, one)| one.present);
        Some(present.map(|(member, _)| *member).collect())
    }

    /// Puts somebody in a group or takes them out; whether that changed anything.
    pub(crate) fn set_member(
        &self,
        id: Uuid,
        member: Uuid,
        present: bool,
        moment: Moment,
    ) -> Option<bool> {
        let mut shelf = self.write();
        let group = shelf.get_mut(&id)?;
        group.living()?;
        let was = group.members.get(&member).is_some_and(|one| one.present);
        if was == present {
            return Some(false);
        }
        let since = self.journal.record_part(&group.profile, "members", moment);
        group.members.insert(member, Membership { present, since });
        Some(true)
    }

    /// Who came and who went in the changes of a group after `known`, up to `number`. Somebody for whom it is `fresh` is
    /// told of all who are in it.
    pub(crate) fn member_changes(
        &self,
        id: Uuid,
        known: u64,
        number: u64,
        fresh: bool,
    ) -> Vec<(Uuid, bool)> {
        let shelf = self.read();
        let Some(group) = shelf.get(&id) else {
            return Vec::new();
        };
        let told = group.members.iter().filter(|(_, one)| {
            one.since <= number && (one.since > known || (fresh && one.present))
        });
        told.map(|(member, one)| (*member, one.present)).collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<Uuid, Group>> {
        self.shelf.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<Uuid, Group>> {
        self.shelf.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Group {
    fn living(&self) -> Option<&Arc<Item>> {
        (!self.deleted).then_some(&self.profile)
    }
}

fn overlay(fields: &mut Map<String, Value>, members: Map<String, Value>) {
    for (name, value) in members {
        if !READ_ONLY.contains(&name.as_str()) {
            fields.insert(name, value);
        }
    }
}

fn render(fields: Map<String, Value>, previous: Option<&Item>) -> Item {
    Item::new(
        fields,
        Place::default(),
        "https://graph.microsoft.com/v1.0/$metadata#groups/$entity",
        previous,
    )
}

fn defaults(id: Uuid, moment: Moment) -> Map<String, Value> {
    let fields = json!({
        "classification": null,
        "createdDateTime": time::seconds(moment.at),
        "deletedDateTime": null,
        "description": null,
        "displayName": "",
        "groupTypes": ["Unified"],
        "id": id,
        "mail": null,
        "mailEnabled": true,
        "mailNickname": id.simple().to_string(),
        "resourceProvisioningOptions": [],
        "securityEnabled": false,
        "visibility": "Private",
    });
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_that_came_and_went_are_told_to_those_who_knew_the_group() {
        let groups = Groups::default();
        let (group, ada, bo) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
        let now = Moment::default();
        groups.create(group, Map::new(), now);
        assert_eq!(groups.set_member(group, ada, true, now), Some(true));
        assert_eq!(groups.set_member(group, ada, true, now), Some(false));
        assert_eq!(groups.set_member(group, bo, true, now), Some(true));
        let known = groups.journal.horizon(now.at);
        groups.set_member(group, bo, false, now);
        let last = groups.journal.horizon(now.at);
        assert_eq!(
            groups.member_changes(group, known, last, false),
            [(bo, false)]
        );
        assert_eq!(
            groups.member_changes(group, last, last, true),
            [(ada, true)]
        );
        // Not yet to be seen.
        assert_eq!(groups.member_changes(group, known, known, false), []);
        assert_eq!(groups.members(group), Some(vec![ada]));
    }

    #[test]
    fn only_a_unified_group_can_be_restored() {
        let groups = Groups::default();
        let now = Moment::default();
        let (unified, security) = (Uuid::from_u128(1), Uuid::from_u128(2));
        groups.create(unified, Map::new(), now);
        let types = json!({"groupTypes": [], "securityEnabled": true});
        groups.create(security, types.as_object().unwrap().clone(), now);
        assert_eq!(groups.delete(unified, now), Some(Deletion::Restorable));
        assert_eq!(groups.delete(security, now), Some(Deletion::ForGood));
        assert!(groups.all().is_empty());
        assert!(groups.restore(security, now).is_none());
        assert!(groups.restore(unified, now).is_some());
        assert!(!groups.purge(unified, now));
        assert_eq!(groups.all().len(), 1);
    }
}
