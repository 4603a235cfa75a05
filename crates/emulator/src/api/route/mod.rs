//! What a path means.
//!
//! Graph takes `users/{id}/events/{id}` and `users('{id}')/events('{id}')`, and its words in any case.

/// The name under which a call is counted: method and path template.
macro_rules! by_method {
    ($method:expr, $path:literal) => {
        match *$method {
            http::Method::GET => concat!("GET ", $path),
            http::Method::POST => concat!("POST ", $path),
            http::Method::PATCH => concat!("PATCH ", $path),
            http::Method::PUT => concat!("PUT ", $path),
            http::Method::DELETE => concat!("DELETE ", $path),
            _ => concat!("other ", $path),
        }
    };
}

mod contact;
mod delta;
mod drive;
mod group;

use std::borrow::Cow;

use http::Method;
use percent::decode;

pub(super) use contact::ContactRoute;
pub(super) use delta::DeltaRoute;
pub(super) use drive::{DriveName, DrivePart, DrivePlace, DriveRoute};
pub(super) use group::GroupRoute;

/// What a path means, with the ids in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    CalendarView {
        user: Cow<'a, str>,
    },
    Contact(ContactRoute<'a>),
    DeletedItem {
        id: Cow<'a, str>,
    },
    Delta(DeltaRoute<'a>),
    Event {
        user: Cow<'a, str>,
        id: Cow<'a, str>,
    },
    Events {
        user: Cow<'a, str>,
    },
    Folder {
        user: Cow<'a, str>,
        folder: Cow<'a, str>,
    },
    Folders {
        user: Cow<'a, str>,
        parent: Option<Cow<'a, str>>,
    },
    Message {
        user: Cow<'a, str>,
        folder: Option<Cow<'a, str>>,
        id: Cow<'a, str>,
    },
    MessageMove {
        user: Cow<'a, str>,
        id: Cow<'a, str>,
    },
    Messages {
        user: Cow<'a, str>,
        folder: Option<Cow<'a, str>>,
    },
    Reauthorize {
        id: Cow<'a, str>,
    },
    Restore {
        id: Cow<'a, str>,
    },
    SendMail {
        user: Cow<'a, str>,
    },
    Subscription {
        id: Cow<'a, str>,
    },
    Subscriptions,
    User {
        user: Cow<'a, str>,
    },
    Users,
    Drive(DriveRoute<'a>),
    Group(GroupRoute<'a>),
    Me,
    Unknown,
}

impl<'a> Route<'a> {
    /// What `path`, below the version, means.
    pub(super) fn parse(path: &'a str) -> Self {
        let segments = segments(path);
        let lower: Vec<String> = segments
            .iter()
            .map(|segment| segment.to_ascii_lowercase())
            .collect();
        let words: Vec<&str> = lower.iter().map(String::as_str).collect();
        let at = |place: usize| segments[place].clone();
        if let Some(delta) = DeltaRoute::parse(&words, at) {
            return Self::Delta(delta);
        }
        if let Some(drive) = DriveRoute::parse(&words, at) {
            return Self::Drive(drive);
        }
        if let Some(group) = GroupRoute::parse(&words, at) {
            return Self::Group(group);
        }
        if let Some(contact) = ContactRoute::parse(&words, at) {
            return Self::Contact(contact);
        }
        match *words.as_slice() {
            ["users"] => Self::Users,
            ["users", _] => Self::User { user: at(1) },
            ["users", _, "events"] | ["users", _, "calendar", "events"] => {
                Self::Events { user: at(1) }
            }
            ["users", _, "events", _] => Self::Event {
                user: at(1),
                id: at(3),
            },
            ["users", _, "calendar", "events", _] => Self::Event {
                user: at(1),
                id: at(4),
            },
            ["users", _, "calendarview"] | ["users", _, "calendar", "calendarview"] => {
                Self::CalendarView { user: at(1) }
            }
            ["users", _, "messages"] => Self::Messages {
                user: at(1),
                folder: None,
            },
            ["users", _, "messages", _] => Self::Message {
                user: at(1),
                folder: None,
                id: at(3),
            },
            ["users", _, "messages", _, "move"] => Self::MessageMove {
                user: at(1),
                id: at(3),
            },
            ["users", _, "mailfolders"] => Self::Folders {
                user: at(1),
                parent: None,
            },
            ["users", _, "mailfolders", _, "childfolders"] => Self::Folders {
                user: at(1),
                parent: Some(at(3)),
            },
            ["users", _, "mailfolders", _] => Self::Folder {
                user: at(1),
                folder: at(3),
            },
            ["users", _, "mailfolders", _, "messages"] => Self::Messages {
                user: at(1),
                folder: Some(at(3)),
            },
            ["users", _, "mailfolders", _, "messages", _] => Self::Message {
                user: at(1),
                folder: Some(at(3)),
                id: at(5),
            },
            ["users", _, "sendmail"] => Self::SendMail { user: at(1) },
            ["directory", "deleteditems", _] => Self::DeletedItem { id: at(2) },
            ["directory", "deleteditems", _, "restore"] => Self::Restore { id: at(2) },
            ["subscriptions"] => Self::Subscriptions,
            ["subscriptions", _] => Self::Subscription { id: at(1) },
            ["subscriptions", _, "reauthorize"] => Self::Reauthorize { id: at(1) },
            ["me", ..] => Self::Me,
            _ => Self::Unknown,
        }
    }

    /// The name under which calls are counted.
    pub(super) fn count_name(&self, method: &Method) -> &'static str {
        match self {
            Self::CalendarView { .. } => by_method!(method, "users/{id}/calendarView"),
            Self::Contact(route) => route.count_name(method),
            Self::Delta(route) => route.count_name(method),
            Self::DeletedItem { .. } => by_method!(method, "directory/deletedItems/{id}"),
            Self::Event { .. } => by_method!(method, "users/{id}/events/{id}"),
            Self::Events { .. } => by_method!(method, "users/{id}/events"),
            Self::Folder { .. } => by_method!(method, "users/{id}/mailFolders/{id}"),
            Self::Folders { .. } => by_method!(method, "users/{id}/mailFolders"),
            Self::Message { .. } => by_method!(method, "users/{id}/messages/{id}"),
            Self::MessageMove { .. } => by_method!(method, "users/{id}/messages/{id}/move"),
            Self::Messages { .. } => by_method!(method, "users/{id}/messages"),
            Self::Reauthorize { .. } => by_method!(method, "subscriptions/{id}/reauthorize"),
            Self::Restore { .. } => by_method!(method, "directory/deletedItems/{id}/restore"),
            Self::SendMail { .. } => by_method!(method, "users/{id}/sendMail"),
            Self::Subscription { .. } => by_method!(method, "subscriptions/{id}"),
            Self::Subscriptions => by_method!(method, "subscriptions"),
            Self::User { .. } => by_method!(method, "users/{id}"),
            Self::Users => by_method!(method, "users"),
            Self::Drive(route) => route.count_name(method),
            Self::Group(route) => route.count_name(method),
            Self::Me => by_method!(method, "me"),
            Self::Unknown => by_method!(method, "unknown"),
        }
    }
}

/// The segments of a path, decoded, keys in quotes as segments of their own.
pub(crate) fn segments(path: &str) -> Vec<Cow<'_, str>> {
    let mut segments = Vec::with_capacity(6);
    for raw in path.split('/').filter(|raw| !raw.is_empty()) {
        let segment = decode(raw);
        let key = segment
            .strip_suffix("')")
            .and_then(|rest| rest.split_once("('"));
        match key {
            // A quote inside a key is doubled (OData's URL conventions).
            Some((word, key)) => {
                segments.push(Cow::Owned(word.to_owned()));
                segments.push(Cow::Owned(key.replace("''", "'")));
            }
            None => segments.push(segment),
        }
    }
    segments
}

mod percent {
    use std::borrow::Cow;

    /// Percent-decodes one segment. `+` stays `+`: this is no form.
    pub(super) fn decode(text: &str) -> Cow<'_, str> {
        if !text.contains('%') {
            return Cow::Borrowed(text);
        }
        let bytes = text.as_bytes();
        let mut decoded = Vec::with_capacity(bytes.len());
        let mut place = 0;
        while place < bytes.len() {
            let escaped = (bytes[place] == b'%')
                .then(|| bytes.get(place + 1..place + 3))
                .flatten()
                .and_then(|hex| std::str::from_utf8(hex).ok())
                .and_then(|hex| u8::from_str_radix(hex, 16).ok());
            if let Some(byte) = escaped {
                decoded.push(byte);
                place += 3;
            } else {
                decoded.push(bytes[place]);
                place += 1;
            }
        }
        Cow::Owned(String::from_utf8_lossy(&decoded).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_path_mean_the_same() {
        let plain = Route::parse("users/u1/events/AAMk-_=");
        assert_eq!(plain, Route::parse("Users('u1')/Events('AAMk-_%3D')"));
        assert_eq!(
            plain,
            Route::Event {
                user: "u1".into(),
                id: "AAMk-_=".into()
            }
        );
        assert_eq!(
            Route::parse("users/u1/mailFolders('inbox')/messages"),
            Route::Messages {
                user: "u1".into(),
                folder: Some("inbox".into())
            }
        );
    }

    #[test]
    fn ids_keep_their_case_and_are_decoded() {
        assert_eq!(
            Route::parse("users/Ada%40x.example"),
            Route::User {
                user: "Ada@x.example".into()
            }
        );
        assert_eq!(
            Route::parse("users/a+b%2"),
            Route::User {
                user: "a+b%2".into()
            }
        );
        assert_eq!(Route::parse("users/u/drives/d"), Route::Unknown);
    }

    #[test]
    fn calls_are_counted_by_method_and_template() {
        assert_eq!(
            Route::parse("users/u/events/e").count_name(&Method::GET),
            "GET users/{id}/events/{id}"
        );
    }
}
