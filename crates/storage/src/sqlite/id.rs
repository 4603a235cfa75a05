//! Which kind of id stands in a column, for who reads rows without knowing what they are.

use std::array::TryFromSliceError;

use tidings_domain::ids::{
    AttemptId, Compact, ConnectionId, DeliveryId, EventId, IntegrationId, KeyId, NotificationId,
    PolicyId, SubscriptionId, WebhookId,
};
use uuid::Uuid;

/// The id with these bytes as it is displayed.
pub(super) fn text(table: &str, column: &str, bytes: &[u8]) -> Result<String, TryFromSliceError> {
    let bytes = bytes.try_into()?;
    Ok(match (column, table) {
        ("integration_id", _) | ("id", "integrations") => shown::<IntegrationId>(bytes),
        ("connection_id", _) | ("id", "connections") => shown::<ConnectionId>(bytes),
        ("policy_id", _) | ("id", "policies") => shown::<PolicyId>(bytes),
        ("subscription_id", _) | ("id", "subscriptions") => shown::<SubscriptionId>(bytes),
        ("notification_id", _) | ("id", "notifications") => shown::<NotificationId>(bytes),
        ("webhook_id", _) | ("id", "webhooks") => shown::<WebhookId>(bytes),
        ("id", "keys") => shown::<KeyId>(bytes),
        ("id", "events") => shown::<EventId>(bytes),
        ("id", "deliveries") => shown::<DeliveryId>(bytes),
        ("id", "attempts") => shown::<AttemptId>(bytes),
        // Environments and tenants.
        _ => shown::<Uuid>(bytes),
    })
}

fn shown<T: Compact + ToString>(bytes: [u8; 16]) -> String {
    T::from_bytes(bytes).to_string()
}
