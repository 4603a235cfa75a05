//! Mail folders.

use std::sync::Arc;

use serde_json::{Value, json};
use tidings_domain::Entropy;

use crate::ids;

/// The folders of a mailbox: the well-known ones, each with an id of its own.
#[derive(Debug)]
pub(crate) struct Folders(Vec<Folder>);

/// A mail folder.
#[derive(Debug)]
pub(crate) struct Folder {
    /// Its id.
    pub(crate) id: Arc<str>,
    /// The name by which paths may call it (Microsoft's "mailFolder resource type" page).
    well_known: &'static str,
    /// The name that people see.
    display: &'static str,
}

impl Folders {
    /// The well-known folders.
    pub(crate) fn new(entropy: &dyn Entropy) -> Self {
        let folders = [
            ("archive", "Archive"),
            ("deleteditems", "Deleted Items"),
            ("drafts", "Drafts"),
            ("inbox", "Inbox"),
            ("junkemail", "Junk Email"),
            ("outbox", "Outbox"),
            ("sentitems", "Sent Items"),
        ];
        Self(
            folders
                .into_iter()
                .map(|(well_known, display)| Folder {
                    id: Arc::from(ids::outlook(entropy)),
                    well_known,
                    display,
                })
                .collect(),
        )
    }

    /// The folder that a path calls by its id or, in any case, by its well-known name.
    pub(crate) fn find(&self, name: &str) -> Option<&Folder> {
        self.0
            .iter()
            .find(|folder| *folder.id == *name || folder.well_known.eq_ignore_ascii_case(name))
    }

    /// All of them, by name.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Folder> {
        self.0.iter()
    }
}

impl Folder {
    /// Its JSON, with the number of messages in it.
    pub(crate) fn json(&self, messages: usize, unread: usize) -> Value {
        json!({
            "id": &*self.id,
            "displayName": self.display,
            "childFolderCount": 0,
            "unreadItemCount": unread,
            "totalItemCount": messages,
            "isHidden": false,
        })
    }
}
