//! Keeps what is true, whether or not anybody is told.

use tidings_domain::{Timestamp, resource::ChangeType};
use uuid::Uuid;

use super::{Changed, item};
use crate::{
    Switches,
    switches::{Casing, PathForm},
    truth::Happened,
    world::World,
};

/// Keeps a change, if truth is kept.
pub(super) fn remember(
    world: &World,
    tenant: Uuid,
    what: Changed<'_>,
    change: ChangeType,
    now: Timestamp,
) {
    if !world.truth.is_kept() {
        return;
    }
    let (entity, etag, gone) = match what {
        Changed::Contact(_, item) | Changed::Event(_, item) | Changed::Message(_, item) => (
            item.entity.clone(),
            Some(&*item.etag),
            change == ChangeType::Deleted,
        ),
        // A deletion that can be undone is said as `updated`.
        Changed::User(tenant, user) => {
            let found = world.directory.tenant_by_id(tenant);
            let found = found.and_then(|tenant| tenant.user(&user.id.to_string()));
            (user.entity(), None, found.is_none())
        }
    };
    let form = Switches {
        casing: Casing::Lower,
        path_form: PathForm::Segments,
        ..Switches::default()
    };
    let happened = Happened {
        tenant,
        path: item::path(what, tenant, &form),
        entity: (!gone).then_some(entity),
        etag,
        change,
    };
    world.truth.happened(happened, now);
}
