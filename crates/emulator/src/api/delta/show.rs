//! The JSON of a change.

use serde_json::{Map, Value, json};
use tidings_domain::Timestamp;

use super::feed::Family;
use crate::{
    api::call::Call,
    delta::{Baked, Change},
};

/// Which members of an entity are shown.
pub(super) struct Style {
    /// Only these, in lower case.
    pub(super) select: Option<Vec<String>>,
    /// Only what changed, where the reader knows the rest.
    pub(super) sparse: bool,
}

impl Style {
    pub(super) fn of(call: &Call<'_>, family: Family, baked: &Baked) -> Self {
        let minimal = family == Family::Directory && call.preference("return") == Some("minimal");
        Self {
            select: baked.select.clone(),
            sparse: minimal || call.world.switches().delta_sparse,
        }
    }

    /// Whether a member is wanted at all.
    pub(super) fn selects(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        let selected = |names: &Vec<String>| names.contains(&name);
        self.select.as_ref().is_none_or(selected)
    }

    fn shows(&self, change: &Change, name: &str) -> bool {
        if matches!(name, "id" | "@odata.etag") {
            return true;
        }
        let left_out =
            self.sparse && !change.fresh && !change.touched.iter().any(|one| one == name);
        !left_out && self.selects(name)
    }
}

/// The members of an entity, or its removal as most collections say it.
pub(super) fn plain(change: &Change, style: &Style) -> Value {
    match change.removed {
        Some(removal) => removed(&change.item.id, removal.as_str()),
        None => Value::Object(members(change, style)),
    }
}

/// The members of an entity that is there.
pub(super) fn members(change: &Change, style: &Style) -> Map<String, Value> {
    let fields = change.item.fields.iter();
    fields
        .filter(|(name, _)| style.shows(change, name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// What an entity was before the change, as far as is known.
pub(super) fn earlier(change: &Change) -> Value {
    let previous = change
        .item
        .previous
        .as_ref()
        .filter(|_| change.removed.is_none())
        .and_then(|json| serde_json::from_slice::<Map<String, Value>>(json).ok());
    let mut members = previous.unwrap_or_else(|| change.item.fields.clone());
    members.remove("@odata.context");
    Value::Object(members)
}

fn removed(id: &str, reason: &str) -> Value {
    json!({"id": id, "@removed": {"reason": reason}})
}

/// Whether the options of the first call want a change.
pub(super) fn is_wanted(change: &Change, family: Family, baked: &Baked) -> bool {
    let id = || change.item.id.to_lowercase();
    if baked.ids.as_ref().is_some_and(|ids| !ids.contains(&id())) {
        return false;
    }
    let kind = match change.removed {
        Some(_) => "deleted",
        None if change.fresh => "created",
        None => "updated",
    };
    if baked.change.as_deref().is_some_and(|wanted| wanted != kind) {
        return false;
    }
    if change.removed.is_some() {
        return true;
    }
    // The directory tracks only what was selected.
    let untracked = |names: &Vec<String>| {
        let selected = |one: &String| names.contains(&one.to_lowercase());
        family == Family::Directory && !change.fresh && !change.touched.iter().any(selected)
    };
    if baked.select.as_ref().is_some_and(untracked) {
        return false;
    }
    let received = || {
        let text = change.item.fields.get("receivedDateTime")?.as_str()?;
        let time: Timestamp = text.parse().ok()?;
        Some(time.as_millis())
    };
    baked
        .received_from
        .is_none_or(|from| received().is_some_and(|time| time >= from))
}
