//! Policies: subscriptions that are wished of many users or teams.

use serde::Serialize;
use tidings_domain::{
    Timestamp,
    ids::{ConnectionId, EnvironmentId, PolicyId},
    integration::IntegrationKey,
    policy::{Expansion, Policy},
    resource::ChangeTypes,
    subscription::SubscriptionState,
};
use tidings_pipeline::gateway::Gateway;
use tidings_storage::record::PolicyProgress;

use super::{access::Access, integrations};
use crate::problem::Problem;

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod list;

/// A policy as it is shown.
#[derive(Debug, Serialize)]
pub(crate) struct PolicyJson {
    id: PolicyId,
    environment_id: EnvironmentId,
    integration: IntegrationKey,
    connection_id: Option<ConnectionId>,
    resource: String,
    change_types: ChangeTypes,
    deliver_existing: bool,
    state: &'static str,
    /// How many subscriptions it has made.
    subscriptions: Counts,
    /// How far it has come with each connection.
    connections: Vec<ExpansionJson>,
    /// What went wrong with a connection or, if with none, with a subscription.
    last_error: Option<String>,
    created_at: Timestamp,
}

/// Subscriptions by their state.
#[derive(Debug, Default, Serialize)]
struct Counts {
    active: u64,
    conflict: u64,
    deleting: u64,
    disabled: u64,
    failed: u64,
    pending: u64,
}

/// How far a policy has come with a connection, as it is shown.
#[derive(Debug, Serialize)]
struct ExpansionJson {
    connection_id: ConnectionId,
    subscriptions: Counts,
    /// Users whom the last whole pass has passed over: guests, and those without a mailbox where one is watched.
    passed_over: u64,
    /// Since when it is known who there is.
    checked_at: Option<Timestamp>,
    due_at: Timestamp,
    failures: u32,
    last_error: Option<String>,
}

impl Counts {
    fn add(&mut self, state: SubscriptionState, count: u64) {
        *match state {
            SubscriptionState::Active => &mut self.active,
            SubscriptionState::Conflict => &mut self.conflict,
            SubscriptionState::Deleting => &mut self.deleting,
            SubscriptionState::Disabled => &mut self.disabled,
            SubscriptionState::Failed => &mut self.failed,
            SubscriptionState::Pending => &mut self.pending,
        } += count;
    }

    fn of<'a>(
        counted: impl IntoIterator<Item = &'a (ConnectionId, SubscriptionState, u64)>,
    ) -> Self {
        let mut counts = Self::default();
        for &(_, state, count) in counted {
            counts.add(state, count);
        }
        counts
    }
}

impl PolicyJson {
    /// Shows `policy`, with how far it has come.
    pub(crate) async fn new(gateway: &Gateway, policy: Policy) -> Result<Self, Problem> {
        let PolicyProgress {
            expansions,
            subscriptions,
            refusal,
        } = gateway.store.policy_progress(policy.id).await?;
        let trouble = expansions.iter().find_map(|one| one.last_error.clone());
        let shown = |one: Expansion| ExpansionJson {
            connection_id: one.connection,
            subscriptions: Counts::of(
                subscriptions
                    .iter()
                    .filter(|(id, ..)| *id == one.connection),
            ),
            passed_over: one.passed_over,
            checked_at: one.checked_at,
            due_at: one.due_at,
            failures: one.failures,
            last_error: one.last_error,
        };
        Ok(Self {
            id: policy.id,
            environment_id: policy.environment,
            integration: integrations::key(gateway, policy.integration)?,
            connection_id: policy.connection,
            resource: policy.resource,
            change_types: policy.change_types,
            deliver_existing: policy.deliver_existing,
            state: if policy.deleting {
                "deleting"
            } else {
                "active"
            },
            subscriptions: Counts::of(&subscriptions),
            connections: expansions.into_iter().map(shown).collect(),
            last_error: trouble.or(refusal),
            created_at: policy.created_at,
        })
    }
}

/// The policy with this id that the caller can see.
async fn find(gateway: &Gateway, access: &Access, id: PolicyId) -> Result<Policy, Problem> {
    let policy = gateway.store.policy(id).await?;
    policy
        .filter(|policy| policy.environment == access.environment)
        .ok_or_else(|| Problem::not_found(format_args!("policy `{id}`")))
}
