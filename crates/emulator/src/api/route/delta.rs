//! Paths of delta queries, but for those of drives.

use std::borrow::Cow;

use http::Method;

/// A collection whose changes are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::api) enum DeltaRoute<'a> {
    ContactFolders {
        user: Cow<'a, str>,
    },
    Contacts {
        user: Cow<'a, str>,
        folder: Option<Cow<'a, str>>,
    },
    Events {
        user: Cow<'a, str>,
    },
    Groups,
    MailFolders {
        user: Cow<'a, str>,
    },
    Messages {
        user: Cow<'a, str>,
        folder: Cow<'a, str>,
    },
    Users,
}

impl<'a> DeltaRoute<'a> {
    pub(super) fn parse(words: &[&str], at: impl Fn(usize) -> Cow<'a, str>) -> Option<Self> {
        let (last, before) = words.split_last()?;
        // The short form, that of a function, and the full name, which Microsoft's libraries use.
        let bare = last.strip_suffix("()").unwrap_or(last);
        if !matches!(bare, "delta" | "microsoft.graph.delta") {
            return None;
        }
        match *before {
            ["groups"] => Some(Self::Groups),
            ["users"] => Some(Self::Users),
            ["users", _, "calendarview"] | ["users", _, "calendar", "calendarview"] => {
                Some(Self::Events { user: at(1) })
            }
            ["users", _, "contactfolders"] => Some(Self::ContactFolders { user: at(1) }),
            ["users", _, "contactfolders", _, "contacts"] => Some(Self::Contacts {
                user: at(1),
                folder: Some(at(3)),
            }),
            ["users", _, "contacts"] => Some(Self::Contacts {
                user: at(1),
                folder: None,
            }),
            ["users", _, "mailfolders"] => Some(Self::MailFolders { user: at(1) }),
            ["users", _, "mailfolders", _, "messages"] => Some(Self::Messages {
                user: at(1),
                folder: at(3),
            }),
            _ => None,
        }
    }

    pub(super) fn count_name(&self, method: &Method) -> &'static str {
        match self {
            Self::ContactFolders { .. } => by_method!(method, "users/{id}/contactFolders/delta"),
            Self::Contacts { .. } => by_method!(method, "users/{id}/contacts/delta"),
            Self::Events { .. } => by_method!(method, "users/{id}/calendarView/delta"),
            Self::Groups => by_method!(method, "groups/delta"),
            Self::MailFolders { .. } => by_method!(method, "users/{id}/mailFolders/delta"),
            Self::Messages { .. } => {
                by_method!(method, "users/{id}/mailFolders/{id}/messages/delta")
            }
            Self::Users => by_method!(method, "users/delta"),
        }
    }
}
