//! Contacts (Microsoft's "contact resource type" page).

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{
    InvalidItem,
    item::{Item, Place},
    stamp::{Stamp, overlay},
};

/// A new contact from a client's members, in `folder`.
pub(super) fn create(
    members: Map<String, Value>,
    folder: &Arc<str>,
    stamp: &Stamp<'_>,
) -> Result<Item, InvalidItem> {
    let mut fields = defaults();
    overlay(&mut fields, members);
    stamp.mint(&mut fields);
    finish(fields, folder, stamp, None)
}

/// A contact with a client's members in place of its own.
pub(super) fn update(
    current: &Item,
    members: Map<String, Value>,
    stamp: &Stamp<'_>,
) -> Result<Item, InvalidItem> {
    let mut fields = current.fields.clone();
    overlay(&mut fields, members);
    finish(fields, &current.place.folder, stamp, Some(current))
}

fn finish(
    mut fields: Map<String, Value>,
    folder: &Arc<str>,
    stamp: &Stamp<'_>,
    previous: Option<&Item>,
) -> Result<Item, InvalidItem> {
    let addresses = fields.get("emailAddresses").and_then(Value::as_array);
    if !addresses.is_some_and(|list| list.iter().all(Value::is_object)) {
        return Err(InvalidItem::Member {
            member: "emailAddresses".to_owned(),
            problem: "an array of objects with name and address is expected".to_owned(),
        });
    }
    // Outlook makes the name that is shown from the others where there is none.
    if fields.get("displayName").is_none_or(Value::is_null) {
        let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
        let name = format!("{} {}", text("givenName"), text("surname"));
        let name = name.trim().to_owned();
        fields.insert("displayName".into(), name.into());
    }
    fields.insert("parentFolderId".into(), (&**folder).into());
    stamp.renew(&mut fields);
    let place = Place {
        folder: Arc::clone(folder),
        ..Place::default()
    };
    Ok(Item::new(
        fields,
        place,
        &stamp.context("contacts"),
        previous,
    ))
}

fn defaults() -> Map<String, Value> {
    let fields = json!({
        "assistantName": null,
        "birthday": null,
        "businessAddress": {},
        "businessHomePage": null,
        "businessPhones": [],
        "categories": [],
        "children": [],
        "companyName": null,
        "department": null,
        "displayName": null,
        "emailAddresses": [],
        "fileAs": "",
        "generation": null,
        "givenName": null,
        "homeAddress": {},
        "homePhones": [],
        "imAddresses": [],
        "initials": null,
        "jobTitle": null,
        "manager": null,
        "middleName": null,
        "mobilePhone": null,
        "nickName": null,
        "officeLocation": null,
        "otherAddress": {},
        "personalNotes": "",
        "profession": null,
        "spouseName": null,
        "surname": null,
        "title": null,
        "yomiCompanyName": null,
        "yomiGivenName": null,
        "yomiSurname": null,
    });
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use tidings_domain::entropy::SeededEntropy;
    use uuid::Uuid;

    use super::*;
    use crate::{delta::Moment, mailbox::Author};

    #[test]
    fn a_contact_is_shown_by_its_names_unless_it_says_how() {
        let entropy = SeededEntropy::new(1);
        let stamp = Stamp {
            moment: Moment::default(),
            entropy: &entropy,
            author: Author {
                user: Uuid::nil(),
                name: "Ada Byron",
                mail: "ada@fabrikam.example",
            },
        };
        let make = |members: Value| {
            let members = members.as_object().unwrap().clone();
            create(members, &Arc::from("f"), &stamp)
        };
        let plain = make(json!({"givenName": "Bo", "surname": "Ek"})).unwrap();
        assert_eq!(plain.fields["displayName"], "Bo Ek");
        assert_eq!(plain.fields["parentFolderId"], "f");
        let named = make(json!({"givenName": "Bo", "displayName": "B."})).unwrap();
        assert_eq!(named.fields["displayName"], "B.");
        assert!(make(json!({"emailAddresses": ["bo@x.example"]})).is_err());
    }
}
