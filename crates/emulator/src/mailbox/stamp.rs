//! What the service itself writes into an item.

use serde_json::{Map, Value, json};
use tidings_domain::Entropy;
use uuid::Uuid;

use crate::{delta::Moment, ids, time};

/// What the service itself writes into an item: when, whose, and new ids.
pub(crate) struct Stamp<'a> {
    /// Now.
    pub(crate) moment: Moment,
    /// Where ids and change keys come from.
    pub(crate) entropy: &'a dyn Entropy,
    /// Whose mailbox.
    pub(crate) author: Author<'a>,
}

/// The owner of a mailbox.
#[derive(Clone, Copy)]
pub(crate) struct Author<'a> {
    /// Their id.
    pub(crate) user: Uuid,
    /// The name that people see.
    pub(crate) name: &'a str,
    /// Their address.
    pub(crate) mail: &'a str,
}

/// Members that only the service writes; a client's are ignored, as Graph does.
const READ_ONLY: &[&str] = &[
    "@odata.context",
    "@odata.etag",
    "changeKey",
    "createdDateTime",
    "iCalUId",
    "id",
    "lastModifiedDateTime",
    "parentFolderId",
    "webLink",
];

impl Stamp<'_> {
    /// The owner as `emailAddress` stands in items.
    pub(crate) fn owner(&self) -> Value {
        json!({"emailAddress": {"name": self.author.name, "address": self.author.mail}})
    }

    /// The value of `@odata.context` for one item of `collection`.
    pub(crate) fn context(&self, collection: &str) -> String {
        format!(
            "https://graph.microsoft.com/v1.0/$metadata#users('{}')/{collection}/$entity",
            self.author.user
        )
    }

    /// Gives `fields` an id and a time of creation.
    pub(crate) fn mint(&self, fields: &mut Map<String, Value>) {
        fields.insert("id".into(), ids::outlook(self.entropy).into());
        fields.insert(
            "createdDateTime".into(),
            time::seconds(self.moment.at).into(),
        );
    }

    /// Gives `fields` the marks of a new version.
    pub(crate) fn renew(&self, fields: &mut Map<String, Value>) {
        let key = ids::change_key(self.entropy);
        fields.insert("@odata.etag".into(), format!("W/\"{key}\"").into());
        fields.insert("changeKey".into(), key.into());
        fields.insert(
            "lastModifiedDateTime".into(),
            time::seconds(self.moment.at).into(),
        );
    }
}

/// Puts a client's members over those of an item.
pub(crate) fn overlay(fields: &mut Map<String, Value>, members: Map<String, Value>) {
    for (name, value) in members {
        if !READ_ONLY.contains(&name.as_str()) {
            fields.insert(name, value);
        }
    }
}

/// The first characters of a text as `bodyPreview` holds them: at most 255, without markup.
pub(crate) fn preview(body: Option<&Value>) -> String {
    let content = body
        .and_then(|body| body.get("content"))
        .and_then(Value::as_str)
        .unwrap_or_default();
    let mut in_tag = false;
    let html = body
        .and_then(|body| body.get("contentType"))
        .and_then(Value::as_str)
        .is_some_and(|kind| kind.eq_ignore_ascii_case("html"));
    content
        .chars()
        .filter(|&c| {
            if html && c == '<' {
                in_tag = true;
            }
            let keep = !in_tag;
            if html && c == '>' {
                in_tag = false;
            }
            keep
        })
        .take(255)
        .collect::<String>()
        .trim()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preview_is_255_characters_without_markup() {
        let body = json!({"contentType": "html", "content": "<p>Hi &amp; <b>all</b></p>"});
        assert_eq!(preview(Some(&body)), "Hi &amp; all");
        let long = json!({"contentType": "text", "content": "x".repeat(400)});
        assert_eq!(preview(Some(&long)).len(), 255);
        assert_eq!(preview(None), "");
    }

    #[test]
    fn what_only_the_service_writes_is_ignored() {
        let mut fields = json!({"id": "a", "subject": "s"})
            .as_object()
            .unwrap()
            .clone();
        let members = json!({"id": "b", "changeKey": "x", "subject": "t"});
        overlay(&mut fields, members.as_object().unwrap().clone());
        assert_eq!(Value::Object(fields), json!({"id": "a", "subject": "t"}));
    }
}
