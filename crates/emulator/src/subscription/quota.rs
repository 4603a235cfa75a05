//! How many subscriptions there may be (Microsoft's "change notifications overview" page, section on limits).

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use tidings_domain::resource::ResourceKind;

use super::{Subscription, Watch};

/// How many subscriptions there may be. Only limits that the emulator can count are here: those on signed-in users and
/// on users within one subscription are not.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Limits(BTreeMap<Limit, usize>);

/// One limit.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Approvals, per tenant: 1,000.
    ApprovalsPerTenant,
    /// Call records, per tenant: 100.
    CallRecordsPerTenant,
    /// Users and groups, per app over all tenants: 50,000.
    DirectoryPerApp,
    /// Users and groups, per app and tenant: 100.
    DirectoryPerAppAndTenant,
    /// Users and groups, per tenant over all apps: 1,000.
    DirectoryPerTenant,
    /// Messages, events and contacts, per mailbox over all apps: 1,000.
    OutlookPerMailbox,
    /// Chats, channels, teams, their messages and members, recordings, transcripts, shifts: one per app and path.
    TeamsPerAppAndPath,
    /// All Teams resources, per tenant over all apps: 10,000.
    TeamsPerTenant,
}

/// A limit that is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exceeded(pub(crate) Limit);

impl Default for Limits {
    fn default() -> Self {
        Self(BTreeMap::from([
            (Limit::ApprovalsPerTenant, 1_000),
            (Limit::CallRecordsPerTenant, 100),
            (Limit::DirectoryPerApp, 50_000),
            (Limit::DirectoryPerAppAndTenant, 100),
            (Limit::DirectoryPerTenant, 1_000),
            (Limit::OutlookPerMailbox, 1_000),
            (Limit::TeamsPerAppAndPath, 1),
            (Limit::TeamsPerTenant, 10_000),
        ]))
    }
}

impl Limits {
    /// The same with another number for one limit.
    #[must_use]
    pub fn with(mut self, limit: Limit, number: usize) -> Self {
        self.0.insert(limit, number);
        self
    }

    /// Takes over the numbers that `other` has.
    pub(crate) fn overlay(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Whether `candidate` fits beside `others`.
    pub(super) fn check<'a>(
        &self,
        candidate: &Subscription,
        others: &(impl Iterator<Item = &'a Arc<Subscription>> + Clone),
    ) -> Result<(), Exceeded> {
        for (&limit, &number) in &self.0 {
            if !limit.concerns(candidate) {
                continue;
            }
            let same = others
                .clone()
                .filter(|other| limit.concerns(other) && limit.together(candidate, other))
                .take(number)
                .count();
            if same >= number {
                return Err(Exceeded(limit));
            }
        }
        Ok(())
    }
}

impl Limit {
    /// Whether `subscription` counts for the limit.
    fn concerns(self, subscription: &Subscription) -> bool {
        use ResourceKind as Kind;
        match self {
            Self::ApprovalsPerTenant => subscription.row.kind == Kind::Approval,
            Self::CallRecordsPerTenant => subscription.row.kind == Kind::CallRecord,
            Self::DirectoryPerApp | Self::DirectoryPerAppAndTenant | Self::DirectoryPerTenant => {
                matches!(subscription.row.kind, Kind::Group | Kind::User)
            }
            Self::OutlookPerMailbox => subscription.is_outlook(),
            Self::TeamsPerAppAndPath | Self::TeamsPerTenant => matches!(
                subscription.row.kind,
                Kind::CallRecording
                    | Kind::CallTranscript
                    | Kind::Channel
                    | Kind::Chat
                    | Kind::ChatMessage
                    | Kind::ConversationMember
                    | Kind::OnlineMeeting
                    | Kind::Shift
                    | Kind::Team
            ),
        }
    }

    /// Whether two subscriptions count together.
    fn together(self, one: &Subscription, other: &Subscription) -> bool {
        let tenant = one.tenant == other.tenant;
        let app = one.app == other.app;
        match self {
            Self::ApprovalsPerTenant
            | Self::CallRecordsPerTenant
            | Self::DirectoryPerTenant
            | Self::TeamsPerTenant => tenant,
            Self::DirectoryPerApp => app,
            Self::DirectoryPerAppAndTenant => app && tenant,
            Self::OutlookPerMailbox => {
                mailbox(one.watch).is_some() && mailbox(one.watch) == mailbox(other.watch)
            }
            Self::TeamsPerAppAndPath => {
                app && tenant && one.normal_resource == other.normal_resource
            }
        }
    }
}

fn mailbox(watch: Watch) -> Option<uuid::Uuid> {
    match watch {
        Watch::Contacts(user) | Watch::Events(user) | Watch::Messages(user) => Some(user),
        _ => None,
    }
}
