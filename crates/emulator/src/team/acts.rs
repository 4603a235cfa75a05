//! What happens to a team together with its group, and what is said of it.

use std::sync::Arc;

use serde_json::{Map, json};
use tidings_domain::resource::ChangeType;
use uuid::Uuid;

use crate::{
    directory::{Deletion, Tenant},
    mailbox::item::Item,
    notify::{self, Changed},
    world::World,
};

/// Makes a group a team; the group, or `None` if there is no such group or it is a team already.
pub(crate) fn make(world: &Arc<World>, tenant: &Tenant, group: Uuid) -> Option<Arc<Item>> {
    let moment = world.moment();
    tenant.groups.get(group)?;
    let general = tenant.teams.create(group, &*world.entropy, moment)?;
    let options = Map::from_iter([("resourceProvisioningOptions".into(), json!(["Team"]))]);
    let profile = tenant.groups.update(group, options, moment)?;
    let raise = |what, change| notify::changed(world, tenant.id, what, change);
    let of_group = Changed::Group {
        tenant: tenant.id,
        id: group,
        members: &[],
    };
    raise(of_group, ChangeType::Updated);
    let team = Changed::Team {
        tenant: tenant.id,
        id: group,
    };
    raise(team, ChangeType::Created);
    let channel = Changed::Channel {
        tenant: tenant.id,
        team: group,
        id: &general.id,
    };
    raise(channel, ChangeType::Created);
    Some(profile)
}

/// Says that a group was deleted, and its team with it. Graph says a deletion that can be undone as `updated`.
pub(crate) fn group_deleted(world: &Arc<World>, tenant: &Tenant, id: Uuid, deletion: Deletion) {
    let change = match deletion {
        Deletion::ForGood => ChangeType::Deleted,
        Deletion::Restorable => ChangeType::Updated,
    };
    let of_group = Changed::Group {
        tenant: tenant.id,
        id,
        members: &[],
    };
    notify::changed(world, tenant.id, of_group, change);
    if tenant.teams.has(id) {
        let team = Changed::Team {
            tenant: tenant.id,
            id,
        };
        notify::changed(world, tenant.id, team, ChangeType::Deleted);
    }
}
