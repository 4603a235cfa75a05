//! The verdict of what had to wait for its subscription.

use tidings_domain::{Timestamp, notification::Verdict};
use tidings_graph::wire::notification::parse_collection;
use tidings_storage::record::{NewNotification, QueuedNotification};

use super::{dedup, excerpt, shard, verdict};
use crate::directory::Tables;

/// Judges a held notification again, at the end of its wait: with the match it got meanwhile, or as unknown.
pub fn settle(tables: &Tables, held: QueuedNotification, now: Timestamp) -> NewNotification {
    let QueuedNotification {
        mut notification,
        client_state_hash,
        ..
    } = held;
    notification.verdict = Verdict::UnknownSubscription;
    let mut dedup_key = None;

    // What was kept is the item as it was sent, without its clientState: that is here as a hash.
    let body = [&b"{\"value\":["[..], &notification.item, b"]}"].concat();
    let items = parse_collection(&body).unwrap_or_default();
    let said = items.first().and_then(|item| item.parsed.as_ref().ok());
    let integration = tables.integration_by_id(notification.integration);
    if let (Some(said), Some(integration)) = (said, integration) {
        let judgement = verdict::judge(tables, integration, said, client_state_hash);
        if judgement.verdict != Verdict::Held {
            notification.verdict = judgement.verdict;
            notification.connection = judgement.connection;
            notification.subscription = judgement.subscription;
            if let Some(resource) = judgement.resource {
                notification.resource = resource;
            }
        }
        if notification.verdict == Verdict::Accepted {
            dedup_key = dedup::key(notification.subscription, &notification.resource, said);
        }
    }
    if notification.verdict.is_rejection() {
        notification.item = excerpt::of_item(notification.item);
    }
    NewNotification {
        shard: shard::of(&notification),
        notification,
        dedup_key,
        client_state_hash: None,
        due_at: now,
    }
}
