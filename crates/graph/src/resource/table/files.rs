//! Files: OneDrive and SharePoint. Their notifications name no item: the drive or list itself is what changed. Which
//! items did, a delta query tells.

use tidings_domain::resource::ResourceKind;

use super::{
    By, EnumerationRow, Latency, Lifetime, ResourceRow, Rich, UPDATED, Version, enumerated,
    permissions,
};

const LIFETIME: Lifetime = Lifetime::new(42_300, 42_000);

const LATENCY: Latency = Latency {
    average: "under 1 minute",
    most: "6 hours",
};

const fn root(
    name: &'static str,
    root: &'static [&'static str],
    items: &'static [&'static str],
    enumerations: &'static [EnumerationRow],
) -> ResourceRow {
    ResourceRow {
        kind: ResourceKind::DriveItem,
        name,
        version: Version::V1,
        subscriptions: root,
        items,
        changes: UPDATED,
        lifetime: LIFETIME,
        rich: Rich::No,
        lifecycle_url_needed: false,
        latency: LATENCY,
        quotas: &[],
        permissions: permissions(&["Files.Read.All"], &["Files.Read"], &["Files.Read.All"]),
        delta: true,
        enumerations,
        note: "In OneDrive for Business only the root can be watched. A limit that Microsoft does not name is answered \
               with 403.",
    }
}

pub(super) static DRIVE: ResourceRow = root(
    "driveItem (root of a drive)",
    &["drives/{drive}/root"],
    &["drives/{drive}/root", "drives/{drive}/items/{item}"],
    &[enumerated(
        "drives/{drive}/root",
        By::Delta("drives/{drive}/root/delta"),
        "drives/{drive}/items/{item}",
    )],
);

pub(super) static USER_DRIVE: ResourceRow = root(
    "driveItem (root of a user's drive)",
    &["users/{user}/drive/root"],
    &["users/{user}/drive/root", "users/{user}/drive/items/{item}"],
    &[enumerated(
        "users/{user}/drive/root",
        By::Delta("users/{user}/drive/root/delta"),
        "users/{user}/drive/items/{item}",
    )],
);

pub(super) static DRIVE_FOLDER: ResourceRow = ResourceRow {
    kind: ResourceKind::DriveItem,
    name: "driveItem (folder of a personal drive)",
    version: Version::V1,
    subscriptions: &["users/{user}/drive/root/{folder*}"],
    items: &[
        "users/{user}/drive/root/{folder*}",
        "users/{user}/drive/items/{item}",
    ],
    changes: UPDATED,
    lifetime: LIFETIME,
    rich: Rich::No,
    lifecycle_url_needed: false,
    latency: LATENCY,
    quotas: &[],
    permissions: permissions(&[], &["Files.Read"], &[]),
    delta: true,
    enumerations: &[enumerated(
        "users/{user}/drive/root/{folder*}",
        By::Delta("users/{user}/drive/root:/{folder*}:/delta"),
        "users/{user}/drive/items/{item}",
    )],
    note: "Folders only, no single files, and only in personal OneDrive.",
};

pub(super) static LIST: ResourceRow = ResourceRow {
    kind: ResourceKind::List,
    name: "list",
    version: Version::V1,
    subscriptions: &["sites/{site}/lists/{list}"],
    items: &[
        "sites/{site}/lists/{list}",
        "sites/{site}/lists/{list}/items/{item}",
    ],
    changes: UPDATED,
    lifetime: LIFETIME,
    rich: Rich::No,
    lifecycle_url_needed: false,
    latency: LATENCY,
    quotas: &[],
    permissions: permissions(&["Sites.Read.All"], &[], &["Sites.Read.All"]),
    delta: true,
    enumerations: &[enumerated(
        "sites/{site}/lists/{list}",
        By::Delta("sites/{site}/lists/{list}/items/delta"),
        "sites/{site}/lists/{list}/items/{item}",
    )],
    note: "",
};
