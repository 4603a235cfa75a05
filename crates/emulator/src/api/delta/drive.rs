//! Delta queries on drives.

use serde_json::{Value, json};

use super::{
    feed::{Family, Feed},
    show,
};
use crate::{
    api::{Answer, call::Call},
    delta::{DeltaOf, Scope},
    directory::User,
};

/// How many items a page holds unless the client says otherwise (Microsoft's "driveItem: delta" page states none; the lists
/// have 200).
const PAGE: usize = 200;

/// Everything in the drive of a user.
pub(in crate::api) fn items(call: &Call<'_>, user: &User, token: Option<&str>) -> Answer {
    let drive = &user.drive;
    let feed = Feed {
        of: DeltaOf::DriveItems,
        collection: format!("drive/{}", drive.id),
        context: "Collection(driveItem)",
        scope: Scope::All,
        generation: drive.generation(),
        page: PAGE,
        family: Family::Drive,
        options: &["select", "top"],
        path_token: token,
    };
    feed.answer(call, &drive.items.journal, &|change, style| {
        if change.removed.is_none() {
            return Value::Object(show::members(change, style));
        }
        // A facet, not the annotation of other collections.
        let mut gone = json!({"id": &*change.item.id, "deleted": {"state": "deleted"}});
        for name in ["file", "folder", "name", "parentReference"] {
            if let Some(value) = change.item.fields.get(name) {
                gone[name] = value.clone();
            }
        }
        gone
    })
}
