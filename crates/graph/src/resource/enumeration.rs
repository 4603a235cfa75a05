//! The requests that enumerate all that a subscription watches, so that it can be compared with what is known.

use tidings_domain::{Timestamp, resource::ResourceKind};

use super::{ItemPath, path::PathError};

/// How all that a subscription watches can be enumerated.
///
/// ```
/// use tidings_graph::resource::{Enumeration, SubscriptionPath};
///
/// let path = SubscriptionPath::parse("users/ada@contoso.example/contacts")?;
/// let Enumeration::Delta(request) = path.enumeration() else { panic!() };
/// assert_eq!(
///     request.as_str(),
///     "v1.0/users/ada@contoso.example/contacts/delta?$select=changeKey"
/// );
/// assert_eq!(path.item("AAMk/1=")?.canonical(), "users/ada@contoso.example/contacts/AAMk%2F1=");
/// # Ok::<(), tidings_graph::resource::path::PathError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Enumeration {
    /// By a delta query.
    Delta(DeltaRequest),
    /// By a delta query over a window of time.
    DeltaInWindow(WindowRequest),
    /// By a delta query for each folder of a mailbox.
    DeltaPerMailFolder(MailFolders),
    /// By a list, read whole.
    Listing(ListRequest),
    /// By a GET: one object is all that is watched.
    Single(ItemPath),
    /// Not at all.
    None {
        /// Why not, for people.
        why: &'static str,
    },
}

/// The first request of a delta query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeltaRequest {
    path: String,
}

impl DeltaRequest {
    pub(super) fn new(path: String) -> Self {
        Self { path }
    }

    /// All users of the tenant, with what tells whether one is a person with a mailbox
    /// ([`User`](crate::wire::user::User)).
    pub fn users() -> Self {
        Self::new(format!("v1.0/users/delta?$select={USER_MEMBERS}"))
    }

    /// From the root of Graph's host on, without a leading slash: the version, the path and the query, encoded.
    pub fn as_str(&self) -> &str {
        &self.path
    }
}

/// The first request of a delta query over a window of time. Graph binds the window to the links that follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowRequest {
    path: String,
}

impl WindowRequest {
    pub(super) fn new(path: String) -> Self {
        Self { path }
    }

    /// The request for the window from `start` to `end`.
    pub fn within(&self, start: Timestamp, end: Timestamp) -> DeltaRequest {
        DeltaRequest::new(format!(
            "{}?startDateTime={start}&endDateTime={end}",
            self.path
        ))
    }
}

/// The delta queries of a mailbox: one for its folders, one for the messages in each of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailFolders {
    folders: DeltaRequest,
    before: String,
    after: String,
}

impl MailFolders {
    /// `messages` has `{folder}` for the folder's id.
    pub(super) fn new(folders: String, messages: &str) -> Self {
        let (before, after) = messages.split_once("{folder}").unwrap_or((messages, ""));
        Self {
            folders: DeltaRequest::new(folders),
            before: before.to_owned(),
            after: after.to_owned(),
        }
    }

    /// The folders, those inside others too ([`MailFolder`](crate::wire::mail_folder::MailFolder)).
    pub fn folders(&self) -> &DeltaRequest {
        &self.folders
    }

    /// The messages in a folder.
    pub fn messages(&self, folder: &str) -> Result<DeltaRequest, PathError> {
        let folder = super::path::encode_id(folder)?;
        Ok(DeltaRequest::new(format!(
            "{}{folder}{}",
            self.before, self.after
        )))
    }
}

/// The first request of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListRequest {
    path: String,
}

impl ListRequest {
    pub(super) fn new(path: String) -> Self {
        Self { path }
    }

    /// All users of the tenant ([`User`](crate::wire::user::User)).
    pub fn users() -> Self {
        // 999 is the most that Graph gives on a page of them ("List users").
        Self::new(format!("v1.0/users?$select={USER_MEMBERS}&$top=999"))
    }

    /// The ids of those who are in a group, or who own it; `None` if `item` is no group.
    pub fn people_of(item: &ItemPath, people: People) -> Option<Self> {
        let people = match people {
            People::Members => "members",
            People::Owners => "owners",
        };
        // 999 is the most that Graph gives on a page of them ("List group members").
        (item.kind() == ResourceKind::Group).then(|| {
            Self::new(format!(
                "{}/{people}?$select=id&$top=999",
                item.request_path()
            ))
        })
    }

    /// All teams of the tenant, by their ids (Microsoft's "List teams" page). An app needs `Team.ReadBasic.All`.
    pub fn teams() -> Self {
        Self::new("v1.0/teams?$select=id".to_owned())
    }

    /// From the root of Graph's host on, without a leading slash: the version, the path and the query, encoded.
    pub fn as_str(&self) -> &str {
        &self.path
    }
}

/// What people are to a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum People {
    /// They are in it.
    Members,
    /// It is theirs.
    Owners,
}

const USER_MEMBERS: &str = "id,userPrincipalName,mail,accountEnabled,userType";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::SubscriptionPath;

    fn of(text: &str) -> Enumeration {
        SubscriptionPath::parse(text).unwrap().enumeration()
    }

    /// The requests of it, as text.
    fn asked(enumeration: &Enumeration) -> String {
        match enumeration {
            Enumeration::Delta(request) => format!("delta {}", request.as_str()),
            Enumeration::DeltaInWindow(window) => {
                let start = "2026-11-01T00:00:00Z".parse().unwrap();
                let end = "2027-01-01T00:00:00Z".parse().unwrap();
                format!("delta {}", window.within(start, end).as_str())
            }
            Enumeration::DeltaPerMailFolder(mailbox) => format!(
                "delta {} {}",
                mailbox.folders().as_str(),
                mailbox.messages("AA/B+c=").unwrap().as_str()
            ),
            Enumeration::Listing(request) => format!("list {}", request.as_str()),
            Enumeration::Single(item) => format!("get {}", item.request_path()),
            Enumeration::None { .. } => "none".to_owned(),
        }
    }

    #[test]
    fn every_kind_is_enumerated_as_microsoft_says() {
        for (watched, expected) in [
            (
                "users/u/events",
                "delta v1.0/users/u/calendarView/delta?startDateTime=2026-11-01T00:00:00.000Z&endDateTime=2027-01-01T00:00:00.000Z",
            ),
            (
                "/Users/u/Messages",
                "delta v1.0/users/u/mailFolders/delta v1.0/users/u/mailFolders/AA%2FB%2Bc=/messages/delta?$select=changeKey",
            ),
            (
                "users/u/mailFolders('inbox')/messages",
                "delta v1.0/users/u/mailFolders/inbox/messages/delta?$select=changeKey",
            ),
            (
                "users/u/contacts?$select=displayName",
                "delta v1.0/users/u/contacts/delta?$select=changeKey",
            ),
            (
                "users/u/contactFolders/F+1/contacts",
                "delta v1.0/users/u/contactFolders/F%2B1/contacts/delta?$select=changeKey",
            ),
            (
                "me/events",
                "delta v1.0/me/calendarView/delta?startDateTime=2026-11-01T00:00:00.000Z&endDateTime=2027-01-01T00:00:00.000Z",
            ),
            (
                "me/todo/lists/l/tasks",
                "delta v1.0/me/todo/lists/l/tasks/delta",
            ),
            ("users", "delta v1.0/users/delta"),
            ("users/u", "get v1.0/users/u"),
            ("groups", "delta v1.0/groups/delta"),
            ("groups/g", "get v1.0/groups/g"),
            (
                "groups/g&x=1 '/members",
                "delta v1.0/groups/delta?$select=members&$filter=id%20eq%20'g%26x%3D1%20%27'",
            ),
            ("drives/b!D/root", "delta v1.0/drives/b!D/root/delta"),
            ("users/u/drive/root", "delta v1.0/users/u/drive/root/delta"),
            ("me/drive/root", "delta v1.0/me/drive/root/delta"),
            (
                "me/drive/root/A b/C",
                "delta v1.0/me/drive/root:/A%20b/C:/delta",
            ),
            (
                "sites/h,1,2/lists/L",
                "delta v1.0/sites/h,1,2/lists/L/items/delta",
            ),
            ("teams/T/channels", "list v1.0/teams/T/channels"),
            ("teams/T", "get v1.0/teams/T"),
            ("chats/19:a@thread.v2", "get v1.0/chats/19:a@thread.v2"),
            ("teams/getAllChannels", "none"),
            ("chats/c/messages", "none"),
            ("communications/callRecords", "none"),
        ] {
            assert_eq!(asked(&of(watched)), expected, "{watched}");
        }
    }

    #[test]
    fn the_people_of_a_group_are_listed_by_their_ids() {
        let group = ItemPath::parse("Groups/7f8fad5b-d9cb-469f-a165-70867728950e").unwrap();
        for (people, expected) in [(People::Members, "members"), (People::Owners, "owners")] {
            let request = ListRequest::people_of(&group, people).unwrap();
            let path = "v1.0/groups/7f8fad5b-d9cb-469f-a165-70867728950e";
            assert_eq!(
                request.as_str(),
                format!("{path}/{expected}?$select=id&$top=999")
            );
        }
        let user = ItemPath::parse("users/u").unwrap();
        assert_eq!(ListRequest::people_of(&user, People::Members), None);
    }

    #[test]
    fn what_has_a_filter_is_not_enumerated() {
        for watched in [
            "users/u/messages?$filter=hasAttachments eq true",
            "users/u/messages?%24Filter=hasAttachments%20eq%20true&$select=id",
            "users/u/events?$select=id&$search=\"x\"",
        ] {
            assert!(matches!(of(watched), Enumeration::None { .. }), "{watched}");
        }
        assert!(matches!(
            of("users/u/messages?$select=filter"),
            Enumeration::DeltaPerMailFolder(_)
        ));
    }

    #[test]
    fn an_entry_has_the_path_that_a_notification_names() {
        for (watched, id, expected) in [
            ("users/u/events", "E/1=", "users/u/events/E%2F1="),
            ("me/events", "E", "me/events/E"),
            ("users/u/messages", "M", "users/u/messages/M"),
            (
                "users/u/mailFolders/inbox/messages",
                "M",
                "users/u/messages/M",
            ),
            (
                "users/u/contacts",
                "O'H (x)",
                "users/u/contacts/O%27H%20%28x%29",
            ),
            (
                "users/u/contactFolders/f/contacts",
                "c",
                "users/u/contacts/c",
            ),
            ("users", "ID", "users/ID"),
            ("users/u", "other", "users/u"),
            ("groups", "G", "groups/G"),
            ("groups/g/members", "g", "groups/g"),
            ("drives/b!D/root", "01I!2", "drives/b!D/items/01I!2"),
            ("users/u/drive/root", "01I", "users/u/drive/items/01I"),
            ("me/drive/root/A", "01I", "me/drive/items/01I"),
            ("sites/s/lists/l", "7", "sites/s/lists/l/items/7"),
            (
                "teams/T/channels",
                "19:x@thread.tacv2",
                "teams/T/channels/19:x@thread.tacv2",
            ),
        ] {
            let subscription = SubscriptionPath::parse(watched).unwrap();
            let item = subscription.item(id).unwrap();
            assert_eq!(item.canonical(), expected, "{watched}");
            assert!(item.is_under(&subscription), "{watched}");
            assert_eq!(ItemPath::parse(item.canonical()).unwrap(), item);
        }
    }

    #[test]
    fn an_id_cannot_lead_out_of_its_place() {
        let contacts = SubscriptionPath::parse("users/u/contacts").unwrap();
        let Enumeration::DeltaPerMailFolder(mailbox) = of("users/u/messages") else {
            panic!("no mailbox");
        };
        for id in ["", ".", "..", "a?b", "a#b", "a%2fb", "a\\b", "a\0b"] {
            assert!(contacts.item(id).is_err(), "{id}");
            assert!(mailbox.messages(id).is_err(), "{id}");
        }
        assert_eq!(
            contacts.item("../../x").unwrap().canonical(),
            "users/u/contacts/..%2F..%2Fx"
        );
        let calls = SubscriptionPath::parse("communications/callRecords").unwrap();
        assert!(matches!(
            calls.item("x"),
            Err(PathError::NotEnumerable { .. })
        ));
    }
}
