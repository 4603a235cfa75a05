//! What a subscription watches, found in the directory.

use std::sync::Arc;

use http::StatusCode;
use tidings_domain::resource::{ChangeTypes, ResourceKind};
use tidings_graph::resource::{
    SubscriptionPath,
    table::{ResourceRow, Rich},
};
use uuid::Uuid;

use crate::{api::GraphError, directory::Tenant};

/// Which changes raise a subscription. Users and groups have ids that no other tenant has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Watch {
    /// All channels of a tenant.
    AllChannels(Uuid),
    /// Channels of a team.
    Channels(Uuid),
    /// Contacts of a user.
    Contacts(Uuid),
    /// The drive of a user.
    Drive(Uuid),
    /// Something of which the emulator has no data, so that nothing ever raises it.
    Elsewhere,
    /// Events of a user.
    Events(Uuid),
    /// One group.
    Group(Uuid),
    /// Who is in a group.
    GroupMembers(Uuid),
    /// All groups of a tenant.
    Groups(Uuid),
    /// Messages of a user.
    Messages(Uuid),
    /// One team.
    Team(Uuid),
    /// All teams of a tenant.
    Teams(Uuid),
    /// One user.
    User(Uuid),
    /// All users of a tenant.
    Users(Uuid),
}

/// What a subscription watches.
pub(super) struct Target {
    /// What the table says of it.
    pub(super) row: &'static ResourceRow,
    /// Which changes raise it.
    pub(super) watch: Watch,
    /// Only what lies in this folder.
    pub(super) folder: Option<Arc<str>>,
    /// The resource in one form for all who mean the same.
    pub(super) normal: String,
}

/// Finds what `resource` means in `tenant`.
pub(super) fn find(
    resource: &str,
    changes: ChangeTypes,
    rich: bool,
    tenant: &Tenant,
) -> Result<Target, GraphError> {
    let path = SubscriptionPath::parse(resource).map_err(|error| {
        GraphError::invalid(format!("Resource '{resource}' is not supported: {error}"))
    })?;
    let row = path.row();
    check_changes(&path, changes)?;
    check_rich(row, resource, rich)?;
    let no_app_access =
        || GraphError::extension(StatusCode::FORBIDDEN, "Create", "Forbidden", "Forbidden");
    if path.owner() == Some("me") {
        return Err(GraphError::invalid(
            "/me request is only valid with delegated authentication flow.",
        ));
    }
    if row.permissions.application.is_empty() {
        return Err(no_app_access());
    }
    let (plain, query) = match path.canonical().split_once('?') {
        Some((plain, query)) => (plain, Some(query)),
        None => (path.canonical(), None),
    };
    let segments: Vec<&str> = plain.split('/').collect();
    let (watch, folder, normal) = watched(row.kind, &segments, tenant)?;
    if watch != Watch::Elsewhere && query.is_some_and(|query| query.contains("$filter")) {
        return Err(GraphError::invalid(
            "The emulator does not filter notifications: subscribe without $filter.",
        ));
    }
    let normal = match query {
        Some(query) => format!("{}?{query}", normal.to_lowercase()),
        None => normal.to_lowercase(),
    };
    Ok(Target {
        row,
        watch,
        folder,
        normal,
    })
}

/// Which changes raise a subscription to a path, in which folder, and the path in one form for all who mean the same.
fn watched(
    kind: ResourceKind,
    segments: &[&str],
    tenant: &Tenant,
) -> Result<(Watch, Option<Arc<str>>, String), GraphError> {
    let user = |name: &str| tenant.user(name).ok_or_else(no_store);
    let group = |name: &str| {
        let id = name
            .parse()
            .ok()
            .filter(|id| tenant.groups.get(*id).is_some());
        id.ok_or_else(no_store)
    };
    let team = |name: &str| {
        let id = group(name)?;
        tenant.teams.has(id).then_some(id).ok_or_else(no_store)
    };
    let plain = || segments.join("/");
    Ok(match (kind, segments) {
        (ResourceKind::User, ["users"]) => (Watch::Users(tenant.id), None, plain()),
        (ResourceKind::User, ["users", name]) => {
            let user = user(name)?;
            (Watch::User(user.id), None, format!("users/{}", user.id))
        }
        (ResourceKind::Group, ["groups"]) => (Watch::Groups(tenant.id), None, plain()),
        (ResourceKind::Group, ["groups", name]) => (Watch::Group(group(name)?), None, plain()),
        (ResourceKind::Group, ["groups", name, "members"]) => {
            (Watch::GroupMembers(group(name)?), None, plain())
        }
        (ResourceKind::Channel, ["teams", "getAllChannels"]) => {
            (Watch::AllChannels(tenant.id), None, plain())
        }
        (ResourceKind::Channel, ["teams", name, "channels"]) => {
            (Watch::Channels(team(name)?), None, plain())
        }
        (ResourceKind::Team, ["teams"]) => (Watch::Teams(tenant.id), None, plain()),
        (ResourceKind::Team, ["teams", name]) => (Watch::Team(team(name)?), None, plain()),
        (ResourceKind::DriveItem, ["drives", id, "root"]) => {
            let owner = tenant.owner_of_drive(id).ok_or_else(no_store)?;
            (Watch::Drive(owner.id), None, plain())
        }
        (kind, ["users", name, rest @ ..]) => {
            let user = user(name)?;
            let mut normal = format!("users/{}/{}", user.id, rest.join("/"));
            let mut folder = None;
            let folders = match kind {
                ResourceKind::Contact => &user.mailbox.contact_folders,
                _ => &user.mailbox.folders,
            };
            if let [below @ ("mailFolders" | "contactFolders"), name, items] = rest {
                let found = folders.find(name).ok_or_else(no_store)?;
                normal = format!("users/{}/{below}/{}/{items}", user.id, found.id);
                folder = Some(Arc::clone(&found.id));
            }
            let watch = match kind {
                ResourceKind::Contact => Watch::Contacts(user.id),
                ResourceKind::DriveItem => Watch::Drive(user.id),
                ResourceKind::Event => Watch::Events(user.id),
                ResourceKind::Message => Watch::Messages(user.id),
                _ => Watch::Elsewhere,
            };
            (watch, folder, normal)
        }
        _ => (Watch::Elsewhere, None, plain()),
    })
}

fn check_changes(path: &SubscriptionPath, changes: ChangeTypes) -> Result<(), GraphError> {
    // The directory takes `created` beside others, though it says it as `updated` (seen in the field in 2022).
    let directory = matches!(path.kind(), ResourceKind::Group | ResourceKind::User);
    let wrong = changes.iter().find(|change| {
        let beside_others = directory && changes.iter().count() > 1;
        !path.allowed_changes().contains(change) && !beside_others
    });
    match wrong {
        None => Ok(()),
        Some(change) => Err(GraphError::invalid(format!(
            "Invalid 'changeType' attribute: '{change}' is not supported for this resource."
        ))),
    }
}

fn check_rich(row: &ResourceRow, resource: &str, rich: bool) -> Result<(), GraphError> {
    match row.rich {
        Rich::No if rich => Err(GraphError::invalid(
            "includeResourceData is not supported for this resource.",
        )),
        Rich::Required if !rich => Err(GraphError::invalid(
            "includeResourceData and an encryption certificate are required for this resource.",
        )),
        Rich::YesWithSelect if rich && !resource.contains("$select=") => Err(GraphError::invalid(
            "includeResourceData requires $select in the resource.",
        )),
        _ => Ok(()),
    }
}

fn no_store() -> GraphError {
    GraphError::extension(
        StatusCode::NOT_FOUND,
        "Create",
        "NotFound",
        "The specified object was not found in the store.",
    )
}
