//! Which of Graph's services a call goes to, and what it costs there.

use http::Method;

use crate::api::segments;

/// Words below a user that belong to the mailbox.
const OUTLOOK: [&str; 11] = [
    "calendar",
    "calendargroups",
    "calendars",
    "calendarview",
    "contactfolders",
    "contacts",
    "events",
    "mailfolders",
    "messages",
    "outlook",
    "sendmail",
];

/// Words that a path of the directory begins with.
const IDENTITY: [&str; 6] = [
    "applications",
    "directory",
    "directoryobjects",
    "groups",
    "serviceprincipals",
    "users",
];

/// One of Graph's services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// Users, groups and what belongs to them: "identity and access".
    Identity,
    /// Everything without documented limits of its own here.
    Other,
    /// A mailbox.
    Outlook {
        /// The user whose it is, as the path names them.
        mailbox: String,
    },
    /// Subscriptions.
    Subscriptions,
}

impl Service {
    /// The service that a path below the version belongs to.
    pub(crate) fn of(path: &str) -> Self {
        let segments = segments(path);
        let word = |place: usize| {
            segments
                .get(place)
                .map(|segment| segment.to_ascii_lowercase())
                .unwrap_or_default()
        };
        let (first, third) = (word(0), word(2));
        if first == "users" && OUTLOOK.contains(&third.as_str()) {
            return Self::Outlook {
                mailbox: segments[1].to_string(),
            };
        }
        if first == "subscriptions" {
            return Self::Subscriptions;
        }
        // Files and teams below a user or a group are no part of the directory.
        let elsewhere = ["drive", "drives", "joinedteams", "team", "sites"];
        if IDENTITY.contains(&first.as_str()) && !elsewhere.contains(&third.as_str()) {
            return Self::Identity;
        }
        Self::Other
    }
}

/// What a call costs the directory, in resource units (Microsoft's "throttling limits" page, 2026): what it reads decides,
/// and how much of it is asked for.
pub(super) fn resource_units(method: &Method, path: &str, query: Option<&str>) -> u64 {
    if *method != Method::GET {
        return 1;
    }
    let segments = segments(path);
    let words: Vec<String> = segments
        .iter()
        .map(|segment| segment.to_ascii_lowercase())
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut units: i64 = match words.as_slice() {
        ["groups", _, "members"] => 3,
        ["groups", _, "transitivemembers"] => 5,
        ["users"] => 2,
        _ => 1,
    };
    for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        let name = name.strip_prefix('$').unwrap_or(&name);
        if name.eq_ignore_ascii_case("select") {
            units -= 1;
        } else if name.eq_ignore_ascii_case("expand") {
            units += 1;
        } else if name.eq_ignore_ascii_case("top") && value.parse().is_ok_and(|top: u32| top < 20) {
            units -= 1;
        }
    }
    units.max(1).unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_belongs_to_one_service() {
        let mailbox = |mailbox: &str| Service::Outlook {
            mailbox: mailbox.to_owned(),
        };
        for (path, service) in [
            ("users/u1/Events/AAMk", mailbox("u1")),
            (
                "users('u1')/mailFolders/inbox/messages/delta",
                mailbox("u1"),
            ),
            ("users/u1", Service::Identity),
            ("users/delta", Service::Identity),
            ("groups/g1/members", Service::Identity),
            ("users/u1/drive/root/delta", Service::Other),
            ("subscriptions/s1/reauthorize", Service::Subscriptions),
            ("teams/t1/channels", Service::Other),
            ("", Service::Other),
        ] {
            assert_eq!(Service::of(path), service, "{path}");
        }
    }

    #[test]
    fn costs_follow_the_table() {
        for (path, query, units) in [
            ("users", None, 2),
            ("users", Some("$select=id"), 1),
            ("users", Some("$select=id&$top=5"), 1),
            ("users", Some("$expand=manager"), 3),
            ("users/u1", None, 1),
            ("users/u1", Some("$select=id"), 1),
            ("groups/g1/members", None, 3),
            ("groups/g1/members", Some("$top=19"), 2),
            ("groups/g1/members", Some("$top=20"), 3),
            ("groups/g1/transitiveMembers", None, 5),
        ] {
            let found = resource_units(&Method::GET, path, query);
            assert_eq!(found, units, "{path} {query:?}");
        }
        assert_eq!(resource_units(&Method::PATCH, "users/u1", None), 1);
    }
}
