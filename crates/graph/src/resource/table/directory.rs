//! The directory: users and groups.

use tidings_domain::resource::ResourceKind;

use super::{
    By, Changes, Lifetime, Quota, ResourceRow, Rich, UNKNOWN_LATENCY, UPDATED_DELETED, Version,
    enumerated, permissions, quota,
};

const LIFETIME: Lifetime = Lifetime::new(41_760, 41_000);

const QUOTAS: &[Quota] = &[
    quota(50_000, "app, over all tenants"),
    quota(1_000, "tenant, of all apps together"),
    quota(100, "app and tenant"),
];

pub(super) static USER: ResourceRow = ResourceRow {
    kind: ResourceKind::User,
    name: "user",
    version: Version::V1,
    subscriptions: &["users", "users/{user}"],
    items: &["users/{user}"],
    changes: UPDATED_DELETED,
    lifetime: LIFETIME,
    rich: Rich::No,
    lifecycle_url_needed: false,
    latency: UNKNOWN_LATENCY,
    quotas: QUOTAS,
    permissions: permissions(&["User.Read.All"], &["User.Read.All"], &["User.Read.All"]),
    delta: true,
    enumerations: &[
        enumerated("users", By::Delta("users/delta"), "users/{user}"),
        enumerated("users/{user}", By::Get, "users/{user}"),
    ],
    note: "`updated` also tells of creation and of deletion that can be undone; `deleted` is for good.",
};

pub(super) static GROUP: ResourceRow = ResourceRow {
    kind: ResourceKind::Group,
    name: "group",
    version: Version::V1,
    subscriptions: &[
        "groups",
        "groups/{group}",
        "groups/{group}/members",
        "groups/{group}/owners",
    ],
    items: &["groups/{group}"],
    changes: UPDATED_DELETED,
    lifetime: LIFETIME,
    rich: Rich::No,
    lifecycle_url_needed: false,
    latency: UNKNOWN_LATENCY,
    quotas: QUOTAS,
    permissions: permissions(&["Group.Read.All"], &[], &["Group.Read.All"]),
    delta: true,
    // Without `$select` the members are tracked too. Owners are tracked only where they are asked for.
    enumerations: &[
        enumerated("groups", By::Delta("groups/delta"), "groups/{group}"),
        enumerated("groups/{group}", By::Get, "groups/{group}"),
        enumerated(
            "groups/{group}/members",
            By::Delta("groups/delta?$select=members&$filter=id%20eq%20'{group}'"),
            "groups/{group}",
        ),
        enumerated(
            "groups/{group}/owners",
            By::Delta("groups/delta?$select=owners&$filter=id%20eq%20'{group}'"),
            "groups/{group}",
        ),
    ],
    note: "`updated` also tells of creation, of deletion that can be undone and of changed members; `deleted` is for good.",
};

pub(super) static GROUP_CONVERSATION: ResourceRow = ResourceRow {
    kind: ResourceKind::GroupConversation,
    name: "group conversation",
    version: Version::V1,
    subscriptions: &["groups/{group}/conversations"],
    items: &["groups/{group}/conversations/{conversation}"],
    changes: Changes::NotStated,
    lifetime: Lifetime::new(4_230, 4_200),
    rich: Rich::No,
    lifecycle_url_needed: false,
    latency: UNKNOWN_LATENCY,
    quotas: &[],
    permissions: permissions(&["Group.Read.All"], &[], &[]),
    delta: false,
    enumerations: &[],
    note: "Only for a signed-in user.",
};
