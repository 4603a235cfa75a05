//! Mail messages (Microsoft's "message resource type" page).

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{
    InvalidItem,
    item::{Item, Place},
    stamp::{Stamp, overlay, preview},
};
use crate::time;

/// A new message from a client's members, in `folder`.
pub(super) fn create(
    members: Map<String, Value>,
    folder: &Arc<str>,
    draft: bool,
    stamp: &Stamp<'_>,
) -> Result<Item, InvalidItem> {
    let mut fields = defaults(stamp, draft);
    overlay(&mut fields, members);
    stamp.mint(&mut fields);
    finish(fields, folder, stamp, None)
}

/// A message with a client's members in place of its own.
pub(super) fn update(
    current: &Item,
    members: Map<String, Value>,
    stamp: &Stamp<'_>,
) -> Result<Item, InvalidItem> {
    let mut fields = current.fields.clone();
    overlay(&mut fields, members);
    finish(fields, &current.place.folder, stamp, Some(current))
}

/// The same message in another folder: with another id. Only the immutable one stays.
pub(super) fn moved(current: &Item, folder: &Arc<str>, stamp: &Stamp<'_>) -> Item {
    let mut fields = current.fields.clone();
    fields.insert(
        "id".into(),
        crate::ids::moved(&current.id, stamp.entropy).into(),
    );
    complete(fields, folder, stamp, None)
}

fn finish(
    fields: Map<String, Value>,
    folder: &Arc<str>,
    stamp: &Stamp<'_>,
    previous: Option<&Item>,
) -> Result<Item, InvalidItem> {
    for member in ["bccRecipients", "ccRecipients", "replyTo", "toRecipients"] {
        let well_formed = fields
            .get(member)
            .and_then(Value::as_array)
            .is_some_and(|list| {
                list.iter()
                    .all(|one| one.get("emailAddress").is_some_and(Value::is_object))
            });
        if !well_formed {
            return Err(InvalidItem::Member {
                member: member.to_owned(),
                problem: "an array of recipients, each with emailAddress, is expected".to_owned(),
            });
        }
    }
    if !fields.get("isRead").is_some_and(Value::is_boolean) {
        return Err(InvalidItem::Member {
            member: "isRead".to_owned(),
            problem: "a boolean is expected".to_owned(),
        });
    }
    Ok(complete(fields, folder, stamp, previous))
}

fn complete(
    mut fields: Map<String, Value>,
    folder: &Arc<str>,
    stamp: &Stamp<'_>,
    previous: Option<&Item>,
) -> Item {
    let preview = preview(fields.get("body"));
    fields.insert("bodyPreview".into(), preview.into());
    fields.insert("parentFolderId".into(), (&**folder).into());
    stamp.renew(&mut fields);
    let place = Place {
        folder: Arc::clone(folder),
        ..Place::default()
    };
    Item::new(fields, place, &stamp.context("messages"), previous)
}

fn defaults(stamp: &Stamp<'_>, draft: bool) -> Map<String, Value> {
    let now = time::seconds(stamp.moment.at);
    let conversation = crate::ids::outlook(stamp.entropy);
    let sender = if draft { stamp.owner() } else { Value::Null };
    let to = if draft {
        json!([])
    } else {
        json!([stamp.owner()])
    };
    let fields = json!({
        "bccRecipients": [],
        "body": {"contentType": "text", "content": ""},
        "categories": [],
        "ccRecipients": [],
        "conversationId": conversation,
        "flag": {"flagStatus": "notFlagged"},
        "from": sender,
        "hasAttachments": false,
        "importance": "normal",
        "inferenceClassification": "focused",
        "internetMessageId": format!("<{}@fabrikam.example>", &conversation[8..48]),
        "isDeliveryReceiptRequested": false,
        "isDraft": draft,
        "isRead": draft,
        "isReadReceiptRequested": false,
        "receivedDateTime": now,
        "replyTo": [],
        "sender": sender,
        "sentDateTime": now,
        "subject": "",
        "toRecipients": to,
        "webLink": "https://outlook.office365.com/owa/?viewmodel=ReadMessageItem",
    });
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use tidings_domain::{Timestamp, entropy::SeededEntropy};
    use uuid::Uuid;

    use super::*;
    use crate::{delta::Moment, mailbox::Author};

    fn stamp(entropy: &SeededEntropy) -> Stamp<'_> {
        Stamp {
            moment: Moment {
                at: Timestamp::from_millis(1_795_341_600_000),
                ..Moment::default()
            },
            entropy,
            author: Author {
                user: Uuid::nil(),
                name: "Ada Byron",
                mail: "ada@fabrikam.example",
            },
        }
    }

    #[test]
    fn a_received_message_is_unread_and_a_draft_is_the_owners() {
        let entropy = SeededEntropy::new(1);
        let inbox = Arc::from("folder");
        let members = || json!({"subject": "Hi"}).as_object().unwrap().clone();
        let received = create(members(), &inbox, false, &stamp(&entropy)).unwrap();
        assert_eq!(received.fields["isRead"], false);
        assert_eq!(received.fields["isDraft"], false);
        assert_eq!(received.fields["receivedDateTime"], "2026-11-22T10:00:00Z");
        assert_eq!(received.fields["parentFolderId"], "folder");
        let draft = create(members(), &inbox, true, &stamp(&entropy)).unwrap();
        assert_eq!(draft.fields["isDraft"], true);
        assert_eq!(
            draft.fields["from"]["emailAddress"]["address"],
            "ada@fabrikam.example"
        );
    }

    #[test]
    fn a_moved_message_has_another_id_and_folder() {
        let entropy = SeededEntropy::new(1);
        let old = create(Map::new(), &Arc::from("a"), false, &stamp(&entropy)).unwrap();
        let new = moved(&old, &Arc::from("b"), &stamp(&entropy));
        assert_ne!(old.id, new.id);
        assert_eq!(&*new.place.folder, "b");
        assert_eq!(
            new.fields["internetMessageId"],
            old.fields["internetMessageId"]
        );
    }

    #[test]
    fn a_recipient_without_an_address_is_refused() {
        let entropy = SeededEntropy::new(1);
        let members = json!({"toRecipients": ["ada"]})
            .as_object()
            .unwrap()
            .clone();
        assert!(create(members, &Arc::from("a"), true, &stamp(&entropy)).is_err());
    }
}
