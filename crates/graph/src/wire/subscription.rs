//! Subscriptions as Graph takes and gives them (Microsoft's "subscription resource type" page).

use serde::{Deserialize, Serialize};
use tidings_domain::{Secret, Timestamp};

use super::text::or_empty;

/// A subscription as Graph shows it. Members that are absent, `null` or empty are all `None`; what is `None` is written
/// as `null`, as Graph does.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionResource {
    /// `@odata.context`, in answers about a single subscription.
    #[serde(
        rename = "@odata.context",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub odata_context: Option<String>,
    /// Its id, a GUID.
    pub id: String,
    /// What is watched, as it was asked for.
    pub resource: String,
    /// Which changes, as they were asked for: `created,updated`.
    pub change_type: String,
    /// Where notifications go.
    #[serde(default, deserialize_with = "or_empty")]
    pub notification_url: Option<String>,
    /// Where lifecycle notifications go.
    #[serde(default, deserialize_with = "or_empty")]
    pub lifecycle_notification_url: Option<String>,
    /// When it ends.
    #[serde(rename = "expirationDateTime")]
    pub expires_at: Timestamp,
    /// The shared secret. `None` in lists, which hide it.
    #[serde(default, deserialize_with = "secret", serialize_with = "expose")]
    pub client_state: Option<Secret>,
    /// The app that made it.
    #[serde(default, deserialize_with = "or_empty")]
    pub application_id: Option<String>,
    /// The user or service principal that made it.
    #[serde(default, deserialize_with = "or_empty")]
    pub creator_id: Option<String>,
    /// Whether notifications carry the item, encrypted.
    #[serde(default)]
    pub include_resource_data: Option<bool>,
    /// The certificate that the item is encrypted for, Base64 of the DER form.
    #[serde(default, deserialize_with = "or_empty")]
    pub encryption_certificate: Option<String>,
    /// The app's own id of that certificate.
    #[serde(default, deserialize_with = "or_empty")]
    pub encryption_certificate_id: Option<String>,
    /// `v1_2` and the like.
    #[serde(default, deserialize_with = "or_empty")]
    pub latest_supported_tls_version: Option<String>,
    /// Query options of printers and health alerts.
    #[serde(default, deserialize_with = "or_empty")]
    pub notification_query_options: Option<String>,
    /// The audience of validation tokens, if it is another app.
    #[serde(default, deserialize_with = "or_empty")]
    pub notification_url_app_id: Option<String>,
    /// `application/json`; not documented, but sent.
    #[serde(default, deserialize_with = "or_empty")]
    pub notification_content_type: Option<String>,
}

/// What is sent to create a subscription.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewSubscription {
    /// Which changes: `created,updated`.
    pub change_type: String,
    /// Where notifications are to go.
    pub notification_url: String,
    /// Where lifecycle notifications are to go. It can be set at creation only.
    #[serde(
        default,
        deserialize_with = "or_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub lifecycle_notification_url: Option<String>,
    /// What to watch, relative to the version's root.
    pub resource: String,
    /// When it is to end; at most the resource's longest lifetime ahead.
    #[serde(rename = "expirationDateTime")]
    pub expires_at: Timestamp,
    /// The shared secret, at most 128 characters.
    #[serde(
        default,
        deserialize_with = "secret",
        serialize_with = "expose",
        skip_serializing_if = "Option::is_none"
    )]
    pub client_state: Option<Secret>,
    /// Whether notifications are to carry the item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_resource_data: Option<bool>,
    /// The certificate to encrypt the item for.
    #[serde(
        default,
        deserialize_with = "or_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub encryption_certificate: Option<String>,
    /// Our own id of that certificate.
    #[serde(
        default,
        deserialize_with = "or_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub encryption_certificate_id: Option<String>,
    /// The newest TLS version that the notification URL speaks.
    #[serde(
        default,
        deserialize_with = "or_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub latest_supported_tls_version: Option<String>,
    /// Query options of printers and health alerts.
    #[serde(
        default,
        deserialize_with = "or_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub notification_query_options: Option<String>,
    /// The audience of validation tokens, if it is another app.
    #[serde(
        default,
        deserialize_with = "or_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub notification_url_app_id: Option<String>,
}

/// What is sent to change a subscription: at least one member (Microsoft's "Update subscription" page; the certificate
/// members are on the page about resource data).
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionPatch {
    /// When it is to end.
    #[serde(
        rename = "expirationDateTime",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub expires_at: Option<Timestamp>,
    /// Where notifications are to go.
    #[serde(
        default,
        deserialize_with = "or_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub notification_url: Option<String>,
    /// The certificate to encrypt items for.
    #[serde(
        default,
        deserialize_with = "or_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub encryption_certificate: Option<String>,
    /// Our own id of that certificate.
    #[serde(
        default,
        deserialize_with = "or_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub encryption_certificate_id: Option<String>,
}

/// One page of the list of subscriptions.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct SubscriptionPage {
    /// `@odata.context`.
    #[serde(
        rename = "@odata.context",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub odata_context: Option<String>,
    /// The subscriptions, without clientState.
    pub value: Vec<SubscriptionResource>,
    /// Where the next page is.
    #[serde(
        rename = "@odata.nextLink",
        default,
        deserialize_with = "or_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub next_link: Option<String>,
}

fn secret<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    Ok(or_empty(deserializer)?.map(Secret::new))
}

#[expect(clippy::ref_option, reason = "the signature that serde calls")]
fn expose<S: serde::Serializer>(secret: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(Secret::expose).serialize(serializer)
}
