//! One user.

use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tidings_domain::Entropy;
use uuid::Uuid;

use super::UserInfo;
use crate::{
    delta::Moment,
    drive::Drive,
    mailbox::{
        Author, Mailbox, Stamp,
        item::{Item, Place},
    },
};

/// One user: their profile, their mailbox, their drive.
#[derive(Debug)]
pub(crate) struct User {
    /// Their id.
    pub(crate) id: Uuid,
    /// Their address and sign-in name.
    pub(crate) mail: String,
    /// Their name when they were added: what stands in the items they make.
    pub(crate) name: String,
    /// Their drive.
    pub(crate) drive: Drive,
    /// Their mailbox.
    pub(crate) mailbox: Mailbox,
    profile: RwLock<Arc<Item>>,
}

/// A user to add.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// Their id; one is made if it is missing.
    #[serde(default)]
    pub id: Option<Uuid>,
    /// Their address.
    pub mail: String,
    /// The name that people see; the address if it is missing.
    #[serde(default)]
    pub name: Option<String>,
}

/// Members that a client cannot change.
const READ_ONLY: &[&str] = &["@odata.context", "id", "mail", "userPrincipalName"];

impl User {
    /// A user with an empty mailbox.
    pub(crate) fn new(id: Uuid, mail: String, name: String, entropy: &dyn Entropy) -> Self {
        let (given, family) = name.split_once(' ').unwrap_or((&name, ""));
        let profile = json!({
            "businessPhones": [],
            "displayName": name,
            "givenName": given,
            "id": id,
            "jobTitle": null,
            "mail": mail,
            "mobilePhone": null,
            "officeLocation": null,
            "preferredLanguage": null,
            "surname": family,
            "userPrincipalName": mail,
        });
        let profile = profile.as_object().cloned().unwrap_or_default();
        Self {
            id,
            mail,
            drive: Drive::new(id, entropy),
            mailbox: Mailbox::new(entropy),
            profile: RwLock::new(Arc::new(render(profile, None))),
            name,
        }
    }

    /// The same with members of the profile that a client gives.
    pub(crate) fn with(self, members: Map<String, Value>) -> Self {
        self.update(members);
        self
    }

    /// Their profile as it is now.
    pub(crate) fn profile(&self) -> Arc<Item> {
        let profile = self.profile.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&profile)
    }

    /// Changes members of their profile. Only their tenant does, which notes the change.
    pub(super) fn update(&self, members: Map<String, Value>) -> Arc<Item> {
        let mut profile = self.profile.write().unwrap_or_else(PoisonError::into_inner);
        let mut fields = profile.fields.clone();
        for (name, value) in members {
            if !READ_ONLY.contains(&name.as_str()) {
                fields.insert(name, value);
            }
        }
        *profile = Arc::new(render(fields, Some(&profile)));
        Arc::clone(&profile)
    }

    /// What the service writes into an item of theirs that changes at `moment`.
    pub(crate) fn stamp<'a>(&'a self, moment: Moment, entropy: &'a dyn Entropy) -> Stamp<'a> {
        Stamp {
            moment,
            entropy,
            author: Author {
                user: self.id,
                name: &self.name,
                mail: &self.mail,
            },
        }
    }

    /// Their id and address.
    pub(crate) fn info(&self) -> UserInfo {
        UserInfo {
            id: self.id,
            mail: self.mail.clone(),
        }
    }

    /// The JSON of their profile on its own.
    pub(crate) fn entity(&self) -> Bytes {
        self.profile().entity.clone()
    }
}

fn render(fields: Map<String, Value>, previous: Option<&Item>) -> Item {
    Item::new(
        fields,
        Place::default(),
        "https://graph.microsoft.com/v1.0/$metadata#users/$entity",
        previous,
    )
}

#[cfg(test)]
mod tests {
    use tidings_domain::entropy::SeededEntropy;

    use super::*;

    #[test]
    fn a_profile_changes_but_not_its_id_and_address() {
        let entropy = SeededEntropy::new(1);
        let user = User::new(
            Uuid::nil(),
            "ada@x.example".into(),
            "Ada Byron".into(),
            &entropy,
        );
        let members = json!({"jobTitle": "Countess", "id": "other", "mail": "other"});
        user.update(members.as_object().unwrap().clone());
        let profile: Value = serde_json::from_slice(&user.entity()).unwrap();
        assert_eq!(profile["jobTitle"], "Countess");
        assert_eq!(profile["mail"], "ada@x.example");
        assert_eq!(profile["surname"], "Byron");
        assert_eq!(profile["id"], Uuid::nil().to_string());
    }
}
