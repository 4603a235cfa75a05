//! Kinds of Graph resources and kinds of change to them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// A kind of Graph resource that can be subscribed to (Microsoft's "subscription resource type" page).
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum ResourceKind {
            $($(#[$doc])* $name,)*
        }

        impl ResourceKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The kind's word in triggers, lists and the store.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

kinds! {
    /// Interactions with Copilot.
    AiInteraction = "ai_interaction";
    /// Teams approvals.
    Approval = "approval";
    /// A record of a call.
    CallRecord = "call_record";
    /// A recording of a meeting.
    CallRecording = "call_recording";
    /// A transcript of a meeting.
    CallTranscript = "call_transcript";
    /// A Teams channel.
    Channel = "channel";
    /// A Teams chat.
    Chat = "chat";
    /// A message in a Teams channel or chat.
    ChatMessage = "chat_message";
    /// An Outlook contact.
    Contact = "contact";
    /// A member of a team, channel or chat.
    ConversationMember = "conversation_member";
    /// A file or folder in OneDrive or SharePoint.
    DriveItem = "drive_item";
    /// An Outlook calendar event.
    Event = "event";
    /// A Microsoft 365 or security group.
    Group = "group";
    /// A conversation of a group.
    GroupConversation = "group_conversation";
    /// An alert of Entra health monitoring.
    HealthAlert = "health_alert";
    /// A SharePoint list.
    List = "list";
    /// An Outlook mail message.
    Message = "message";
    /// An online meeting.
    OnlineMeeting = "online_meeting";
    /// Presence of users.
    Presence = "presence";
    /// Jobs of a printer.
    PrintJob = "print_job";
    /// Tasks of a print task definition.
    PrintTask = "print_task";
    /// A security alert.
    SecurityAlert = "security_alert";
    /// Shifts of a team's schedule.
    Shift = "shift";
    /// A team.
    Team = "team";
    /// A task in a to-do list.
    TodoTask = "todo_task";
    /// A user.
    User = "user";
}

impl fmt::Display for ResourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that names no kind of resource.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no kind of resource")]
pub struct UnknownResourceKind(String);

impl FromStr for ResourceKind {
    type Err = UnknownResourceKind;

    fn from_str(text: &str) -> Result<Self, UnknownResourceKind> {
        Self::ALL
            .iter()
            .copied()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| UnknownResourceKind(text.to_owned()))
    }
}

impl Serialize for ResourceKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// What happened to a resource, in Graph's words.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeType {
    /// It is new.
    Created,
    /// It is gone.
    Deleted,
    /// It is different.
    Updated,
}

impl ChangeType {
    /// Every change type, in the order in which Graph's pages list them.
    pub const ALL: [Self; 3] = [Self::Created, Self::Updated, Self::Deleted];

    /// Graph's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Deleted => "deleted",
            Self::Updated => "updated",
        }
    }
}

impl fmt::Display for ChangeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that names no change type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidChangeType {
    /// The list was empty.
    #[error("name at least one of created, updated, deleted")]
    Empty,
    /// A word of the list is not a change type.
    #[error("`{0}` is no change type: use created, updated, deleted")]
    Unknown(String),
}

impl FromStr for ChangeType {
    type Err = InvalidChangeType;

    fn from_str(text: &str) -> Result<Self, InvalidChangeType> {
        let text = text.trim();
        Self::ALL
            .into_iter()
            .find(|change| change.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| InvalidChangeType::Unknown(text.chars().take(64).collect()))
    }
}

/// A set of change types that is never empty. Written as Graph does: `created,updated`.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct ChangeTypes(u8);

impl ChangeTypes {
    /// The set of `changes`; `None` if there are none.
    pub fn new(changes: impl IntoIterator<Item = ChangeType>) -> Option<Self> {
        let bits = changes
            .into_iter()
            .fold(0, |bits, change| bits | bit(change));
        (bits != 0).then_some(Self(bits))
    }

    /// Whether `change` is in the set.
    pub fn contains(self, change: ChangeType) -> bool {
        self.0 & bit(change) != 0
    }

    /// The members, in the order of [`ChangeType::ALL`].
    pub fn iter(self) -> impl Iterator<Item = ChangeType> {
        ChangeType::ALL
            .into_iter()
            .filter(move |&change| self.contains(change))
    }

    /// Whether every member is also in `other`.
    pub fn is_subset(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }
}

const fn bit(change: ChangeType) -> u8 {
    match change {
        ChangeType::Created => 1,
        ChangeType::Updated => 2,
        ChangeType::Deleted => 4,
    }
}

impl fmt::Display for ChangeTypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, change) in self.iter().enumerate() {
            if place > 0 {
                f.write_str(",")?;
            }
            f.write_str(change.as_str())?;
        }
        Ok(())
    }
}

impl fmt::Debug for ChangeTypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ChangeTypes {
    type Err = InvalidChangeType;

    fn from_str(text: &str) -> Result<Self, InvalidChangeType> {
        let mut changes = Vec::new();
        for word in text.split(',').filter(|word| !word.trim().is_empty()) {
            changes.push(word.parse()?);
        }
        Self::new(changes).ok_or(InvalidChangeType::Empty)
    }
}

impl Serialize for ChangeTypes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for ChangeTypes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let changes = Vec::<ChangeType>::deserialize(deserializer)?;
        Self::new(changes).ok_or_else(|| de::Error::custom(InvalidChangeType::Empty))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_changes_reads_and_writes_as_graph_does() {
        let set: ChangeTypes = "deleted, Created".parse().unwrap();
        assert_eq!(set.to_string(), "created,deleted");
        assert!(set.contains(ChangeType::Deleted) && !set.contains(ChangeType::Updated));
    }

    #[test]
    fn an_empty_or_unknown_set_is_refused() {
        assert_eq!("".parse::<ChangeTypes>(), Err(InvalidChangeType::Empty));
        assert!(
            "created,moved"
                .parse::<ChangeTypes>()
                .unwrap_err()
                .to_string()
                .contains("moved")
        );
    }

    #[test]
    fn every_kind_reads_back() {
        for kind in ResourceKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
        }
    }
}
