//! Folders of a mailbox (Microsoft's "mailFolder resource type" page), as far as they are looked at.

use serde::{Deserialize, Serialize};

use super::text::or_empty;

/// A mail folder.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MailFolder {
    /// Its id. It does not change when the folder is moved.
    pub id: String,
    /// What people see.
    #[serde(default, deserialize_with = "or_empty")]
    pub display_name: Option<String>,
    /// The folder that it lies in.
    #[serde(default, deserialize_with = "or_empty")]
    pub parent_folder_id: Option<String>,
    /// How many messages it has.
    #[serde(default)]
    pub total_item_count: Option<u64>,
}
