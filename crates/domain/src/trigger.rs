//! The one table of triggers. The API, the CLI and the reference page come from it.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::resource::{ChangeType, ResourceKind};

/// The name of a kind of event, such as `event.created`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Trigger {
    /// Something in Microsoft 365 changed.
    Change {
        /// What changed.
        kind: ResourceKind,
        /// How it changed.
        change: ChangeType,
    },
    /// Something became of what brings the changes: an operational event.
    Operation(Operation),
}

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident = $text:literal $description:literal;)*) => {
        /// What becomes of what brings the changes.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum Operation {
            $($(#[$doc])* $name,)*
        }

        impl Operation {
            /// The trigger's name.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }

        /// The triggers of operational events, in the order of the reference page.
        pub const OPERATIONS: &[TriggerRow] = &[$(TriggerRow {
            trigger: Trigger::Operation(Operation::$name),
            description: $description,
        },)*];
    };
}

operations! {
    /// Graph serves a subscription no more.
    SubscriptionRemoved = "subscription.removed"
        "Graph has removed a subscription, or has let it lapse: it is made anew.";
    /// Graph did not deliver some notifications.
    SubscriptionMissed = "subscription.missed"
        "Graph says that it did not deliver some notifications of a subscription: what they told is looked for.";
    /// A subscription needs to be authorized anew.
    SubscriptionReauthorizationRequired = "subscription.reauthorization_required"
        "Graph says that a subscription, its token or its permission is about to end: it is renewed.";
    /// Graph refuses a subscription.
    SubscriptionFailed = "subscription.failed"
        "Graph refuses a subscription for good; the reason says what to do. It is tried again once a day.";
    /// Another subscription stands in the way.
    SubscriptionConflict = "subscription.conflict"
        "Another subscription of the same app stands in the way of this one; the reason says whose.";
    /// Graph serves a subscription again.
    SubscriptionRecovered = "subscription.recovered"
        "Graph serves a subscription again that was removed, failed or in conflict.";
    /// Graph tells of nothing.
    SubscriptionSilent = "subscription.silent"
        "Graph has told of no change of a subscription for longer than it used to; what it did not tell of was looked for, and `found` says how much that was.";
    /// The credentials of a connection are refused.
    ConnectionExpired = "connection.expired"
        "The credentials of a connection are refused: its work waits until they are mended.";
    /// The credentials of a connection work again.
    ConnectionRecovered = "connection.recovered"
        "The credentials of a connection work again.";
}

/// A line of the table of triggers.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct TriggerRow {
    /// The trigger, by name.
    pub trigger: Trigger,
    /// What the event tells the app.
    pub description: &'static str,
}

/// A name that is not in the table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no trigger `{name}`{}", hint(.nearest.as_deref()))]
pub struct UnknownTrigger {
    /// What was asked for.
    pub name: String,
    /// The trigger with the most similar name, if one is near.
    pub nearest: Option<String>,
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(
        || ": `tidings webhook triggers` lists them".to_owned(),
        |name| format!(": did you mean `{name}`?"),
    )
}

macro_rules! table {
    ($($kind:ident $change:ident $description:literal;)*) => {
        /// The triggers of changes, in the order of the reference page.
        pub const CHANGES: &[TriggerRow] = &[$(TriggerRow {
            trigger: Trigger::Change { kind: ResourceKind::$kind, change: ChangeType::$change },
            description: $description,
        },)*];
    };
}

table! {
    Event Created "A calendar event was created in a mailbox.";
    Event Updated "A calendar event was changed: time, place, attendees, answers, text.";
    Event Deleted "A calendar event was deleted.";
    Message Created "A mail message arrived or was created, drafts included.";
    Message Updated "A mail message was changed: read or unread, flags, categories, text.";
    Message Deleted "A mail message was deleted or left the folder that is watched.";
    Contact Created "A contact was created in a mailbox.";
    Contact Updated "A contact was changed.";
    Contact Deleted "A contact was deleted.";
    User Created "A user was created. Found by comparing: Graph tells of it as of a change.";
    User Updated "A user was changed, or deleted in a way that can be undone.";
    User Deleted "A user was deleted for good.";
    Group Created "A group was created. Found by comparing: Graph tells of it as of a change.";
    Group Updated "A group was changed, its members included, or deleted in a way that can be undone.";
    Group Deleted "A group was deleted for good.";
    GroupConversation Created "A conversation of a group was started.";
    GroupConversation Updated "A conversation of a group was changed.";
    GroupConversation Deleted "A conversation of a group was deleted.";
    DriveItem Created "A file or folder was created in a drive. Found by comparing: Graph only says that something changed.";
    DriveItem Updated "A file or folder in a drive was changed, or something was that Graph does not name.";
    DriveItem Deleted "A file or folder was deleted from a drive. Found by comparing: Graph only says that something changed.";
    List Updated "Something in a SharePoint list was created, changed or deleted.";
    ChatMessage Created "A message was sent in a Teams channel or chat.";
    ChatMessage Updated "A message in a Teams channel or chat was edited or got a reaction.";
    ChatMessage Deleted "A message in a Teams channel or chat was deleted.";
    Chat Created "A Teams chat was created.";
    Chat Updated "A Teams chat was changed.";
    Chat Deleted "A Teams chat was deleted.";
    Channel Created "A channel was created in a team.";
    Channel Updated "A channel of a team was changed.";
    Channel Deleted "A channel of a team was deleted.";
    Team Created "A team was created.";
    Team Updated "A team was changed.";
    Team Deleted "A team was deleted.";
    ConversationMember Created "Somebody joined a team, channel or chat.";
    ConversationMember Updated "A membership of a team, channel or chat was changed.";
    ConversationMember Deleted "Somebody left a team, channel or chat.";
    Presence Updated "The presence of a watched user changed.";
    OnlineMeeting Created "Something began in an online meeting.";
    OnlineMeeting Updated "An online meeting was changed: somebody joined or left, it started or ended.";
    OnlineMeeting Deleted "An online meeting was removed.";
    CallRecord Created "A record of a call became available.";
    CallRecord Updated "A record of a call was completed by a later version.";
    CallRecording Created "A recording of a meeting became available.";
    CallTranscript Created "A transcript of a meeting became available.";
    AiInteraction Created "A user or Copilot said something in an interaction.";
    AiInteraction Updated "An interaction with Copilot was changed.";
    AiInteraction Deleted "An interaction with Copilot was deleted.";
    Approval Created "An approval was asked for.";
    Approval Updated "An approval was answered or changed.";
    Approval Deleted "An approval was removed.";
    Shift Created "A shift, an offer, a swap or a time off was entered in a team's schedule.";
    Shift Updated "A shift, an offer, a swap or a time off in a team's schedule was changed.";
    Shift Deleted "A shift, an offer, a swap or a time off was removed from a team's schedule.";
    SecurityAlert Created "A security alert was raised.";
    SecurityAlert Updated "A security alert was changed.";
    SecurityAlert Deleted "A security alert was removed.";
    HealthAlert Created "Entra health monitoring raised an alert.";
    HealthAlert Updated "An alert of Entra health monitoring was changed.";
    HealthAlert Deleted "An alert of Entra health monitoring was removed.";
    PrintJob Updated "A job of a printer became ready to be fetched.";
    PrintTask Created "A print job started a task of a watched definition.";
    TodoTask Created "A task was added to a to-do list.";
    TodoTask Updated "A task of a to-do list was changed.";
    TodoTask Deleted "A task of a to-do list was deleted.";
}

/// Every trigger, in the order of the reference page.
pub fn all() -> impl Iterator<Item = &'static TriggerRow> {
    CHANGES.iter().chain(OPERATIONS)
}

impl Trigger {
    /// The trigger of `change` to a `kind`, if the table has it.
    pub fn of(kind: ResourceKind, change: ChangeType) -> Option<Self> {
        let trigger = Self::Change { kind, change };
        CHANGES
            .iter()
            .any(|row| row.trigger == trigger)
            .then_some(trigger)
    }

    /// Reads a trigger's name.
    pub fn parse(name: &str) -> Result<Self, UnknownTrigger> {
        let name = name.trim();
        let found = name.split_once('.').and_then(|(before, after)| {
            all()
                .map(|row| row.trigger)
                .find(|trigger| trigger.is_named(name, before, after))
        });
        found.ok_or_else(|| UnknownTrigger {
            name: name.chars().take(64).collect(),
            nearest: nearest(name),
        })
    }

    /// How something changed; `None` of an operational event.
    pub const fn change(self) -> Option<ChangeType> {
        match self {
            Self::Change { change, .. } => Some(change),
            Self::Operation(_) => None,
        }
    }

    /// Whether it is called `name`, which is `before` and `after` with a dot between.
    fn is_named(self, name: &str, before: &str, after: &str) -> bool {
        match self {
            Self::Change { kind, change } => kind.as_str() == before && change.as_str() == after,
            Self::Operation(operation) => operation.as_str() == name,
        }
    }
}

impl From<Operation> for Trigger {
    fn from(operation: Operation) -> Self {
        Self::Operation(operation)
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Change { kind, change } => write!(f, "{kind}.{change}"),
            Self::Operation(operation) => f.write_str(operation.as_str()),
        }
    }
}

impl Serialize for Trigger {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn nearest(name: &str) -> Option<String> {
    let near = all()
        .map(|row| row.trigger.to_string())
        .map(|known| (distance(name, &known), known))
        .min()?;
    (near.0 <= 3).then_some(near.1)
}

/// Levenshtein distance of two short ASCII words.
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let change = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trigger_reads_back_and_none_stands_twice() {
        for row in all() {
            assert_eq!(Trigger::parse(&row.trigger.to_string()), Ok(row.trigger));
        }
        let mut names: Vec<String> = all().map(|row| row.trigger.to_string()).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all().count());
    }

    #[test]
    fn a_near_miss_is_answered_with_the_right_name() {
        let error = Trigger::parse("event.create").unwrap_err();
        assert_eq!(error.nearest.as_deref(), Some("event.created"));
        assert!(error.to_string().contains("did you mean `event.created`?"));
        let error = Trigger::parse("subscription.remove").unwrap_err();
        assert_eq!(error.nearest.as_deref(), Some("subscription.removed"));
        assert!(Trigger::parse("removed").is_err());
    }

    #[test]
    fn an_operational_event_tells_of_no_change() {
        let operation: Trigger = Operation::ConnectionExpired.into();
        assert_eq!(operation.to_string(), "connection.expired");
        assert_eq!(operation.change(), None);
        let change = Trigger::parse("event.deleted").unwrap();
        assert_eq!(change.change(), Some(ChangeType::Deleted));
    }
}
