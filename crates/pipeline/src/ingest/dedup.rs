//! What tells a change from every other.

use aws_lc_rs::digest::{Context, SHA256};
use tidings_domain::ids::{Compact as _, SubscriptionId};
use tidings_graph::wire::notification::ChangeNotification;
use tidings_storage::record::DedupKey;

/// The key under which the store knows a change: subscription, kind of change, item, and what tells this change to it
/// from the next.
///
/// `None` where Graph says nothing that does (no id, no etag, no sequence number): then two equal notifications are two
/// changes, since a change that is swallowed is worse than one that is told twice.
pub fn key(
    subscription: Option<SubscriptionId>,
    resource: &str,
    notification: &ChangeNotification<'_>,
) -> Option<DedupKey> {
    let discriminator = notification.discriminator()?;
    let change = match (notification.change_type, notification.lifecycle_event) {
        (Some(change), _) => change.as_str(),
        (None, Some(event)) => event.as_str(),
        (None, None) => return None,
    };
    let mut hash = Context::new(&SHA256);
    // Our own id where we have one: Graph's retries after a replacement may name either of its ids.
    match subscription {
        Some(id) => part(&mut hash, &id.to_bytes()),
        None => part(&mut hash, notification.subscription_id.as_bytes()),
    }
    part(&mut hash, change.as_bytes());
    part(&mut hash, resource.as_bytes());
    part(&mut hash, discriminator.as_bytes());
    let mut key = [0; 16];
    key.copy_from_slice(&hash.finish().as_ref()[..16]);
    Some(DedupKey(key))
}

/// Adds one part and its length, so that no two lists of parts look alike.
fn part(hash: &mut Context, bytes: &[u8]) {
    hash.update(&(bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}

#[cfg(test)]
mod tests {
    use tidings_graph::wire::notification::parse_collection;

    use super::*;

    fn key_of(item: &str) -> Option<DedupKey> {
        let body = format!("{{\"value\":[{item}]}}");
        let items = parse_collection(body.as_bytes()).unwrap();
        let notification = items[0].parsed.as_ref().unwrap();
        key(
            None,
            notification.resource.as_deref().unwrap_or_default(),
            notification,
        )
    }

    fn item(members: &str) -> String {
        format!(
            r#"{{"subscriptionId":"6f2b1c33-8a0e-4d6b-9b57-0a4f5c6d7e8f","changeType":"updated","resource":"users/u/events/e"{members}}}"#
        )
    }

    #[test]
    fn the_same_change_has_the_same_key_and_another_change_another() {
        let one = key_of(&item(r#","resourceData":{"@odata.etag":"W/\"1\""}"#));
        assert!(one.is_some());
        assert_eq!(
            one,
            key_of(&item(
                r#","resourceData":{"@odata.etag":"W/\"1\""}, "tenantId":null"#
            ))
        );
        for other in [
            item(r#","resourceData":{"@odata.etag":"W/\"2\""}"#),
            item(r#","id":"W/\"1\"""#),
            item(r#","resourceData":{"sequenceNumber":"W/\"1\""}"#),
            item(r#","resourceData":{"@odata.etag":"W/\"1\""}"#).replace("updated", "deleted"),
            item(r#","resourceData":{"@odata.etag":"W/\"1\""}"#).replace("events/e", "events/f"),
            item(r#","resourceData":{"@odata.etag":"W/\"1\""}"#).replace("6f2b", "7f2b"),
        ] {
            let other_key = key_of(&other);
            assert!(other_key.is_some() && other_key != one, "{other}");
        }
    }

    #[test]
    fn what_nothing_tells_apart_has_no_key() {
        assert_eq!(key_of(&item("")), None);
        assert_eq!(key_of(&item(r#","resourceData":null"#)), None);
        let reminder = r#"{"subscriptionId":"6f2b1c33-8a0e-4d6b-9b57-0a4f5c6d7e8f","lifecycleEvent":"missed"}"#;
        assert_eq!(key_of(reminder), None, "each reminder counts");
    }
}
