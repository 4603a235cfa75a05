//! Subscriptions: what clients ask for, the rules they must keep, and what is kept of them.

pub(crate) mod book;
pub(crate) mod change;
pub(crate) mod create;
mod handshake;
mod json;
mod lifetime;
mod quota;
mod request;
mod target;

use std::sync::Arc;

use serde_json::{Map, Value};
use tidings_domain::{
    Timestamp,
    resource::{ChangeTypes, ResourceKind},
};
use tidings_graph::resource::table::ResourceRow;
use url::Url;
use uuid::Uuid;

pub use quota::{Limit, Limits};
pub(crate) use target::Watch;

/// A subscription as it is kept. A change puts another version in its place.
#[derive(Clone, Debug)]
pub(crate) struct Subscription {
    /// Its id.
    pub(crate) id: Uuid,
    /// The app that made it.
    pub(crate) app: Uuid,
    /// The tenant it was made in.
    pub(crate) tenant: Uuid,
    /// The app's object in that tenant.
    pub(crate) creator: Uuid,
    /// What is watched, as asked for.
    pub(crate) resource: String,
    /// The same in one form for all who mean the same: part of the rule against duplicates.
    pub(crate) normal_resource: String,
    /// What the table says of the resource.
    pub(crate) row: &'static ResourceRow,
    /// Which changes raise it.
    pub(crate) watch: Watch,
    /// Only what lies in this folder.
    pub(crate) folder: Option<Arc<str>>,
    /// Which changes, as asked for.
    pub(crate) change_type: String,
    /// Which changes.
    pub(crate) change_types: ChangeTypes,
    /// Where notifications go.
    pub(crate) notification_url: Address,
    /// Where lifecycle notifications go.
    pub(crate) lifecycle_url: Option<Address>,
    /// The shared secret.
    pub(crate) client_state: Option<String>,
    /// When it ends.
    pub(crate) expires_at: Timestamp,
    /// Whether notifications are to carry the item.
    pub(crate) rich: bool,
    /// Whether notifications name Outlook items by their immutable ids.
    pub(crate) immutable: bool,
    /// Other members that are only given back: certificate, TLS version, query options.
    pub(crate) extra: Map<String, Value>,
    /// When it was last renewed by PATCH.
    pub(crate) patched_at: Option<Timestamp>,
    /// When it was last reauthorized without PATCH.
    pub(crate) reauthorized_at: Option<Timestamp>,
    /// When the token expires that it was made, renewed or reauthorized with.
    pub(crate) token_expires_at: Timestamp,
}

/// A URL, with the text it was given as: that is what is given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// As given.
    pub(crate) text: String,
    /// As called.
    pub(crate) url: Url,
}

impl Subscription {
    /// When it was last renewed or reauthorized.
    pub(crate) fn acted_at(&self) -> Option<Timestamp> {
        self.patched_at.max(self.reauthorized_at)
    }

    /// Whether Outlook keeps the resource: it alone sends `missed`.
    pub(crate) fn is_outlook(&self) -> bool {
        matches!(
            self.row.kind,
            ResourceKind::Contact | ResourceKind::Event | ResourceKind::Message
        )
    }
}
