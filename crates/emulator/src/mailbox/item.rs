//! One item of a mailbox, with its JSON ready to send.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value};
use tidings_domain::Timestamp;

/// One version of an item. Versions never change; an update puts another one in its place.
#[derive(Debug)]
pub(crate) struct Item {
    /// Its id.
    pub(crate) id: Arc<str>,
    /// `W/"…"`: another one at every change.
    pub(crate) etag: String,
    /// Its members.
    pub(crate) fields: Map<String, Value>,
    /// Where it stands in lists and calendar views; equal ones go by age.
    pub(crate) place: Place,
    /// The JSON of the item on its own, with its context.
    pub(crate) entity: Bytes,
    /// Where in `entity` the members begin, without context and opening brace.
    members_at: usize,
    /// The JSON of the version before, for answers that lag behind.
    pub(crate) previous: Option<Bytes>,
}

/// What an item is sorted and filtered by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// The folder it lies in; empty where there are none.
    pub(crate) folder: Arc<str>,
    /// From when; only events.
    pub(crate) start: Timestamp,
    /// Until when; only events.
    pub(crate) end: Timestamp,
}

impl Item {
    /// A version of an item from all its members. `context` is the value of `@odata.context`.
    pub(crate) fn new(
        fields: Map<String, Value>,
        place: Place,
        context: &str,
        previous: Option<&Self>,
    ) -> Self {
        let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
        let id = Arc::from(text("id"));
        let etag = text("@odata.etag").to_owned();
        let members =
            serde_json::to_string(&fields).expect("invariant: a map of JSON values is JSON");
        let head = format!("{{\"@odata.context\":{},", Value::from(context));
        let members_at = head.len();
        let entity = Bytes::from(head + &members[1..]);
        Self {
            id,
            etag,
            fields,
            place,
            entity,
            members_at,
            previous: previous.map(|item| item.entity.clone()),
        }
    }

    /// Appends the JSON of the item as a list holds it: without context.
    pub(crate) fn append_to(&self, list: &mut Vec<u8>) {
        list.push(b'{');
        list.extend_from_slice(&self.entity[self.members_at..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_sent_with_its_context_alone_and_without_it_in_a_list() {
        let fields = serde_json::json!({"id": "AAMk=", "@odata.etag": "W/\"1\"", "subject": "a"});
        let Value::Object(fields) = fields else {
            unreachable!()
        };
        let item = Item::new(fields.clone(), Place::default(), "ctx", None);
        let whole: Value = serde_json::from_slice(&item.entity).unwrap();
        assert_eq!(whole["@odata.context"], "ctx");
        assert_eq!(whole["subject"], "a");
        let mut listed = Vec::new();
        item.append_to(&mut listed);
        assert_eq!(
            serde_json::from_slice::<Value>(&listed).unwrap(),
            Value::Object(fields)
        );
    }
}
