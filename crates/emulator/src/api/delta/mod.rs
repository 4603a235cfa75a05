//! Delta queries (Microsoft's "delta query overview" page and those of each resource).
//!
//! | module | holds |
//! | --- | --- |
//! | `begin` | where a call begins: anew, at the end, or where a link leads |
//! | `feed` | one call: its page, its link, what faults make of it |
//! | `show` | the JSON of a change |
//! | `directory`, `drive`, `outlook` | the collections |

mod begin;
mod directory;
mod drive;
mod feed;
mod outlook;
mod show;

use super::{Answer, call::Call, route::DeltaRoute};

pub(super) use drive::items;

/// Answers a delta query, but for those on drives.
pub(super) fn serve(call: &Call<'_>, route: DeltaRoute<'_>) -> Answer {
    match route {
        DeltaRoute::ContactFolders { user } => outlook::contact_folders(call, &user),
        DeltaRoute::Contacts { user, folder } => outlook::contacts(call, &user, folder.as_deref()),
        DeltaRoute::Events { user } => outlook::events(call, &user),
        DeltaRoute::Groups => directory::groups(call),
        DeltaRoute::MailFolders { user } => outlook::mail_folders(call, &user),
        DeltaRoute::Messages { user, folder } => outlook::messages(call, &user, &folder),
        DeltaRoute::Users => directory::users(call),
    }
}
