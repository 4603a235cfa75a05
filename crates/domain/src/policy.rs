//! Wishes for subscriptions to many resources: to one of each user, or of each team, of each tenant.

use crate::{
    Timestamp,
    ids::{ConnectionId, EnvironmentId, IntegrationId, PolicyId},
    resource::ChangeTypes,
};

/// A wish for subscriptions to whatever a template names, for every connection of an integration or for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its id.
    pub id: PolicyId,
    /// Where it lives.
    pub environment: EnvironmentId,
    /// For whose connections it holds.
    pub integration: IntegrationId,
    /// The only connection that it holds for; `None` for every one of the integration, those to come included.
    pub connection: Option<ConnectionId>,
    /// What is watched, in canonical form: `users/{user}/events`, `teams/{team}/channels`, `users`.
    pub resource: String,
    /// Which changes are wanted.
    pub change_types: ChangeTypes,
    /// Whether what is there already is told, too, once for each subscription.
    pub deliver_existing: bool,
    /// Whether somebody has removed it: the subscriptions that it made go, then it goes.
    pub deleting: bool,
    /// When it was asked for.
    pub created_at: Timestamp,
}

/// How far a policy has come with a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expansion {
    /// Of which policy.
    pub policy: PolicyId,
    /// For which connection.
    pub connection: ConnectionId,
    /// When Graph is asked next who there is.
    pub due_at: Timestamp,
    /// The number of the last pass over all there are, whole or under way.
    pub enumeration: u64,
    /// Whether that pass is still under way.
    pub enumerating: bool,
    /// Where to go on: Graph's own link. `None` begins from the start.
    pub link: Option<String>,
    /// When it was last known who there is: everything before that is covered.
    pub checked_at: Option<Timestamp>,
    /// When the last whole pass ended.
    pub finished_at: Option<Timestamp>,
    /// How many the last whole pass has passed over: guests, and users without a mailbox where one is watched.
    pub passed_over: u64,
    /// Failed tries since the last that succeeded.
    pub failures: u32,
    /// What the last failure was, for people.
    pub last_error: Option<String>,
}
