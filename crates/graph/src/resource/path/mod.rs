//! Paths of subscriptions and of changed items, in every form that Graph writes and people type.
//!
//! Graph is free in casing, in leading slashes, in `Users/{id}` or `Users('{id}')`, in naming a user `{id}@{tenant}`.
//! A path read here is one of the table's templates with ids put in, and is written anew from them: nothing of the
//! text that came in reaches a request but ids, encoded.

use std::fmt;

use tidings_domain::resource::{ChangeType, ChangeTypes, ResourceKind};
use url::form_urlencoded;
use uuid::Uuid;

use super::{
    enumeration::{DeltaRequest, Enumeration, ListRequest, MailFolders, WindowRequest},
    table::{By, Changes, EnumerationRow, Lifetime, ResourceRow},
};

mod filled;
mod policy;
mod template;
mod token;

#[cfg(test)]
mod tests;

use filled::Filled;
pub use policy::{Each, PolicyPath};
pub(in crate::resource) use token::encode_id;

/// The longest path that is read. The longest of Graph's ids have some 150 characters, and no path has more than four.
const MAX_PATH: usize = 2_048;

/// What a subscription watches, such as `users/{id}/events`.
///
/// ```
/// use tidings_graph::resource::SubscriptionPath;
///
/// let path = SubscriptionPath::parse("/Users/ada@contoso.example/Events?$select=subject")?;
/// assert_eq!(path.canonical(), "users/ada@contoso.example/events?$select=subject");
/// assert!(path.check("created,deleted".parse().unwrap()).is_ok());
/// # Ok::<(), tidings_graph::resource::path::PathError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionPath {
    filled: Filled,
    /// Path and query as they are sent to Graph.
    canonical: String,
}

impl SubscriptionPath {
    /// Reads what somebody wants to watch.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let text = text.trim();
        let (path, query) = match text.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (text, None),
        };
        // Microsoft writes `security/alerts/?$filter=…`.
        let path = path.strip_suffix('/').unwrap_or(path);
        let mut filled = template::fill(path, template::subscriptions())?;
        filled.shrink();
        let mut canonical = filled.canonical().to_owned();
        if let Some(query) = query.filter(|query| !query.is_empty()) {
            check_query(query)?;
            canonical.push('?');
            canonical.push_str(query);
        }
        Ok(Self { filled, canonical })
    }

    /// Its row of the table.
    pub fn row(&self) -> &'static ResourceRow {
        self.filled.row()
    }

    /// What is watched.
    pub fn kind(&self) -> ResourceKind {
        self.row().kind
    }

    /// Without a leading slash, words in Microsoft's casing, ids as they were given (GUIDs in lower case), the query as
    /// it was given.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// Whose it is: the id or name of a user, `me`, or `None` where the path begins with no user.
    pub fn owner(&self) -> Option<&str> {
        self.filled.owner()
    }

    /// The mailbox it is in; `None` for what is in none.
    pub fn mailbox(&self) -> Option<&str> {
        self.filled.mailbox()
    }

    /// The changes that can be asked for.
    pub fn allowed_changes(&self) -> &'static [ChangeType] {
        self.row().changes.allowed()
    }

    /// How long a subscription to it lives.
    pub fn lifetime(&self) -> Lifetime {
        self.row().lifetime
    }

    /// Checks that `changes` can be asked for.
    pub fn check(&self, changes: ChangeTypes) -> Result<(), PathError> {
        let Changes::Only(allowed) = self.row().changes else {
            return Ok(());
        };
        match changes.iter().find(|change| !allowed.contains(change)) {
            None => Ok(()),
            Some(refused) => Err(PathError::Change {
                refused,
                name: self.row().name,
                allowed: ChangeTypes::new(allowed.iter().copied())
                    .map(|changes| changes.to_string())
                    .unwrap_or_default(),
                note: self.row().note,
            }),
        }
    }
}

impl SubscriptionPath {
    /// How all that is watched can be enumerated.
    pub fn enumeration(&self) -> Enumeration {
        let Some(row) = self.enumeration_row() else {
            return Enumeration::None {
                why: "Graph has no delta query for this resource, or none that Tidings uses",
            };
        };
        let request = |template| self.filled.request(template);
        match row.by {
            By::Get => match self.filled.item(row.item, None) {
                Ok(filled) => Enumeration::Single(ItemPath { filled }),
                Err(_) => Enumeration::None {
                    why: "what is watched is no item that could be fetched",
                },
            },
            // What passes the filter of a subscription cannot be told from what does not.
            _ if self.is_filtered() => Enumeration::None {
                why: "the subscription has a filter, which a delta query cannot have",
            },
            By::Delta(template) => Enumeration::Delta(DeltaRequest::new(request(template))),
            By::DeltaInWindow(template) => {
                Enumeration::DeltaInWindow(WindowRequest::new(request(template)))
            }
            By::DeltaPerMailFolder { folders, messages } => Enumeration::DeltaPerMailFolder(
                MailFolders::new(request(folders), &request(messages)),
            ),
            By::Listing(template) => Enumeration::Listing(ListRequest::new(request(template))),
        }
    }

    /// The path of what an enumeration shows with this id: the one that notifications of this subscription name too,
    /// but for the user, who may stand there by another name.
    ///
    /// It depends on nothing but this subscription and the id, so that an entry that has gone has the path that it had.
    pub fn item(&self, id: &str) -> Result<ItemPath, PathError> {
        let row = self.enumeration_row().ok_or(PathError::NotEnumerable {
            name: self.row().name,
        })?;
        let last = (row.by != By::Get).then_some(id);
        let filled = self.filled.item(row.item, last)?;
        Ok(ItemPath { filled })
    }

    fn enumeration_row(&self) -> Option<&'static EnumerationRow> {
        let template = self.filled.template_text();
        self.row()
            .enumerations
            .iter()
            .find(|row| row.subscription == template)
    }

    fn is_filtered(&self) -> bool {
        let query = self
            .canonical
            .split_once('?')
            .map_or("", |(_, query)| query);
        form_urlencoded::parse(query.as_bytes()).any(|(name, _)| {
            let name = name.trim_start_matches('$');
            name.eq_ignore_ascii_case("filter") || name.eq_ignore_ascii_case("search")
        })
    }
}

impl fmt::Display for SubscriptionPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.canonical)
    }
}

/// A changed item, such as `users/{id}/events/{id}`.
///
/// ```
/// use tidings_graph::resource::{ItemPath, SubscriptionPath};
///
/// let item = ItemPath::parse("Users('8D0B3C3E-5A0F-4B3E-9C43-0A52C5A0E1F7')/messages('AAMk/AD=')")?;
/// assert_eq!(item.canonical(), "users/8d0b3c3e-5a0f-4b3e-9c43-0a52c5a0e1f7/messages/AAMk%2FAD=");
/// assert_eq!(item.request_path(), "v1.0/users/8d0b3c3e-5a0f-4b3e-9c43-0a52c5a0e1f7/messages/AAMk%2FAD=");
/// assert!(item.is_under(&SubscriptionPath::parse("users/8d0b3c3e-5a0f-4b3e-9c43-0a52c5a0e1f7/messages")?));
/// # Ok::<(), tidings_graph::resource::path::PathError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ItemPath {
    filled: Filled,
}

impl ItemPath {
    /// Reads the `resource` of a notification, or a canonical form.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        template::fill(text, template::items()).map(|filled| Self { filled })
    }

    /// Its row of the table, the first one where several have such items.
    pub fn row(&self) -> &'static ResourceRow {
        self.filled.row()
    }

    /// What it is.
    pub fn kind(&self) -> ResourceKind {
        self.row().kind
    }

    /// Without a leading slash, words in Microsoft's casing, ids decoded but for what has a meaning in paths (`/` is
    /// `%2F`), GUIDs in lower case. Reading it again gives the same path.
    pub fn canonical(&self) -> &str {
        self.filled.canonical()
    }

    /// What to ask Graph for, from the root of its host on, without a leading slash: the version and the path, encoded.
    pub fn request_path(&self) -> String {
        self.filled.request_path()
    }

    /// The mailbox it is in; `None` for what is in none. Graph limits calls per mailbox.
    pub fn mailbox(&self) -> Option<&str> {
        self.filled.mailbox()
    }

    /// The tenant that stood beside the user's id (`{id}@{tenant}`), if one did.
    pub fn tenant(&self) -> Option<Uuid> {
        self.filled.tenant()
    }

    /// Whether the subscription can have brought it: it is such an item, and no id that both name differs. A user by
    /// id and a user by name cannot be told apart, and Graph names mail without its folder: these count as fitting.
    pub fn is_under(&self, subscription: &SubscriptionPath) -> bool {
        subscription
            .row()
            .items
            .contains(&self.filled.template_text())
            && self.filled.agrees_with(&subscription.filled)
    }
}

impl fmt::Display for ItemPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.canonical())
    }
}

/// Why a text is no path that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It is a whole URL.
    #[error("give the path without `https://…/v1.0/`, such as `users/{{id}}/events`")]
    AbsoluteUrl,
    /// The resource does not tell of this change.
    #[error("{name} has no `{refused}`: ask for {allowed}. {note}")]
    Change {
        /// What was asked for.
        refused: ChangeType,
        /// Of what.
        name: &'static str,
        /// What can be asked for.
        allowed: String,
        /// What else is worth knowing.
        note: &'static str,
    },
    /// There is nothing.
    #[error("the path is empty")]
    Empty,
    /// What a subscription watches cannot be enumerated.
    #[error("what a subscription to a {name} watches cannot be enumerated")]
    NotEnumerable {
        /// What is watched.
        name: &'static str,
    },
    /// The query is none that Graph takes.
    #[error("the query of the path {problem}")]
    Query {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A part of it cannot stand in a path.
    #[error("the part `{part}` of the path {problem}")]
    Segment {
        /// The part, cut to 64 characters.
        part: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// It is longer than any path of Graph.
    #[error("the path has more than {MAX_PATH} characters")]
    TooLong,
    /// No row of the table has such a path.
    #[error("`{path}` is not in the table of resources: use one of {offered}")]
    Unknown {
        /// The path, cut to 128 characters.
        path: String,
        /// The templates that are nearest.
        offered: String,
    },
}

fn check_query(query: &str) -> Result<(), PathError> {
    if query.len() > MAX_PATH {
        return Err(PathError::TooLong);
    }
    let problem = if query.chars().any(char::is_control) {
        "has a control character"
    } else if query.contains('#') {
        "has a `#`: write `%23`"
    } else {
        return Ok(());
    };
    Err(PathError::Query { problem })
}
