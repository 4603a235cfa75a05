//! Files: OneDrive and SharePoint. Their notifications name no item: the drive or list itself is what changed.

use tidings_domain::resource::ResourceKind;

use super::{Latency, Lifetime, ResourceRow, Rich, UPDATED, Version, permissions};

const LIFETIME: Lifetime = Lifetime::new(42_300, 42_000);

const LATENCY: Latency = Latency {
    average: "under 1 minute",
    most: "6 hours",
};

const fn root(name: &'static str, root: &'static [&'static str]) -> ResourceRow {
    ResourceRow {
        kind: ResourceKind::DriveItem,
        name,
        version: Version::V1,
        subscriptions: root,
        items: root,
        changes: UPDATED,
        lifetime: LIFETIME,
        rich: Rich::No,
        lifecycle_url_needed: false,
        latency: LATENCY,
        quotas: &[],
        permissions: permissions(&["Files.Read.All"], &["Files.Read"], &["Files.Read.All"]),
        delta: true,
        note: "In OneDrive for Business only the root can be watched. A limit that Microsoft does not name is answered \
               with 403.",
    }
}

pub(super) static DRIVE: ResourceRow =
    root("driveItem (root of a drive)", &["drives/{drive}/root"]);

pub(super) static USER_DRIVE: ResourceRow = root(
    "driveItem (root of a user's drive)",
    &["users/{user}/drive/root"],
);

pub(super) static DRIVE_FOLDER: ResourceRow = ResourceRow {
    kind: ResourceKind::DriveItem,
    name: "driveItem (folder of a personal drive)",
    version: Version::V1,
    subscriptions: &["users/{user}/drive/root/{folder*}"],
    items: &["users/{user}/drive/root/{folder*}"],
    changes: UPDATED,
    lifetime: LIFETIME,
    rich: Rich::No,
    lifecycle_url_needed: false,
    latency: LATENCY,
    quotas: &[],
    permissions: permissions(&[], &["Files.Read"], &[]),
    delta: true,
    note: "Folders only, no single files, and only in personal OneDrive.",
};

pub(super) static LIST: ResourceRow = ResourceRow {
    kind: ResourceKind::List,
    name: "list",
    version: Version::V1,
    subscriptions: &["sites/{site}/lists/{list}"],
    items: &["sites/{site}/lists/{list}"],
    changes: UPDATED,
    lifetime: LIFETIME,
    rich: Rich::No,
    lifecycle_url_needed: false,
    latency: LATENCY,
    quotas: &[],
    permissions: permissions(&["Sites.Read.All"], &[], &["Sites.Read.All"]),
    delta: true,
    note: "",
};
