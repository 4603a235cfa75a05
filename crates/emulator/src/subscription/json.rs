//! Subscriptions as Graph gives them.

use serde_json::{Map, Value};

use super::Subscription;
use crate::time;

/// Members that are null where they were not set, as the real answers have them.
const NULLABLE: [&str; 5] = [
    "encryptionCertificate",
    "encryptionCertificateId",
    "notificationContentType",
    "notificationQueryOptions",
    "notificationUrlAppId",
];

impl Subscription {
    /// The JSON of the subscription on its own, with its context.
    pub(crate) fn entity(&self) -> Value {
        let mut members = self.members();
        members.insert(
            "@odata.context".into(),
            "https://graph.microsoft.com/v1.0/$metadata#subscriptions/$entity".into(),
        );
        Value::Object(members)
    }

    /// The JSON of the subscription in a list, which hides the secret.
    pub(crate) fn listed(&self) -> Value {
        let mut members = self.members();
        members.insert("clientState".into(), Value::Null);
        Value::Object(members)
    }

    fn members(&self) -> Map<String, Value> {
        let mut members = self.extra.clone();
        for name in NULLABLE {
            members.entry(name).or_insert(Value::Null);
        }
        members
            .entry("latestSupportedTlsVersion")
            .or_insert_with(|| "v1_2".into());
        let mut set = |name: &str, value: Value| members.insert(name.to_owned(), value);
        set("id", self.id.to_string().into());
        set("resource", self.resource.clone().into());
        set("applicationId", self.app.to_string().into());
        set("changeType", self.change_type.clone().into());
        set("clientState", self.client_state.clone().into());
        set("notificationUrl", self.notification_url.text.clone().into());
        set(
            "lifecycleNotificationUrl",
            self.lifecycle_url
                .as_ref()
                .map(|url| url.text.clone())
                .into(),
        );
        set(
            "expirationDateTime",
            time::seven_digits(self.expires_at, None).into(),
        );
        set("creatorId", self.creator.to_string().into());
        set("includeResourceData", self.rich.then_some(true).into());
        members
    }
}
