//! The verbs of policies: wishes for subscriptions to many resources.

use async_trait::async_trait;
use tidings_domain::{
    Timestamp,
    ids::{ConnectionId, EnvironmentId, PolicyId},
    page::{Listing, Page},
    policy::Policy,
};

use crate::{
    Lease, StoreError,
    record::{DueExpansion, Expanded, ExpansionUpdate, PolicyProgress},
};

/// What is wished of many users or teams, and how far that has come.
#[async_trait]
pub trait PolicyStore: Send + Sync {
    /// Adds a policy. `Conflict` if there is one with the same resource and change types that holds for a connection that
    /// this one holds for; `Missing` if its integration or connection is gone. Nothing is made of it before
    /// [`PolicyStore::make_expansions`].
    async fn create_policy(&self, policy: Policy) -> Result<(), StoreError>;
    /// One policy.
    async fn policy(&self, id: PolicyId) -> Result<Option<Policy>, StoreError>;
    /// Policies, newest first, of one environment or of all.
    async fn policies(
        &self,
        environment: Option<EnvironmentId>,
        page: Page,
    ) -> Result<Listing<Policy>, StoreError>;
    /// How far a policy has come, connection by connection.
    async fn policy_progress(&self, id: PolicyId) -> Result<PolicyProgress, StoreError>;
    /// Marks a policy as one that is to go, and makes all that is to be done for that due; `false` if there is none. One
    /// of which nothing has been made goes at once.
    async fn delete_policy(&self, id: PolicyId, now: Timestamp) -> Result<bool, StoreError>;

    /// Gives each policy that is not to go an expansion for each connection that it holds for and that is kept, due at
    /// `now`, if it has none yet; says how many that were.
    async fn make_expansions(&self, now: Timestamp) -> Result<u64, StoreError>;
    /// Expansions of held shards that are due, the longest due first: of kept connections, and of policies that are to go.
    async fn due_expansions(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<DueExpansion>, StoreError>;
    /// The earliest time at which [`PolicyStore::due_expansions`] has something.
    async fn next_due_expansion(&self) -> Result<Option<Timestamp>, StoreError>;
    /// Records how far an expansion is, makes the subscriptions that are wished and marks those to be removed that are
    /// not any more, in one transaction.
    ///
    /// Where the connection has one already with the same change types and the resource, or another way to write it, none
    /// is made: that one serves both. One that this policy made is noted as shown. Only what this policy made is removed.
    /// `Missing` if the expansion is gone or the policy is to go: then nothing is done.
    async fn record_expansion(
        &self,
        update: ExpansionUpdate,
        lease: Lease,
    ) -> Result<Expanded, StoreError>;
    /// Marks up to `limit` subscriptions to be removed that this policy made for this connection and that no pass from
    /// number `enumeration` on has shown, and says how many those were.
    async fn retire_expanded(
        &self,
        policy: PolicyId,
        connection: ConnectionId,
        enumeration: u64,
        now: Timestamp,
        limit: u32,
        lease: Lease,
    ) -> Result<u64, StoreError>;
    /// Removes an expansion of a policy that is to go, of which no subscription is left, and with its last one the policy.
    /// Does nothing if it is gone, or if there are some left.
    async fn end_expansion(
        &self,
        policy: PolicyId,
        connection: ConnectionId,
        lease: Lease,
    ) -> Result<(), StoreError>;
}
