//! The collections that have a delta query.

use serde::{Deserialize, Serialize};

/// A collection that has a delta query in the emulator.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeltaOf {
    /// Contact folders of a mailbox.
    ContactFolders,
    /// Contacts of a folder.
    Contacts,
    /// Items of a drive.
    DriveItems,
    /// Events of a calendar view.
    Events,
    /// Groups of a tenant.
    Groups,
    /// Mail folders of a mailbox.
    MailFolders,
    /// Messages of a mail folder.
    Messages,
    /// Users of a tenant.
    Users,
}
