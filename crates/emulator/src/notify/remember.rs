//! Keeps what is true, whether or not anybody is told.

use tidings_domain::{Timestamp, resource::ChangeType};
use tidings_graph::resource::ItemPath;
use uuid::Uuid;

use super::{Changed, item};
use crate::{
    Switches,
    directory::User,
    mailbox::item::Item,
    switches::{Casing, PathForm},
    team,
    truth::Happened,
    world::World,
};

/// Keeps a change, if truth is kept.
pub(super) fn remember(world: &World, tenant: Uuid, what: Changed<'_>, change: ChangeType) {
    if !world.truth.is_kept() {
        return;
    }
    let now = world.clock.now();
    if let Changed::Drive(user, items) = what {
        for item in items {
            remember_drive_item(world, tenant, user, item, now);
        }
        return;
    }
    let deleted = change == ChangeType::Deleted;
    let found = world.directory.tenant_by_id(tenant);
    let (entity, etag) = match what {
        Changed::Contact(_, item) | Changed::Event(_, item) | Changed::Message(_, item) => {
            let entity = (!deleted).then(|| item.entity.clone());
            (entity, Some(&*item.etag))
        }
        // A deletion that can be undone is said as `updated`: what is there tells.
        Changed::Channel { team, id, .. } => {
            let channel = found.and_then(|tenant| tenant.teams.channel(team, id));
            (channel.map(|channel| channel.entity.clone()), None)
        }
        Changed::Group { id, .. } => {
            let group = found.and_then(|tenant| tenant.groups.get(id));
            (group.map(|group| group.entity.clone()), None)
        }
        Changed::Team { id, .. } => {
            let group = found.and_then(|tenant| tenant.groups.get(id));
            let team = group.map(|group| team::shown(&group).to_string().into());
            (team, None)
        }
        Changed::User(_, user) => {
            let there = found.and_then(|tenant| tenant.user(&user.id.to_string()));
            (there.map(|user| user.entity()), None)
        }
        Changed::Drive(..) => return,
    };
    let form = Switches {
        casing: Casing::Lower,
        path_form: PathForm::Segments,
        ..Switches::default()
    };
    let mut path = item::path(what, "", tenant, &form);
    if world.switches().truth_immutable_ids
        && let Some((id, immutable)) = what.ids()
    {
        path = path.replace(&*id, &immutable);
    }
    let happened = Happened {
        tenant,
        // Teams has a form of its own.
        path: ItemPath::parse(&path).map_or(path, |path| path.canonical().to_owned()),
        entity,
        etag,
        change,
    };
    world.truth.happened(happened, now);
}

/// Keeps a change in a drive. Notifications name none, so that it has the words of a delta query.
fn remember_drive_item(world: &World, tenant: Uuid, user: &User, item: &Item, now: Timestamp) {
    let there = user.drive.items.get(&item.id);
    let happened = Happened {
        tenant,
        path: format!("drives/{}/items/{}", user.drive.id, item.id),
        change: match there {
            Some(_) => ChangeType::Updated,
            None => ChangeType::Deleted,
        },
        entity: there.map(|item| item.entity.clone()),
        etag: None,
    };
    world.truth.happened(happened, now);
}
