//! The table of what can be subscribed to, as data.
//!
//! From Microsoft's pages "subscription resource type" (lifetimes, latency), "Set up notifications for changes in
//! resource data" (paths, quotas) and "Create subscription" (permissions), as of autumn 2026.

use std::time::Duration;

use tidings_domain::resource::{ChangeType, ResourceKind};

mod directory;
mod enumeration;
mod files;
mod meetings;
mod other;
mod outlook;
mod teams;

pub use enumeration::{By, EnumerationRow};

use enumeration::enumerated;

/// Requests for less are raised to this by Graph ("subscription resource type").
pub const MIN_LIFETIME_MINUTES: u32 = 45;

/// Beyond this, subscriptions to Teams resources need a lifecycle URL ("subscription resource type").
pub const LIFECYCLE_URL_NEEDED_BEYOND_MINUTES: u32 = 60;

/// One resource that can be subscribed to.
#[derive(Debug)]
pub struct ResourceRow {
    /// What it is.
    pub kind: ResourceKind,
    /// What it is called on Microsoft's pages.
    pub name: &'static str,
    /// Which version of Graph has it.
    pub version: Version,
    /// Templates of what can be subscribed to. `{…}` stands for one id; a last `{…*}` for any rest. Whatever begins
    /// with `users/{user}` can also begin with `me`.
    pub subscriptions: &'static [&'static str],
    /// Templates of the items that notifications name.
    pub items: &'static [&'static str],
    /// Which changes can be asked for.
    pub changes: Changes,
    /// How long a subscription lives.
    pub lifetime: Lifetime,
    /// Whether notifications can carry the item, encrypted.
    pub rich: Rich,
    /// Whether Graph asks for a lifecycle URL when the lifetime is over an hour.
    pub lifecycle_url_needed: bool,
    /// How long Graph takes to send a notification.
    pub latency: Latency,
    /// How many subscriptions there can be.
    pub quotas: &'static [Quota],
    /// The least permissions that allow a subscription.
    pub permissions: Permissions,
    /// Whether a delta query can catch up with what was missed.
    pub delta: bool,
    /// How all that is watched can be enumerated. What is watched by a template that is not here cannot be.
    pub enumerations: &'static [EnumerationRow],
    /// What else is worth knowing, for people.
    pub note: &'static str,
}

/// A version of Graph's API.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Version {
    /// Only in the preview.
    Beta,
    /// Supported for production.
    V1,
}

impl Version {
    /// The first segment of URLs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Beta => "beta",
            Self::V1 => "v1.0",
        }
    }
}

/// Which changes can be asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Changes {
    /// Microsoft's pages do not say: Graph is left to judge.
    NotStated,
    /// Only these.
    Only(&'static [ChangeType]),
}

impl Changes {
    /// The changes that can be asked for.
    pub const fn allowed(self) -> &'static [ChangeType] {
        match self {
            Self::NotStated => &ChangeType::ALL,
            Self::Only(changes) => changes,
        }
    }
}

/// How long a subscription lives, in minutes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lifetime {
    /// The most that Graph accepts.
    pub max_minutes: u32,
    /// The most that Graph accepts when notifications carry the item, if that is another limit.
    pub max_rich_minutes: Option<u32>,
    /// What we ask for: less than the most, so that clocks that differ a little do not matter.
    pub ask_minutes: u32,
}

impl Lifetime {
    const fn new(max_minutes: u32, ask_minutes: u32) -> Self {
        Self {
            max_minutes,
            max_rich_minutes: None,
            ask_minutes,
        }
    }

    /// What we ask for.
    pub fn ask(self) -> Duration {
        Duration::from_secs(u64::from(self.ask_minutes) * 60)
    }

    /// The most that Graph accepts.
    pub fn max(self) -> Duration {
        Duration::from_secs(u64::from(self.max_minutes) * 60)
    }
}

/// Whether notifications can carry the item, encrypted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rich {
    /// They cannot.
    No,
    /// They always do: a certificate is needed.
    Required,
    /// They can.
    Yes,
    /// They can when the path names the members with `$select`.
    YesWithSelect,
}

/// How long Graph takes to send a notification, in Microsoft's words.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Latency {
    /// On average.
    pub average: &'static str,
    /// At most.
    pub most: &'static str,
}

const UNKNOWN_LATENCY: Latency = Latency {
    average: "unknown",
    most: "unknown",
};

/// How many subscriptions there can be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Quota {
    /// The number.
    pub limit: u32,
    /// Per what.
    pub per: &'static str,
}

const fn quota(limit: u32, per: &'static str) -> Quota {
    Quota { limit, per }
}

/// The least permissions that allow a subscription; any one of a list suffices, an empty list means that it cannot be
/// done that way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Permissions {
    /// For a signed-in user of an organization.
    pub delegated: &'static [&'static str],
    /// For a signed-in personal account.
    pub personal: &'static [&'static str],
    /// For an app without a user.
    pub application: &'static [&'static str],
}

const fn permissions(
    delegated: &'static [&'static str],
    personal: &'static [&'static str],
    application: &'static [&'static str],
) -> Permissions {
    Permissions {
        delegated,
        personal,
        application,
    }
}

const CUD: Changes = Changes::Only(&[
    ChangeType::Created,
    ChangeType::Updated,
    ChangeType::Deleted,
]);
const CREATED: Changes = Changes::Only(&[ChangeType::Created]);
const CREATED_UPDATED: Changes = Changes::Only(&[ChangeType::Created, ChangeType::Updated]);
const UPDATED: Changes = Changes::Only(&[ChangeType::Updated]);
const UPDATED_DELETED: Changes = Changes::Only(&[ChangeType::Updated, ChangeType::Deleted]);

/// Every row, in the order in which paths are matched. Kinds whose paths differ in what they need have several.
pub static ROWS: &[&ResourceRow] = &[
    &outlook::MESSAGE,
    &outlook::EVENT,
    &outlook::CONTACT,
    &outlook::TODO_TASK,
    &directory::USER,
    &directory::GROUP,
    &directory::GROUP_CONVERSATION,
    &files::DRIVE,
    &files::USER_DRIVE,
    &files::DRIVE_FOLDER,
    &files::LIST,
    &teams::CHANNEL_MESSAGE,
    &teams::EVERY_CHANNEL_MESSAGE,
    &teams::CHAT_MESSAGE,
    &teams::EVERY_CHAT_MESSAGE,
    &teams::USER_CHAT_MESSAGE,
    &teams::INSTALLED_CHAT_MESSAGE,
    &teams::CHAT,
    &teams::EVERY_CHAT,
    &teams::CHANNEL,
    &teams::TEAM,
    &teams::TEAM_MEMBER,
    &teams::CHANNEL_MEMBER,
    &teams::CHAT_MEMBER,
    &teams::SHIFT,
    &teams::OFFER_SHIFT,
    &teams::OPEN_SHIFT,
    &teams::SWAP_SHIFTS,
    &teams::TIME_OFF,
    &teams::APPROVAL,
    &meetings::PRESENCE,
    &meetings::ONLINE_MEETING,
    &meetings::CALL_RECORD,
    &meetings::CALL_RECORDING,
    &meetings::CALL_RECORDING_WHERE_INSTALLED,
    &meetings::CALL_TRANSCRIPT,
    &meetings::CALL_TRANSCRIPT_WHERE_INSTALLED,
    &other::AI_INTERACTION,
    &other::SECURITY_ALERT,
    &other::HEALTH_ALERT,
    &other::PRINT_JOB,
    &other::PRINT_TASK,
];

/// Resources that Graph knows and Tidings does not offer, with the reason.
pub const NOT_OFFERED: &[(&str, &str)] = &[
    (
        "baseTask",
        "Microsoft has deprecated it: subscribe to todoTask (me/todo/lists/{list}/tasks)",
    ),
    (
        "teamsAppInstallation",
        "Microsoft states a lifetime (4,320 minutes) and no path",
    ),
    (
        "virtualEventTownhall",
        "its paths are not in the general table of resources",
    ),
    (
        "virtualEventWebinar",
        "its paths are not in the general table of resources",
    ),
];

/// The rows of a kind.
pub fn rows_of(kind: ResourceKind) -> impl Iterator<Item = &'static ResourceRow> {
    ROWS.iter().copied().filter(move |row| row.kind == kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_row() {
        for &kind in ResourceKind::ALL {
            assert!(rows_of(kind).next().is_some(), "{kind}");
        }
    }

    #[test]
    fn what_we_ask_for_lies_between_the_limits() {
        for row in ROWS {
            let Lifetime {
                max_minutes,
                ask_minutes,
                ..
            } = row.lifetime;
            assert!(
                (MIN_LIFETIME_MINUTES..=max_minutes).contains(&ask_minutes),
                "{}",
                row.name
            );
        }
    }

    #[test]
    fn outlook_is_asked_for_less_than_its_real_ceiling() {
        let row = rows_of(ResourceKind::Event).next().unwrap();
        assert_eq!(row.lifetime.max_minutes, 10_070);
        assert_eq!(row.lifetime.ask_minutes, 10_000);
    }

    #[test]
    fn no_template_stands_twice_and_every_row_has_an_item() {
        let mut templates: Vec<&str> = ROWS
            .iter()
            .flat_map(|row| row.subscriptions)
            .copied()
            .collect();
        assert!(ROWS.iter().all(|row| !row.items.is_empty()));
        let count = templates.len();
        templates.sort_unstable();
        templates.dedup();
        assert_eq!(templates.len(), count);
    }

    #[test]
    fn what_is_enumerated_is_in_the_row_and_rows_with_delta_have_a_delta_query() {
        for row in ROWS {
            for one in row.enumerations {
                assert!(row.subscriptions.contains(&one.subscription), "{one:?}");
                assert!(row.items.contains(&one.item), "{one:?}");
                if let By::DeltaPerMailFolder { messages, .. } = one.by {
                    assert!(messages.contains("{folder}"), "{one:?}");
                }
            }
            let delta = row.enumerations.iter().any(|one| one.by.is_delta());
            assert_eq!(delta, row.delta, "{}", row.name);
        }
    }

    #[test]
    fn every_trigger_of_a_row_that_states_its_changes_exists() {
        use tidings_domain::trigger::Trigger;
        for row in ROWS {
            if let Changes::Only(changes) = row.changes {
                for &change in changes {
                    assert!(
                        Trigger::of(row.kind, change).is_some(),
                        "{} {change}",
                        row.name
                    );
                }
            }
        }
    }
}
