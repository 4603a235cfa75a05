//! Users of a tenant (Microsoft's "user resource type" page), as far as they are looked at.

use serde::{Deserialize, Serialize};

use super::text::or_empty;

/// A user. What a delta query has no news of is `None`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// The object id, a GUID.
    pub id: String,
    /// The name to sign in with.
    #[serde(default, deserialize_with = "or_empty")]
    pub user_principal_name: Option<String>,
    /// The mail address. Who has none has no mailbox, as a rule.
    #[serde(default, deserialize_with = "or_empty")]
    pub mail: Option<String>,
    /// Whether they can sign in. Shared mailboxes and rooms cannot.
    #[serde(default)]
    pub account_enabled: Option<bool>,
    /// `Member` or `Guest`.
    #[serde(default, deserialize_with = "or_empty")]
    pub user_type: Option<String>,
}
