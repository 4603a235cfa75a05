//! Teams and their channels (Microsoft's "team" and "channel resource type" pages). A team is a group that has one.

mod acts;

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use serde_json::{Map, Value, json};
use tidings_domain::Entropy;
use uuid::Uuid;

use crate::{
    delta::Moment,
    ids,
    mailbox::item::{Item, Place},
    time,
};

pub(crate) use acts::{group_deleted, make};

/// The channels of the teams of a tenant. Graph has no delta query for them: they are listed and compared.
#[derive(Debug, Default)]
pub(crate) struct Teams {
    channels: RwLock<BTreeMap<Uuid, Vec<Arc<Item>>>>,
}

/// Members of a channel that a client cannot change.
const READ_ONLY: [&str; 5] = [
    "@odata.context",
    "createdDateTime",
    "id",
    "membershipType",
    "webUrl",
];

impl Teams {
    /// Makes a group a team, with the channel that each has; the channel, or `None` if it is a team already.
    pub(crate) fn create(
        &self,
        team: Uuid,
        entropy: &dyn Entropy,
        moment: Moment,
    ) -> Option<Arc<Item>> {
        let mut teams = self
            .channels
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if teams.contains_key(&team) {
            return None;
        }
        let general = Arc::new(channel(team, "General", Map::new(), entropy, moment));
        teams.insert(team, vec![Arc::clone(&general)]);
        Some(general)
    }

    /// Whether a group is a team.
    pub(crate) fn has(&self, team: Uuid) -> bool {
        let teams = self.channels.read().unwrap_or_else(PoisonError::into_inner);
        teams.contains_key(&team)
    }

    /// The channels of a team, oldest first; `None` if it is none.
    pub(crate) fn channels(&self, team: Uuid) -> Option<Vec<Arc<Item>>> {
        let teams = self.channels.read().unwrap_or_else(PoisonError::into_inner);
        teams.get(&team).cloned()
    }

    /// A channel of a team.
    pub(crate) fn channel(&self, team: Uuid, id: &str) -> Option<Arc<Item>> {
        let channels = self.channels(team)?;
        channels.into_iter().find(|channel| *channel.id == *id)
    }

    /// Makes a channel in a team; `None` if it is none.
    pub(crate) fn add_channel(
        &self,
        team: Uuid,
        members: Map<String, Value>,
        entropy: &dyn Entropy,
        moment: Moment,
    ) -> Option<Arc<Item>> {
        let mut teams = self
            .channels
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let channels = teams.get_mut(&team)?;
        let made = Arc::new(channel(team, "", members, entropy, moment));
        channels.push(Arc::clone(&made));
        Some(made)
    }

    /// Changes members of a channel.
    pub(crate) fn update_channel(
        &self,
        team: Uuid,
        id: &str,
        members: Map<String, Value>,
    ) -> Option<Arc<Item>> {
        let mut teams = self
            .channels
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let mut channels = teams.get_mut(&team)?.iter_mut();
        let current = channels.find(|channel| *channel.id == *id)?;
        let mut fields = current.fields.clone();
        overlay(&mut fields, members);
        *current = Arc::new(render(team, fields, Some(current)));
        Some(Arc::clone(current))
    }

    /// Removes a channel.
    pub(crate) fn remove_channel(&self, team: Uuid, id: &str) -> Option<Arc<Item>> {
        let mut teams = self
            .channels
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let channels = teams.get_mut(&team)?;
        let place = channels.iter().position(|channel| *channel.id == *id)?;
        Some(channels.remove(place))
    }
}

/// The JSON of a team, of which most is that of its group.
pub(crate) fn shown(group: &Item) -> Value {
    let member = |name: &str| group.fields.get(name).cloned().unwrap_or_default();
    json!({
        "description": member("description"),
        "displayName": member("displayName"),
        "id": member("id"),
        "isArchived": false,
        "visibility": member("visibility"),
    })
}

fn channel(
    team: Uuid,
    name: &str,
    members: Map<String, Value>,
    entropy: &dyn Entropy,
    moment: Moment,
) -> Item {
    let id = ids::channel(entropy);
    let fields = json!({
        "createdDateTime": time::seconds(moment.at),
        "description": null,
        "displayName": name,
        "email": "",
        "id": id,
        "isArchived": false,
        "isFavoriteByDefault": null,
        "membershipType": "standard",
        "tenantId": null,
        "webUrl": format!("https://teams.microsoft.com/l/channel/{}", id.replace(':', "%3a")),
    });
    let mut fields = fields.as_object().cloned().unwrap_or_default();
    overlay(&mut fields, members);
    render(team, fields, None)
}

fn overlay(fields: &mut Map<String, Value>, members: Map<String, Value>) {
    for (name, value) in members {
        if !READ_ONLY.contains(&name.as_str()) {
            fields.insert(name, value);
        }
    }
}

fn render(team: Uuid, fields: Map<String, Value>, previous: Option<&Item>) -> Item {
    let context =
        format!("https://graph.microsoft.com/v1.0/$metadata#teams('{team}')/channels/$entity");
    Item::new(fields, Place::default(), &context, previous)
}
