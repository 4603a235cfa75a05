//! One file or folder as JSON.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use tidings_domain::Entropy;

use crate::{
    ids,
    mailbox::{
        Stamp,
        item::{Item, Place},
    },
    time,
};

/// Characters that names cannot have (Microsoft's "restrictions in OneDrive" page).
const FORBIDDEN: [char; 9] = ['"', '*', ':', '<', '>', '?', '/', '\\', '|'];

/// What an item is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Facet {
    /// A file of this many bytes.
    File(u64),
    Folder,
}

/// The root of a drive.
pub(super) fn root(drive: &str, entropy: &dyn Entropy) -> Item {
    let fields = json!({
        "folder": {"childCount": 0},
        "id": ids::drive_item(entropy),
        "name": "root",
        "parentReference": {"driveId": drive, "driveType": "business"},
        "root": {},
        "size": 0,
    });
    render(
        fields.as_object().cloned().unwrap_or_default(),
        "",
        drive,
        None,
    )
}

/// A new item in a folder.
pub(super) fn new(drive: &str, parent: &str, name: &str, facet: Facet, stamp: &Stamp<'_>) -> Item {
    let now = time::seconds(stamp.moment.at);
    let author = json!({"user": {
        "displayName": stamp.author.name,
        "email": stamp.author.mail,
        "id": stamp.author.user,
    }});
    let fields = json!({
        "createdBy": author,
        "createdDateTime": now,
        "fileSystemInfo": {"createdDateTime": now, "lastModifiedDateTime": now},
        "id": ids::drive_item(stamp.entropy),
        "lastModifiedBy": author,
        "name": name,
        "parentReference": {"driveId": drive, "driveType": "business", "id": parent},
        "size": 0,
        "webUrl": format!("https://fabrikam.sharepoint.example/personal/Documents/{name}"),
    });
    let mut fields = fields.as_object().cloned().unwrap_or_default();
    match facet {
        Facet::File(size) => fill(&mut fields, size, stamp),
        Facet::Folder => {
            fields.insert("folder".into(), json!({"childCount": 0}));
        }
    }
    renew(&mut fields, stamp, 1);
    render(fields, parent, drive, None)
}

/// A file with another content.
pub(super) fn with_content(current: &Item, size: u64, stamp: &Stamp<'_>) -> Item {
    let mut fields = current.fields.clone();
    fill(&mut fields, size, stamp);
    next(fields, current, &current.place.folder, stamp)
}

/// An item with another name and folder.
pub(super) fn moved(current: &Item, name: &str, parent: &str, stamp: &Stamp<'_>) -> Item {
    let mut fields = current.fields.clone();
    fields.insert("name".into(), name.into());
    fields["parentReference"]["id"] = parent.into();
    next(fields, current, parent, stamp)
}

/// Its name.
pub(super) fn name(item: &Item) -> &str {
    let name = item.fields.get("name").and_then(Value::as_str);
    name.unwrap_or_default()
}

/// Whether it is a file.
pub(super) fn is_file(item: &Item) -> bool {
    item.fields.contains_key("file")
}

/// Whether something can be called so.
pub(super) fn is_name(name: &str) -> bool {
    !name.trim().is_empty() && !name.contains(FORBIDDEN)
}

fn next(mut fields: Map<String, Value>, current: &Item, parent: &str, stamp: &Stamp<'_>) -> Item {
    // `"{guid},3"`: the number is that of the version.
    let tag = fields.get("eTag").and_then(Value::as_str);
    let version = tag
        .and_then(|tag| tag.trim_end_matches('"').rsplit(',').next())
        .and_then(|number| number.parse::<u64>().ok())
        .unwrap_or(0);
    renew(&mut fields, stamp, version + 1);
    let drive = fields["parentReference"]["driveId"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    render(fields, parent, &drive, Some(current))
}

/// Gives a file a content, of which only size and hash are kept.
fn fill(fields: &mut Map<String, Value>, size: u64, stamp: &Stamp<'_>) {
    let hash = ids::change_key(stamp.entropy);
    fields.insert("size".into(), size.into());
    fields.insert(
        "file".into(),
        json!({"hashes": {"quickXorHash": hash}, "mimeType": "application/octet-stream"}),
    );
    fields.insert("cTag".into(), format!("\"c:{hash}\"").into());
}

fn renew(fields: &mut Map<String, Value>, stamp: &Stamp<'_>, version: u64) {
    let now = time::seconds(stamp.moment.at);
    let guid = ids::guid(stamp.entropy).to_string().to_uppercase();
    fields.insert("eTag".into(), format!("\"{{{guid}}},{version}\"").into());
    fields
        .entry("cTag")
        .or_insert_with(|| format!("\"c:{{{guid}}},0\"").into());
    fields.insert("lastModifiedDateTime".into(), now.into());
}

fn render(fields: Map<String, Value>, parent: &str, drive: &str, previous: Option<&Item>) -> Item {
    let place = Place {
        folder: Arc::from(parent),
        ..Place::default()
    };
    let context =
        format!("https://graph.microsoft.com/v1.0/$metadata#drives('{drive}')/items/$entity");
    Item::new(fields, place, &context, previous)
}
