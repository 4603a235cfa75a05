//! The one table of triggers. The API, the CLI and the reference page come from it.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::resource::{ChangeType, ResourceKind};

/// The name of a kind of event, such as `event.created`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Trigger {
    /// What changed.
    pub kind: ResourceKind,
    /// How it changed.
    pub change: ChangeType,
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
        /// Every trigger, in the order of the reference page.
        pub const TRIGGERS: &[TriggerRow] = &[$(TriggerRow {
            trigger: Trigger { kind: ResourceKind::$kind, change: ChangeType::$change },
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
    User Updated "A user was created, changed or deleted in a way that can be undone.";
    User Deleted "A user was deleted for good.";
    Group Updated "A group was created or changed, its members included, or deleted in a way that can be undone.";
    Group Deleted "A group was deleted for good.";
    GroupConversation Created "A conversation of a group was started.";
    GroupConversation Updated "A conversation of a group was changed.";
    GroupConversation Deleted "A conversation of a group was deleted.";
    DriveItem Updated "Something in a drive was created, changed or deleted.";
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

impl Trigger {
    /// The trigger of `change` to a `kind`, if the table has it.
    pub fn of(kind: ResourceKind, change: ChangeType) -> Option<Self> {
        TRIGGERS
            .iter()
            .map(|row| row.trigger)
            .find(|trigger| trigger.kind == kind && trigger.change == change)
    }

    /// Reads a trigger's name.
    pub fn parse(name: &str) -> Result<Self, UnknownTrigger> {
        let name = name.trim();
        let found = TRIGGERS
            .iter()
            .map(|row| row.trigger)
            .find(|trigger| trigger.to_string() == name);
        found.ok_or_else(|| UnknownTrigger {
            name: name.chars().take(64).collect(),
            nearest: nearest(name),
        })
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.kind, self.change)
    }
}

impl Serialize for Trigger {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn nearest(name: &str) -> Option<String> {
    let near = TRIGGERS
        .iter()
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
        for row in TRIGGERS {
            assert_eq!(Trigger::parse(&row.trigger.to_string()), Ok(row.trigger));
        }
        let mut names: Vec<Trigger> = TRIGGERS.iter().map(|row| row.trigger).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), TRIGGERS.len());
    }

    #[test]
    fn a_near_miss_is_answered_with_the_right_name() {
        let error = Trigger::parse("event.create").unwrap_err();
        assert_eq!(error.nearest.as_deref(), Some("event.created"));
        assert!(error.to_string().contains("did you mean `event.created`?"));
    }
}
