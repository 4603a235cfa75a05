//! Copilot, security, health monitoring, printing.

use tidings_domain::resource::ResourceKind;

use super::{
    CREATED, Changes, Latency, Lifetime, ResourceRow, Rich, UNKNOWN_LATENCY, UPDATED, Version,
    permissions, quota,
};

pub(super) static AI_INTERACTION: ResourceRow = ResourceRow {
    kind: ResourceKind::AiInteraction,
    name: "aiInteraction",
    version: Version::V1,
    subscriptions: &[
        "copilot/users/{user}/interactionHistory/getAllEnterpriseInteractions",
        "copilot/interactionHistory/getAllEnterpriseInteractions",
    ],
    items: &["copilot/users/{user}/interactionHistory/interactions/{interaction}"],
    changes: Changes::NotStated,
    lifetime: Lifetime::new(4_320, 4_200),
    rich: Rich::Yes,
    lifecycle_url_needed: true,
    latency: Latency {
        average: "under 10 seconds",
        most: "60 minutes",
    },
    quotas: &[
        quota(1, "app and tenant"),
        quota(1, "app and user"),
        quota(10, "user"),
        quota(10_000, "organization"),
    ],
    permissions: permissions(
        &["AiEnterpriseInteraction.Read"],
        &[],
        &[
            "AiEnterpriseInteraction.Read.All",
            "AiEnterpriseInteraction.Read.User",
        ],
    ),
    delta: false,
    enumerations: &[],
    note: "Needs a Copilot licence. A signed-in user only for the path of that user.",
};

pub(super) static SECURITY_ALERT: ResourceRow = ResourceRow {
    kind: ResourceKind::SecurityAlert,
    name: "security alert",
    version: Version::V1,
    subscriptions: &["security/alerts", "security/alerts/{alert}"],
    items: &["security/alerts/{alert}"],
    changes: Changes::NotStated,
    lifetime: Lifetime::new(43_200, 43_000),
    rich: Rich::No,
    lifecycle_url_needed: false,
    latency: Latency {
        average: "under 3 minutes, once the alert exists",
        most: "5 minutes",
    },
    quotas: &[],
    permissions: permissions(
        &["SecurityEvents.ReadWrite.All"],
        &[],
        &["SecurityEvents.ReadWrite.All"],
    ),
    delta: false,
    enumerations: &[],
    note: "Several alerts: security/alerts/?$filter=….",
};

pub(super) static HEALTH_ALERT: ResourceRow = ResourceRow {
    kind: ResourceKind::HealthAlert,
    name: "Entra health monitoring alert",
    version: Version::Beta,
    subscriptions: &["reports/healthmonitoring/alerts"],
    items: &["reports/healthmonitoring/alerts/{alert}"],
    changes: Changes::NotStated,
    lifetime: Lifetime::new(42_300, 42_000),
    rich: Rich::No,
    lifecycle_url_needed: false,
    latency: UNKNOWN_LATENCY,
    quotas: &[],
    permissions: permissions(&[], &[], &[]),
    delta: false,
    enumerations: &[],
    note: "One type of alert by notificationQueryOptions. Microsoft's general table names no permission for it.",
};

const PRINT_LIFETIME: Lifetime = Lifetime::new(4_230, 4_200);

const PRINT_LATENCY: Latency = Latency {
    average: "under 1 minute",
    most: "5 minutes",
};

pub(super) static PRINT_JOB: ResourceRow = ResourceRow {
    kind: ResourceKind::PrintJob,
    name: "printer (job ready to be fetched)",
    version: Version::V1,
    subscriptions: &["print/printers/{printer}/jobs"],
    items: &["print/printers/{printer}/jobs/{job}"],
    changes: UPDATED,
    lifetime: PRINT_LIFETIME,
    rich: Rich::No,
    lifecycle_url_needed: false,
    latency: PRINT_LATENCY,
    quotas: &[],
    permissions: permissions(&[], &[], &["Printer.Read.All", "Printer.ReadWrite.All"]),
    delta: false,
    enumerations: &[],
    note: "Uses notificationQueryOptions.",
};

pub(super) static PRINT_TASK: ResourceRow = ResourceRow {
    kind: ResourceKind::PrintTask,
    name: "printTaskDefinition",
    version: Version::V1,
    // Microsoft's pages write it in both ways.
    subscriptions: &[
        "print/taskDefinitions/{definition}/tasks",
        "print/printtaskdefinition/{definition}/tasks",
    ],
    items: &[
        "print/taskDefinitions/{definition}/tasks/{task}",
        "print/printtaskdefinition/{definition}/tasks/{task}",
    ],
    changes: CREATED,
    lifetime: PRINT_LIFETIME,
    rich: Rich::No,
    lifecycle_url_needed: false,
    latency: PRINT_LATENCY,
    quotas: &[],
    permissions: permissions(&[], &[], &["PrintTaskDefinition.ReadWrite.All"]),
    delta: false,
    enumerations: &[],
    note: "",
};
