//! Change and lifecycle notifications (Microsoft's pages "changeNotificationCollection resource type",
//! "changeNotification resource type" and "lifecycle notifications").
//!
//! Read tolerantly: Graph leaves members out, changes their casing, adds new ones and sends dates of any offset. What
//! cannot be understood of one item is an [`ItemError`] of that item and leaves the others alone.

use std::borrow::Cow;

use serde_json::value::RawValue;
use tidings_domain::{
    Timestamp,
    notification::LifecycleEvent,
    resource::{ChangeType, InvalidChangeType},
};
use uuid::Uuid;

mod collection;
mod item;

#[cfg(test)]
mod tests;

pub use super::redact::without_client_state;
pub use collection::{CollectionError, parse_collection};

/// One element of `value` of a POST: the bytes as sent, and what they say.
#[derive(Debug)]
pub struct Item<'a> {
    /// The element's JSON as sent, clientState included.
    pub raw: &'a RawValue,
    /// What it says, or why that is unclear.
    pub parsed: Result<ChangeNotification<'a>, ItemError>,
}

/// What one notification says. Texts are borrowed from the body where they have no escapes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeNotification<'a> {
    /// Graph's id of the notification; often missing.
    pub id: Option<Cow<'a, str>>,
    /// Graph's id of the subscription, in lower case: it is a GUID, and those are compared without case.
    pub subscription_id: Cow<'a, str>,
    /// When the subscription will end; `None` if missing or unreadable, since nothing depends on it.
    pub subscription_expires_at: Option<Timestamp>,
    /// The subscription's shared secret.
    pub client_state: Option<Cow<'a, str>>,
    /// What happened to the resource; `None` exactly when `lifecycle_event` is there.
    pub change_type: Option<ChangeType>,
    /// What happened to the subscription.
    pub lifecycle_event: Option<LifecycleEvent>,
    /// The changed item as Graph writes its path; always there in change notifications.
    pub resource: Option<Cow<'a, str>>,
    /// The tenant it is about; missing in old forms of drive notifications.
    pub tenant_id: Option<Uuid>,
    /// What is said of the changed item.
    pub resource_data: Option<ResourceData<'a>>,
    /// Whether it carries the item itself, encrypted.
    pub encrypted: bool,
}

impl ChangeNotification<'_> {
    /// What tells this change from another one to the same item, if anything does: the notification's id, else the
    /// item's etag, else its sequence number. Each begins with another letter, so that they cannot be mixed up.
    pub fn discriminator(&self) -> Option<Cow<'_, str>> {
        if let Some(id) = &self.id {
            return Some(Cow::Owned(format!("i{id}")));
        }
        let data = self.resource_data.as_ref()?;
        if let Some(etag) = &data.etag {
            return Some(Cow::Owned(format!("e{etag}")));
        }
        data.sequence_number
            .as_ref()
            .map(|number| Cow::Owned(format!("s{number}")))
    }
}

/// What a notification says of the changed item (Microsoft's "resourceData resource type" page).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceData<'a> {
    /// `@odata.type`, such as `#Microsoft.Graph.Message`; its casing varies.
    pub odata_type: Option<Cow<'a, str>>,
    /// `@odata.id`: the item's path.
    pub odata_id: Option<Cow<'a, str>>,
    /// `@odata.etag`.
    pub etag: Option<Cow<'a, str>>,
    /// The item's id.
    pub id: Option<Cow<'a, str>>,
    /// `sequenceNumber`, sent for users and groups, as text or number.
    pub sequence_number: Option<Cow<'a, str>>,
    /// `organizationId`: the tenant, sent for users and groups.
    pub organization_id: Option<Uuid>,
}

/// Why an item is no notification that can be acted on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ItemError {
    /// It says both what happened to the resource and what happened to the subscription.
    #[error("the item has both `changeType` and `lifecycleEvent`")]
    Ambiguous,
    /// A member stands in it twice, so it is unclear which is meant.
    #[error("the item has `{member}` twice")]
    Duplicate {
        /// The member, in the documented casing.
        member: &'static str,
    },
    /// A member has a value that it cannot have.
    #[error("`{member}` of the item is {problem}")]
    Invalid {
        /// The member, in the documented casing.
        member: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A member that is needed is not there.
    #[error("the item has no `{member}`")]
    Missing {
        /// The member, in the documented casing.
        member: &'static str,
    },
    /// It is no JSON object.
    #[error("the item is no JSON object")]
    NotAnObject,
    /// Its `changeType` is none we know. `unknownFutureValue` is a placeholder and also lands here.
    #[error("{0}")]
    UnknownChangeType(#[from] InvalidChangeType),
    /// Its `lifecycleEvent` is none we know.
    #[error("{0}")]
    UnknownLifecycleEvent(#[from] tidings_domain::notification::UnknownLifecycleEvent),
    /// A text in it cannot be decoded.
    #[error("the item cannot be read: {detail}")]
    Unreadable {
        /// What the JSON reader said.
        detail: String,
    },
}
