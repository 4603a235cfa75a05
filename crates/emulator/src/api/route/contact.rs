//! Paths of contacts and their folders.

use std::borrow::Cow;

use http::Method;

/// Contacts or contact folders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::api) enum ContactRoute<'a> {
    Collection {
        user: Cow<'a, str>,
        folder: Option<Cow<'a, str>>,
    },
    Folder {
        user: Cow<'a, str>,
        folder: Cow<'a, str>,
    },
    Folders {
        user: Cow<'a, str>,
        parent: Option<Cow<'a, str>>,
    },
    Single {
        user: Cow<'a, str>,
        folder: Option<Cow<'a, str>>,
        id: Cow<'a, str>,
    },
}

impl<'a> ContactRoute<'a> {
    pub(super) fn parse(words: &[&str], at: impl Fn(usize) -> Cow<'a, str>) -> Option<Self> {
        Some(match *words {
            ["users", _, "contacts"] => Self::Collection {
                user: at(1),
                folder: None,
            },
            ["users", _, "contacts", _] => Self::Single {
                user: at(1),
                folder: None,
                id: at(3),
            },
            ["users", _, "contactfolders"] => Self::Folders {
                user: at(1),
                parent: None,
            },
            ["users", _, "contactfolders", _] => Self::Folder {
                user: at(1),
                folder: at(3),
            },
            ["users", _, "contactfolders", _, "childfolders"] => Self::Folders {
                user: at(1),
                parent: Some(at(3)),
            },
            ["users", _, "contactfolders", _, "contacts"] => Self::Collection {
                user: at(1),
                folder: Some(at(3)),
            },
            ["users", _, "contactfolders", _, "contacts", _] => Self::Single {
                user: at(1),
                folder: Some(at(3)),
                id: at(5),
            },
            _ => return None,
        })
    }

    pub(super) fn count_name(&self, method: &Method) -> &'static str {
        match self {
            Self::Collection { .. } => by_method!(method, "users/{id}/contacts"),
            Self::Folder { .. } => by_method!(method, "users/{id}/contactFolders/{id}"),
            Self::Folders { .. } => by_method!(method, "users/{id}/contactFolders"),
            Self::Single { .. } => by_method!(method, "users/{id}/contacts/{id}"),
        }
    }
}
