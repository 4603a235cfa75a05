//! Teams: messages, chats, channels, teams, members, schedules, approvals.

use tidings_domain::resource::ResourceKind;

use super::{
    By, CUD, Changes, Latency, Lifetime, Permissions, Quota, ResourceRow, Rich, Version,
    enumerated, permissions, quota,
};

/// Over an hour only with a lifecycle URL.
const LIFETIME: Lifetime = Lifetime::new(4_320, 4_200);

const MESSAGE_LATENCY: Latency = Latency {
    average: "under 10 seconds",
    most: "1 minute",
};

const LATENCY: Latency = Latency {
    average: "under 10 seconds",
    most: "60 minutes",
};

/// One pool of all Teams subscriptions of all apps.
const PER_ORGANIZATION: Quota = quota(
    10_000,
    "organization, of all Teams resources and apps together",
);

const PER_CONVERSATION: &[Quota] = &[quota(1, "app and channel or chat"), PER_ORGANIZATION];
const PER_USER: &[Quota] = &[quota(10, "user"), PER_ORGANIZATION];
const PER_TEAM: &[Quota] = &[quota(1, "app and team"), PER_ORGANIZATION];
const PER_CHAT: &[Quota] = &[
    quota(1, "app and chat"),
    quota(10, "user"),
    PER_ORGANIZATION,
];
const PER_PATH: &[Quota] = &[
    quota(1, "app and path in a tenant"),
    quota(10, "user and path"),
    PER_ORGANIZATION,
];
const POOL: &[Quota] = &[PER_ORGANIZATION];

const CHAT_ITEMS: &[&str] = &["chats/{chat}/messages/{message}"];
const CHANNEL_ITEMS: &[&str] = &[
    "teams/{team}/channels/{channel}/messages/{message}",
    "teams/{team}/channels/{channel}/messages/{message}/replies/{reply}",
];

const fn message(
    name: &'static str,
    subscriptions: &'static [&'static str],
    items: &'static [&'static str],
    quotas: &'static [Quota],
    permissions: Permissions,
    note: &'static str,
) -> ResourceRow {
    ResourceRow {
        kind: ResourceKind::ChatMessage,
        name,
        version: Version::V1,
        subscriptions,
        items,
        changes: CUD,
        lifetime: LIFETIME,
        rich: Rich::Yes,
        lifecycle_url_needed: true,
        latency: MESSAGE_LATENCY,
        quotas,
        permissions,
        delta: false,
        enumerations: &[],
        note,
    }
}

pub(super) static CHANNEL_MESSAGE: ResourceRow = message(
    "chatMessage in a channel",
    &["teams/{team}/channels/{channel}/messages"],
    CHANNEL_ITEMS,
    PER_CONVERSATION,
    permissions(
        &["ChannelMessage.Read.All"],
        &[],
        &["ChannelMessage.Read.Group", "ChannelMessage.Read.All"],
    ),
    "`$search` and a `$filter` on mentions are possible. ChannelMessage.Read.Group is consented per team.",
);

pub(super) static EVERY_CHANNEL_MESSAGE: ResourceRow = message(
    "chatMessage in any channel",
    &["teams/getAllMessages"],
    CHANNEL_ITEMS,
    POOL,
    permissions(&[], &[], &["ChannelMessage.Read.All"]),
    "",
);

pub(super) static CHAT_MESSAGE: ResourceRow = message(
    "chatMessage in a chat",
    &["chats/{chat}/messages"],
    CHAT_ITEMS,
    PER_CONVERSATION,
    permissions(&["Chat.Read", "Chat.ReadWrite"], &[], &["Chat.Read.All"]),
    "`$search` and a `$filter` on mentions are possible.",
);

pub(super) static EVERY_CHAT_MESSAGE: ResourceRow = message(
    "chatMessage in any chat",
    &["chats/getAllMessages"],
    CHAT_ITEMS,
    POOL,
    permissions(&[], &[], &["Chat.Read.All"]),
    "",
);

pub(super) static USER_CHAT_MESSAGE: ResourceRow = message(
    "chatMessage in any chat of a user",
    &["users/{user}/chats/getAllMessages"],
    &[
        "chats/{chat}/messages/{message}",
        "users/{user}/chats/{chat}/messages/{message}",
    ],
    PER_USER,
    permissions(
        &["Chat.Read", "Chat.ReadWrite"],
        &[],
        &["Chat.Read.All", "Chat.ReadWrite.All"],
    ),
    "",
);

pub(super) static INSTALLED_CHAT_MESSAGE: ResourceRow = message(
    "chatMessage in chats where an app is installed",
    &["appCatalogs/teamsApps/{app}/installedToChats/getAllMessages"],
    CHAT_ITEMS,
    POOL,
    permissions(
        &[],
        &[],
        &["Chat.Read.WhereInstalled", "Chat.ReadWrite.WhereInstalled"],
    ),
    "",
);

const fn conversation(
    kind: ResourceKind,
    name: &'static str,
    subscriptions: &'static [&'static str],
    items: &'static [&'static str],
    quotas: &'static [Quota],
    permissions: Permissions,
) -> ResourceRow {
    ResourceRow {
        kind,
        name,
        version: Version::V1,
        subscriptions,
        items,
        changes: Changes::NotStated,
        lifetime: LIFETIME,
        rich: Rich::Yes,
        lifecycle_url_needed: true,
        latency: LATENCY,
        quotas,
        permissions,
        delta: false,
        enumerations: &[],
        note: "",
    }
}

pub(super) static CHAT: ResourceRow = ResourceRow {
    enumerations: &[enumerated("chats/{chat}", By::Get, "chats/{chat}")],
    ..conversation(
        ResourceKind::Chat,
        "chat",
        &["chats/{chat}"],
        &["chats/{chat}"],
        PER_CHAT,
        permissions(
            &["Chat.ReadBasic", "Chat.Read", "Chat.ReadWrite"],
            &[],
            &[
                "ChatSettings.Read.Chat",
                "ChatSettings.ReadWrite.Chat",
                "Chat.Manage.Chat",
                "Chat.ReadBasic.All",
                "Chat.Read.All",
                "Chat.ReadWrite.All",
            ],
        ),
    )
};

pub(super) static EVERY_CHAT: ResourceRow = conversation(
    ResourceKind::Chat,
    "any chat, of a user or where an app is installed",
    &[
        "chats",
        "users/{user}/chats",
        "appCatalogs/teamsApps/{app}/installedToChats",
    ],
    &["chats/{chat}", "users/{user}/chats/{chat}"],
    PER_CHAT,
    permissions(
        &[],
        &[],
        &["Chat.ReadBasic.All", "Chat.Read.All", "Chat.ReadWrite.All"],
    ),
);

pub(super) static CHANNEL: ResourceRow = ResourceRow {
    enumerations: &[enumerated(
        "teams/{team}/channels",
        By::Listing("teams/{team}/channels"),
        "teams/{team}/channels/{channel}",
    )],
    ..conversation(
        ResourceKind::Channel,
        "channel",
        &["teams/getAllChannels", "teams/{team}/channels"],
        &["teams/{team}/channels/{channel}"],
        PER_TEAM,
        permissions(
            &["Channel.ReadBasic.All", "ChannelSettings.Read.All"],
            &[],
            &["Channel.ReadBasic.All", "ChannelSettings.Read.All"],
        ),
    )
};

pub(super) static TEAM: ResourceRow = ResourceRow {
    enumerations: &[enumerated("teams/{team}", By::Get, "teams/{team}")],
    ..conversation(
        ResourceKind::Team,
        "team",
        &["teams", "teams/{team}"],
        &["teams/{team}"],
        PER_TEAM,
        permissions(
            &["Team.ReadBasic.All", "TeamSettings.Read.All"],
            &[],
            &["Team.ReadBasic.All", "TeamSettings.Read.All"],
        ),
    )
};

pub(super) static TEAM_MEMBER: ResourceRow = conversation(
    ResourceKind::ConversationMember,
    "conversationMember of a team",
    &["teams/{team}/members", "teams/getAllMembers"],
    &["teams/{team}/members/{member}"],
    PER_TEAM,
    permissions(&["TeamMember.Read.All"], &[], &["TeamMember.Read.All"]),
);

pub(super) static CHANNEL_MEMBER: ResourceRow = conversation(
    ResourceKind::ConversationMember,
    "conversationMember of channels",
    &[
        "teams/{team}/channels/getAllMembers",
        "teams/getAllChannels/getAllMembers",
    ],
    &["teams/{team}/channels/{channel}/members/{member}"],
    PER_TEAM,
    permissions(&[], &[], &["ChannelMember.Read.All"]),
);

pub(super) static CHAT_MEMBER: ResourceRow = conversation(
    ResourceKind::ConversationMember,
    "conversationMember of chats",
    &[
        "chats/{chat}/members",
        "chats/getAllMembers",
        "appCatalogs/teamsApps/{app}/installedToChats/getAllMembers",
    ],
    &["chats/{chat}/members/{member}"],
    PER_TEAM,
    permissions(
        &[
            "ChatMember.Read",
            "ChatMember.ReadWrite",
            "Chat.ReadBasic",
            "Chat.Read",
            "Chat.ReadWrite",
        ],
        &[],
        &[
            "ChatMember.Read.Chat",
            "Chat.Manage.Chat",
            "ChatMember.Read.All",
        ],
    ),
);

const fn shift(
    name: &'static str,
    subscriptions: &'static [&'static str],
    items: &'static [&'static str],
) -> ResourceRow {
    ResourceRow {
        kind: ResourceKind::Shift,
        name,
        version: Version::V1,
        subscriptions,
        items,
        changes: Changes::NotStated,
        lifetime: Lifetime::new(360, 350),
        rich: Rich::No,
        lifecycle_url_needed: true,
        latency: Latency {
            average: "under 1 minute",
            most: "60 minutes",
        },
        quotas: PER_PATH,
        permissions: permissions(
            &["Schedule.Read.All", "Schedule.ReadWrite.All"],
            &[],
            &["Schedule.Read.All", "Schedule.ReadWrite.All"],
        ),
        delta: false,
        enumerations: &[],
        note: "",
    }
}

pub(super) static SHIFT: ResourceRow = shift(
    "shift",
    &["teams/{team}/schedule/shifts"],
    &["teams/{team}/schedule/shifts/{shift}"],
);

pub(super) static OFFER_SHIFT: ResourceRow = shift(
    "offerShiftRequest",
    &["teams/{team}/schedule/offerShiftRequests"],
    &["teams/{team}/schedule/offerShiftRequests/{request}"],
);

pub(super) static OPEN_SHIFT: ResourceRow = shift(
    "openShiftChangeRequest",
    &["teams/{team}/schedule/openShiftChangeRequests"],
    &["teams/{team}/schedule/openShiftChangeRequests/{request}"],
);

pub(super) static SWAP_SHIFTS: ResourceRow = shift(
    "swapShiftsChangeRequest",
    &["teams/{team}/schedule/swapShiftsChangeRequests"],
    &["teams/{team}/schedule/swapShiftsChangeRequests/{request}"],
);

pub(super) static TIME_OFF: ResourceRow = shift(
    "timeOffRequest",
    &["teams/{team}/schedule/timeOffRequests"],
    &["teams/{team}/schedule/timeOffRequests/{request}"],
);

pub(super) static APPROVAL: ResourceRow = ResourceRow {
    kind: ResourceKind::Approval,
    name: "approvalItem",
    version: Version::Beta,
    subscriptions: &["solutions/approval/approvalItems"],
    items: &["solutions/approval/approvalItems/{approval}"],
    changes: Changes::NotStated,
    lifetime: Lifetime::new(43_200, 43_000),
    rich: Rich::No,
    lifecycle_url_needed: true,
    latency: Latency {
        average: "under 10 seconds",
        most: "40 seconds",
    },
    quotas: &[quota(1_000, "tenant"), quota(1, "app and tenant")],
    permissions: permissions(&[], &[], &[]),
    delta: false,
    enumerations: &[],
    note: "Microsoft's pages name no permission for it.",
};
