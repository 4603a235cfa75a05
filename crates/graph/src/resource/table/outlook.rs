//! Mailboxes: mail, calendar, contacts, to-do lists.

use tidings_domain::resource::ResourceKind;

use super::{
    By, CUD, Changes, Latency, Lifetime, Permissions, Quota, ResourceRow, Rich, Version,
    enumerated, permissions, quota,
};

/// Microsoft writes 10,080 minutes (1,440 with the item inside); the service refuses more than 10,070, as its error
/// says ("Subscription expiration can only be 10070 minutes in the future").
const LIFETIME: Lifetime = Lifetime {
    max_minutes: 10_070,
    max_rich_minutes: Some(1_440),
    ask_minutes: 10_000,
};

const LATENCY: Latency = Latency {
    average: "under 1 minute",
    most: "3 minutes",
};

const QUOTAS: &[Quota] = &[quota(1_000, "mailbox, of all apps together")];

const NOTE: &str = "A delegated subscription reaches only the signed-in user's own mailbox.";

const fn read(scope: &'static [&'static str]) -> Permissions {
    permissions(scope, scope, scope)
}

pub(super) static MESSAGE: ResourceRow = ResourceRow {
    kind: ResourceKind::Message,
    name: "message",
    version: Version::V1,
    subscriptions: &[
        "users/{user}/messages",
        "users/{user}/mailFolders/{folder}/messages",
    ],
    items: &[
        "users/{user}/messages/{message}",
        "users/{user}/mailFolders/{folder}/messages/{message}",
    ],
    changes: CUD,
    lifetime: LIFETIME,
    rich: Rich::YesWithSelect,
    lifecycle_url_needed: false,
    latency: LATENCY,
    quotas: QUOTAS,
    permissions: permissions(
        &["Mail.ReadBasic", "Mail.Read"],
        &["Mail.ReadBasic", "Mail.Read"],
        &["Mail.Read"],
    ),
    delta: true,
    // Any change gives a message another changeKey, and the rest is fetched by the item's own path.
    enumerations: &[
        enumerated(
            "users/{user}/messages",
            By::DeltaPerMailFolder {
                folders: "users/{user}/mailFolders/delta",
                messages: "users/{user}/mailFolders/{folder}/messages/delta?$select=changeKey",
            },
            "users/{user}/messages/{message}",
        ),
        enumerated(
            "users/{user}/mailFolders/{folder}/messages",
            By::Delta("users/{user}/mailFolders/{folder}/messages/delta?$select=changeKey"),
            "users/{user}/messages/{message}",
        ),
    ],
    note: "Moving a message is a deletion in one folder and a creation in the other.",
};

pub(super) static EVENT: ResourceRow = ResourceRow {
    kind: ResourceKind::Event,
    name: "event",
    version: Version::V1,
    subscriptions: &["users/{user}/events"],
    items: &["users/{user}/events/{event}"],
    changes: CUD,
    lifetime: LIFETIME,
    rich: Rich::YesWithSelect,
    lifecycle_url_needed: false,
    latency: LATENCY,
    quotas: QUOTAS,
    permissions: read(&["Calendars.Read"]),
    delta: true,
    enumerations: &[enumerated(
        "users/{user}/events",
        By::DeltaInWindow("users/{user}/calendarView/delta"),
        "users/{user}/events/{event}",
    )],
    note: NOTE,
};

pub(super) static CONTACT: ResourceRow = ResourceRow {
    kind: ResourceKind::Contact,
    name: "contact",
    version: Version::V1,
    subscriptions: &[
        "users/{user}/contacts",
        "users/{user}/contactFolders/{folder}/contacts",
    ],
    items: &[
        "users/{user}/contacts/{contact}",
        "users/{user}/contactFolders/{folder}/contacts/{contact}",
    ],
    changes: CUD,
    lifetime: LIFETIME,
    rich: Rich::YesWithSelect,
    lifecycle_url_needed: false,
    latency: LATENCY,
    quotas: QUOTAS,
    permissions: read(&["Contacts.Read"]),
    delta: true,
    enumerations: &[
        enumerated(
            "users/{user}/contacts",
            By::Delta("users/{user}/contacts/delta?$select=changeKey"),
            "users/{user}/contacts/{contact}",
        ),
        enumerated(
            "users/{user}/contactFolders/{folder}/contacts",
            By::Delta("users/{user}/contactFolders/{folder}/contacts/delta?$select=changeKey"),
            "users/{user}/contacts/{contact}",
        ),
    ],
    note: NOTE,
};

pub(super) static TODO_TASK: ResourceRow = ResourceRow {
    kind: ResourceKind::TodoTask,
    name: "todoTask",
    version: Version::V1,
    subscriptions: &["users/{user}/todo/lists/{list}/tasks"],
    items: &["users/{user}/todo/lists/{list}/tasks/{task}"],
    changes: Changes::NotStated,
    lifetime: Lifetime::new(4_230, 4_200),
    rich: Rich::No,
    lifecycle_url_needed: false,
    latency: Latency {
        average: "under 2 minutes",
        most: "15 minutes",
    },
    quotas: &[],
    permissions: permissions(
        &["Tasks.ReadWrite"],
        &["Tasks.ReadWrite"],
        &["Tasks.ReadWrite.All"],
    ),
    delta: true,
    enumerations: &[enumerated(
        "users/{user}/todo/lists/{list}/tasks",
        By::Delta("users/{user}/todo/lists/{list}/tasks/delta"),
        "users/{user}/todo/lists/{list}/tasks/{task}",
    )],
    note: "Only in the global cloud. Microsoft's pages disagree whether an app without a user may renew it.",
};
