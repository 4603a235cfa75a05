//! Who of a tenant's users is watched.
//!
//! Guests are not: their mailboxes are elsewhere. Where a mailbox is watched, whoever has no mail address has none, as a
//! rule (Microsoft's "user resource type" page on `mail`); shared mailboxes and rooms have one, and are watched, though
//! nobody can sign in to them. Where Graph refuses somebody all the same, the row says why.

use std::collections::HashMap;

use serde::{Deserialize, Deserializer};
use tidings_graph::{
    resource::{ItemPath, PolicyPath},
    wire::collection::Entry,
};

/// What becomes of a user who is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// There is no such user any more.
    Gone,
    /// It does not say enough.
    InPart,
    /// There is nothing to watch.
    NotWatched,
    /// There is, and these are the user's other names.
    Watched(Vec<String>),
}

/// What is looked at of a user.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Looked {
    #[serde(default)]
    mail: Member,
    #[serde(default)]
    user_principal_name: Member,
    #[serde(default)]
    user_type: Member,
}

/// A member of a user's JSON.
#[derive(Debug, Default, PartialEq, Eq)]
enum Member {
    /// It is not there: nothing is said of it.
    #[default]
    Absent,
    /// It is `null`, or empty.
    Empty,
    Text(String),
}

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text: Option<String> = Option::deserialize(deserializer)?;
        Ok(match text {
            Some(text) if !text.is_empty() => Self::Text(text),
            _ => Self::Empty,
        })
    }
}

impl Member {
    fn text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            Self::Absent | Self::Empty => None,
        }
    }
}

/// The last of what a page shows of each: an order of their own they have not.
pub(super) fn last_of_each(entries: Vec<Entry>) -> Vec<Entry> {
    let mut places: HashMap<String, usize> = HashMap::with_capacity(entries.len());
    let mut last: Vec<Entry> = Vec::with_capacity(entries.len());
    for entry in entries {
        if let Some(&place) = places.get(&entry.id) {
            last[place] = entry;
        } else {
            places.insert(entry.id.clone(), last.len());
            last.push(entry);
        }
    }
    last
}

/// Reads an entry. In a pass over all there are (`whole`) it tells everything, and what is missing is not there.
pub(super) fn read(entry: &Entry, path: &PolicyPath, whole: bool) -> Shown {
    if entry.removed.is_some() {
        return Shown::Gone;
    }
    let looked: Looked = serde_json::from_slice(&entry.object).unwrap_or_default();
    let in_part = looked.mail == Member::Absent || looked.user_principal_name == Member::Absent;
    if in_part && !whole {
        return Shown::InPart;
    }
    judge(looked, path)
}

/// Reads a user as a GET shows them.
pub(super) fn read_whole(object: &[u8], path: &PolicyPath) -> Shown {
    judge(serde_json::from_slice(object).unwrap_or_default(), path)
}

/// The user with this id, to be asked for.
pub(super) fn item(id: &str) -> Option<ItemPath> {
    ItemPath::parse(&format!("users/{id}")).ok()
}

fn judge(looked: Looked, path: &PolicyPath) -> Shown {
    let mail = looked.mail.text();
    let name = looked.user_principal_name.text();
    // The name of a guest has this in it ("Properties of a Microsoft Entra B2B collaboration user").
    let is_guest = looked
        .user_type
        .text()
        .is_some_and(|kind| kind.eq_ignore_ascii_case("guest"))
        || name.as_deref().is_some_and(|name| name.contains("#EXT#"));
    let needs_mailbox = path.sample().mailbox().is_some();
    if is_guest || (needs_mailbox && mail.is_none()) {
        return Shown::NotWatched;
    }
    Shown::Watched([name, mail].into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tidings_graph::wire::collection::Page;

    use super::*;

    fn entries(json: &str) -> Vec<Entry> {
        let body = format!(r#"{{"value":[{json}]}}"#);
        Page::parse(&Bytes::from(body)).unwrap().entries
    }

    fn shown(path: &str, json: &str, whole: bool) -> Shown {
        let path = PolicyPath::parse(path).unwrap();
        read(&entries(json)[0], &path, whole)
    }

    #[test]
    fn who_has_a_mailbox_is_watched_and_guests_are_not() {
        let watched =
            |names: &[&str]| Shown::Watched(names.iter().map(ToString::to_string).collect());
        for (json, events, drive) in [
            (
                r#"{"id":"1","userPrincipalName":"a@x","mail":"A@x","userType":"Member"}"#,
                watched(&["a@x", "A@x"]),
                watched(&["a@x", "A@x"]),
            ),
            (
                r#"{"id":"1","userPrincipalName":"room@x","mail":"room@x","accountEnabled":false}"#,
                watched(&["room@x", "room@x"]),
                watched(&["room@x", "room@x"]),
            ),
            (
                r#"{"id":"1","userPrincipalName":"a@x","mail":null}"#,
                Shown::NotWatched,
                watched(&["a@x"]),
            ),
            (
                r#"{"id":"1","userPrincipalName":"a_y#EXT#@x","mail":"a@y"}"#,
                Shown::NotWatched,
                Shown::NotWatched,
            ),
            (
                r#"{"id":"1","userPrincipalName":"a@x","mail":"a@x","userType":"Guest"}"#,
                Shown::NotWatched,
                Shown::NotWatched,
            ),
            (
                r#"{"id":"1","@removed":{"reason":"changed"}}"#,
                Shown::Gone,
                Shown::Gone,
            ),
        ] {
            assert_eq!(shown("users/*/events", json, false), events, "{json}");
            assert_eq!(shown("users/*/drive/root", json, false), drive, "{json}");
        }
    }

    #[test]
    fn a_change_that_tells_only_what_has_changed_is_no_answer() {
        let json = r#"{"id":"1","userType":"Member","userPrincipalName":"a@x"}"#;
        assert_eq!(shown("users/*/events", json, false), Shown::InPart);
        assert_eq!(shown("users/*/events", json, true), Shown::NotWatched);
    }

    #[test]
    fn of_what_a_page_shows_twice_the_last_counts() {
        let shown = entries(r#"{"id":"1","mail":"a"},{"id":"2"},{"id":"1","@removed":{}}"#);
        let last = last_of_each(shown);
        assert_eq!((last.len(), last[0].id.as_str()), (2, "1"));
        assert!(last[0].removed.is_some());
    }
}
