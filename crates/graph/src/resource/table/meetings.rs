//! Presence, online meetings, calls.

use tidings_domain::resource::ResourceKind;

use super::{
    CREATED, CREATED_UPDATED, Changes, Latency, Lifetime, Quota, ResourceRow, Rich, UPDATED,
    Version, permissions, quota,
};

const LATENCY: Latency = Latency {
    average: "under 10 seconds",
    most: "60 minutes",
};

const MEETING_QUOTAS: &[Quota] = &[
    quota(1, "app and meeting"),
    quota(1, "app and user"),
    quota(10, "user"),
    quota(10_000, "organization"),
];

pub(super) static PRESENCE: ResourceRow = ResourceRow {
    kind: ResourceKind::Presence,
    name: "presence",
    version: Version::V1,
    subscriptions: &[
        "communications/presences",
        "communications/presences/{user}",
    ],
    items: &["communications/presences/{user}"],
    changes: UPDATED,
    lifetime: Lifetime::new(60, 59),
    rich: Rich::Required,
    lifecycle_url_needed: false,
    latency: Latency {
        average: "under 10 seconds",
        most: "1 minute",
    },
    quotas: &[
        quota(1, "app and signed-in user"),
        quota(650, "subscription, as users in its `$filter`"),
    ],
    permissions: permissions(&["Presence.Read.All"], &[], &[]),
    delta: false,
    enumerations: &[],
    note: "Several users: communications/presences?$filter=id in ('…','…').",
};

pub(super) static ONLINE_MEETING: ResourceRow = ResourceRow {
    kind: ResourceKind::OnlineMeeting,
    name: "onlineMeeting",
    version: Version::Beta,
    subscriptions: &["communications/onlineMeetings(joinWebUrl={url})/meetingCallEvents"],
    items: &["communications/onlineMeetings(joinWebUrl={url})/meetingCallEvents/{event}"],
    changes: Changes::NotStated,
    // The same page states 4,320 in one row and 4,230 in another: the smaller is safe.
    lifetime: Lifetime::new(4_230, 4_200),
    rich: Rich::Yes,
    lifecycle_url_needed: true,
    latency: Latency {
        average: "under 10 seconds",
        most: "1 minute",
    },
    quotas: &[quota(1, "app and meeting")],
    permissions: permissions(&[], &[], &[]),
    delta: false,
    enumerations: &[],
    note: "The join URL stands in the path encoded. Microsoft's general table names no permission for it.",
};

pub(super) static CALL_RECORD: ResourceRow = ResourceRow {
    kind: ResourceKind::CallRecord,
    name: "callRecord",
    version: Version::V1,
    subscriptions: &["communications/callRecords"],
    items: &["communications/callRecords/{record}"],
    changes: CREATED_UPDATED,
    lifetime: Lifetime::new(4_230, 4_200),
    rich: Rich::No,
    lifecycle_url_needed: false,
    latency: Latency {
        average: "under 30 seconds, for the first version",
        most: "150 minutes",
    },
    quotas: &[quota(100, "organization")],
    permissions: permissions(&[], &[], &["CallRecords.Read.All"]),
    delta: false,
    enumerations: &[],
    note: "A creation is also told as `updated`.",
};

const fn artifact(
    kind: ResourceKind,
    name: &'static str,
    version: Version,
    subscriptions: &'static [&'static str],
    items: &'static [&'static str],
    scope: &'static [&'static str],
) -> ResourceRow {
    ResourceRow {
        kind,
        name,
        version,
        subscriptions,
        items,
        changes: CREATED,
        lifetime: Lifetime::new(4_320, 4_200),
        rich: Rich::Yes,
        lifecycle_url_needed: true,
        latency: LATENCY,
        quotas: MEETING_QUOTAS,
        permissions: permissions(scope, &[], scope),
        delta: false,
        enumerations: &[],
        note: "All of an organization only for an app without a user.",
    }
}

const RECORDINGS: &[&str] = &[
    "communications/onlineMeetings/{meeting}/recordings/{recording}",
    "users/{user}/onlineMeetings/{meeting}/recordings/{recording}",
];

const TRANSCRIPTS: &[&str] = &[
    "communications/onlineMeetings/{meeting}/transcripts/{transcript}",
    "users/{user}/onlineMeetings/{meeting}/transcripts/{transcript}",
];

pub(super) static CALL_RECORDING: ResourceRow = artifact(
    ResourceKind::CallRecording,
    "callRecording",
    Version::V1,
    &[
        "communications/onlineMeetings/getAllRecordings",
        "communications/onlineMeetings/{meeting}/recordings",
        "users/{user}/onlineMeetings/getAllRecordings",
    ],
    RECORDINGS,
    &["OnlineMeetingRecording.Read.All"],
);

pub(super) static CALL_RECORDING_WHERE_INSTALLED: ResourceRow = artifact(
    ResourceKind::CallRecording,
    "callRecording of meetings where an app is installed",
    Version::Beta,
    &["appCatalogs/teamsApps/{app}/installedToOnlineMeetings/getAllRecordings"],
    RECORDINGS,
    &["OnlineMeetingRecording.Read.All"],
);

pub(super) static CALL_TRANSCRIPT: ResourceRow = artifact(
    ResourceKind::CallTranscript,
    "callTranscript",
    Version::V1,
    &[
        "communications/onlineMeetings/getAllTranscripts",
        "communications/onlineMeetings/{meeting}/transcripts",
        "users/{user}/onlineMeetings/getAllTranscripts",
    ],
    TRANSCRIPTS,
    &["OnlineMeetingTranscript.Read.All"],
);

pub(super) static CALL_TRANSCRIPT_WHERE_INSTALLED: ResourceRow = artifact(
    ResourceKind::CallTranscript,
    "callTranscript of meetings where an app is installed",
    Version::Beta,
    // Microsoft's table spells the second without its `s`; both are accepted here.
    &[
        "appCatalogs/teamsApps/{app}/installedToOnlineMeetings/getAllTranscripts",
        "appCatalogs/teamsApps/{app}/installedToOnlineMeetings/getAllTrancripts",
    ],
    TRANSCRIPTS,
    &["OnlineMeetingTranscript.Read.All"],
);
