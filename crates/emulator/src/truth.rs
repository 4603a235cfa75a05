//! What is true: the last state of everything that changed, whoever changed it and whatever was told of it.
//!
//! A test compares it with what an app was told: see [`differences`].

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use tidings_domain::{Timestamp, resource::ChangeType};
use uuid::Uuid;

/// What is true of one thing that has changed since truth is kept.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fact {
    /// The tenant it is in.
    pub tenant_id: Uuid,
    /// Its path in canonical form: `users/{id}/events/{id}`.
    pub path: String,
    /// Its members as Graph shows them now; `None` once it is gone.
    pub object: Option<Value>,
    /// What happened to it, oldest first.
    pub changes: Vec<Change>,
}

/// One change, as notifications call it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// `created`, `updated` or `deleted`.
    pub change: &'static str,
    /// The etag after it, where the thing has one.
    pub etag: Option<String>,
}

/// The last that an app was told of a thing.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// That it is gone.
    Gone,
    /// Its members, or some of them.
    Shown(Value),
}

/// Where an app that was told of changes is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "difference", rename_all = "snake_case")]
pub enum Difference {
    /// It was told that something is gone which is not.
    NotGone {
        /// The path of the thing.
        path: String,
    },
    /// It knows of something and was not told that it is gone.
    NotTold {
        /// The path of the thing.
        path: String,
    },
    /// It was told an older state than the last.
    Stale {
        /// The path of the thing.
        path: String,
    },
    /// It was told of something that has never changed.
    Unknown {
        /// The path of the thing.
        path: String,
    },
    /// It does not know of something that is there.
    Unheard {
        /// The path of the thing.
        path: String,
    },
}

/// Everything that changed. Nothing is kept until somebody asks for it: a benchmark makes millions of changes.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    kept: AtomicBool,
    things: Mutex<BTreeMap<String, Thing>>,
}

#[derive(Debug)]
struct Thing {
    tenant: Uuid,
    entity: Option<Bytes>,
    changes: Vec<Change>,
}

/// A change as it happens.
pub(crate) struct Happened<'a> {
    /// The tenant.
    pub(crate) tenant: Uuid,
    /// The canonical path of the thing.
    pub(crate) path: String,
    /// The JSON of the thing; `None` if it is gone.
    pub(crate) entity: Option<Bytes>,
    /// Its etag.
    pub(crate) etag: Option<&'a str>,
    /// What notifications call it.
    pub(crate) change: ChangeType,
}

impl Truth {
    /// Keeps what happens from now on.
    pub(crate) fn keep(&self) {
        self.kept.store(true, Ordering::Release);
    }

    /// Whether anything is kept.
    pub(crate) fn is_kept(&self) -> bool {
        self.kept.load(Ordering::Acquire)
    }

    /// Keeps a change.
    pub(crate) fn happened(&self, happened: Happened<'_>, at: Timestamp) {
        let mut things = self.things.lock().unwrap_or_else(PoisonError::into_inner);
        let thing = things.entry(happened.path).or_insert_with(|| Thing {
            tenant: happened.tenant,
            entity: None,
            changes: Vec::new(),
        });
        thing.entity = happened.entity;
        thing.changes.push(Change {
            at,
            change: happened.change.as_str(),
            etag: happened.etag.map(str::to_owned),
        });
    }

    /// Everything that is kept, by path.
    pub(crate) fn facts(&self) -> Vec<Fact> {
        let things = self.things.lock().unwrap_or_else(PoisonError::into_inner);
        things
            .iter()
            .map(|(path, thing)| Fact {
                tenant_id: thing.tenant,
                path: path.clone(),
                object: thing.entity.as_ref().map(|entity| members(entity)),
                changes: thing.changes.clone(),
            })
            .collect()
    }
}

fn members(entity: &[u8]) -> Value {
    let mut members: Value =
        serde_json::from_slice(entity).expect("invariant: the emulator wrote this JSON");
    if let Value::Object(members) = &mut members {
        members.remove("@odata.context");
    }
    members
}

/// Where what an app was told, by path, differs from what is true. Something that came and went before the app heard of it is no
/// difference.
pub fn differences(facts: &[Fact], told: &BTreeMap<String, Told>) -> Vec<Difference> {
    let known: BTreeMap<&str, &Fact> = facts.iter().map(|fact| (&*fact.path, fact)).collect();
    let mut found: Vec<Difference> = told
        .keys()
        .filter(|path| !known.contains_key(path.as_str()))
        .map(|path| Difference::Unknown { path: path.clone() })
        .collect();
    for fact in facts {
        let path = fact.path.clone();
        match (&fact.object, told.get(&fact.path)) {
            (None, None | Some(Told::Gone)) => {}
            (None, Some(Told::Shown(_))) => found.push(Difference::NotTold { path }),
            (Some(_), None) => found.push(Difference::Unheard { path }),
            (Some(_), Some(Told::Gone)) => found.push(Difference::NotGone { path }),
            (Some(now), Some(Told::Shown(shown))) => {
                if !is_shown(now, shown) {
                    found.push(Difference::Stale { path });
                }
            }
        }
    }
    found
}

/// Whether `shown` is the state `now`: by etag where both have one, else by the members that were shown.
fn is_shown(now: &Value, shown: &Value) -> bool {
    // Files have theirs among their members.
    let etag = |value: &Value| value.get("@odata.etag").or(value.get("eTag")).cloned();
    if let (Some(now), Some(shown)) = (etag(now), etag(shown)) {
        return now == shown;
    }
    shown.as_object().is_some_and(|members| {
        members
            .iter()
            .filter(|(name, _)| !name.starts_with('@'))
            .all(|(name, value)| now.get(name) == Some(value))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fact(path: &str, object: Option<Value>) -> Fact {
        Fact {
            tenant_id: Uuid::nil(),
            path: path.to_owned(),
            object,
            changes: Vec::new(),
        }
    }

    #[test]
    fn each_kind_of_error_is_found_and_what_is_right_is_not() {
        let facts = [
            fact("deaf", Some(json!({"@odata.etag": "1"}))),
            fact("flash", None),
            fact("ghost", None),
            fact("file", Some(json!({"eTag": "7", "name": "f"}))),
            fact("gone", None),
            fact("killed", Some(json!({"id": "k"}))),
            fact("late", Some(json!({"@odata.etag": "2", "a": 1}))),
            fact("plain", Some(json!({"id": "p", "a": 1, "b": 2}))),
            fact("right", Some(json!({"@odata.etag": "3", "a": 1}))),
            fact("wrong", Some(json!({"id": "w", "a": 1}))),
        ];
        let shown = |value| Told::Shown(value);
        let told = BTreeMap::from(
            [
                ("ghost", shown(json!({}))),
                (
                    "file",
                    shown(json!({"eTag": "7", "name": "f", "path": "/f"})),
                ),
                ("gone", Told::Gone),
                ("killed", Told::Gone),
                ("late", shown(json!({"@odata.etag": "1", "a": 1}))),
                ("plain", shown(json!({"@odata.context": "x", "a": 1}))),
                ("right", shown(json!({"@odata.etag": "3"}))),
                ("strange", Told::Gone),
                ("wrong", shown(json!({"id": "w", "a": 2}))),
            ]
            .map(|(path, told)| (path.to_owned(), told)),
        );
        let path = |path: &str| path.to_owned();
        assert_eq!(
            differences(&facts, &told),
            [
                Difference::Unknown {
                    path: path("strange")
                },
                Difference::Unheard { path: path("deaf") },
                Difference::NotTold {
                    path: path("ghost")
                },
                Difference::NotGone {
                    path: path("killed")
                },
                Difference::Stale { path: path("late") },
                Difference::Stale {
                    path: path("wrong")
                },
            ]
        );
    }
}
