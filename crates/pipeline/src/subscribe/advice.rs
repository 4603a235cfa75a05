//! What to tell people who can mend a refusal.

use tidings_domain::SafeUrl;
use tidings_graph::{CallError, error::ForbiddenReason, resource::table::ResourceRow};
use url::Url;

/// What went wrong, and what to do about it where that is known.
pub(super) fn about(
    error: &CallError,
    row: Option<&ResourceRow>,
    notification_url: &Url,
) -> String {
    let advice = match error {
        CallError::Forbidden {
            reason: ForbiddenReason::Quota,
            ..
        } => format!(
            "There are too many subscriptions to this ({}): remove some, also those of other programs.",
            row.map(quotas).unwrap_or_default()
        ),
        CallError::Forbidden { .. } => match row.map(|row| row.permissions.application) {
            Some(permissions) if !permissions.is_empty() => format!(
                "Give the app the application permission {} and have an administrator consent to it.",
                permissions.join(" or ")
            ),
            _ => "Check the app's permissions and the tenant's consent.".to_owned(),
        },
        error if error.is_failed_handshake() => format!(
            "Graph has to reach {} from outside, with a public certificate and nothing before it that wants a sign-in.",
            SafeUrl::new(notification_url.clone())
        ),
        CallError::NotFound => {
            "Check the resource. A user without a mailbox in Microsoft's cloud has none to watch."
                .to_owned()
        }
        CallError::Rejected { status: 400, .. } => "Check the resource.".to_owned(),
        _ => return error.to_string(),
    };
    format!("{error}. {advice}")
}

fn quotas(row: &ResourceRow) -> String {
    if row.quotas.is_empty() {
        return "Microsoft states no number".to_owned();
    }
    let each: Vec<String> = row
        .quotas
        .iter()
        .map(|quota| format!("{} per {}", quota.limit, quota.per))
        .collect();
    each.join("; ")
}
