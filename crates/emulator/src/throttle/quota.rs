//! How much may be asked of Graph (Microsoft's "throttling limits" page, 2026-02, and for subscriptions its include of 2020,
//! the newest that states a number).

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

/// One of Graph's limits on calls. "Writes" are POST, PUT, PATCH and DELETE.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Quota {
    /// All calls of an app, over all tenants: 130,000 in 10 s.
    AllPerApp,
    /// Resource units of the directory, per app over all tenants: 150,000 in 20 s.
    IdentityUnitsPerApp,
    /// Resource units of the directory, per app and tenant of more than 500 users: 8,000 in 10 s.
    IdentityUnitsLarge,
    /// The same for tenants of 50 to 500 users: 5,000 in 10 s.
    IdentityUnitsMedium,
    /// The same for tenants of less than 50 users: 3,500 in 10 s.
    IdentityUnitsSmall,
    /// Writes to the directory, per app over all tenants: 35,000 in 5 min.
    IdentityWritesPerApp,
    /// Writes to the directory, per app and tenant: 3,000 in 2.5 min.
    IdentityWritesPerAppAndTenant,
    /// Writes to the directory, per tenant over all apps: 18,000 in 5 min.
    IdentityWritesPerTenant,
    /// Calls to one mailbox under way at a time, per app: 4.
    OutlookConcurrency,
    /// Calls to one mailbox, per app: 10,000 in 10 min.
    OutlookRequests,
    /// Calls about subscriptions, per app and tenant: 5,000 in 20 s.
    SubscriptionsPerAppAndTenant,
    /// Calls about subscriptions, per tenant: 10,000 in 20 s.
    SubscriptionsPerTenant,
    /// Writes of subscriptions, per app and tenant: 1,000 in 20 s.
    SubscriptionWritesPerAppAndTenant,
    /// Writes of subscriptions, per tenant: 2,000 in 20 s.
    SubscriptionWritesPerTenant,
}

/// How much of something within which span.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Bound {
    /// How much.
    pub count: u64,
    /// Within which span, in milliseconds; nothing for calls under way.
    #[serde(default)]
    pub span_ms: u64,
}

/// All limits on calls.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Quotas(BTreeMap<Quota, Bound>);

impl Default for Quotas {
    fn default() -> Self {
        let bound = |count, seconds: u64| Bound {
            count,
            span_ms: seconds * 1_000,
        };
        Self(BTreeMap::from([
            (Quota::AllPerApp, bound(130_000, 10)),
            (Quota::IdentityUnitsPerApp, bound(150_000, 20)),
            (Quota::IdentityUnitsLarge, bound(8_000, 10)),
            (Quota::IdentityUnitsMedium, bound(5_000, 10)),
            (Quota::IdentityUnitsSmall, bound(3_500, 10)),
            (Quota::IdentityWritesPerApp, bound(35_000, 300)),
            (Quota::IdentityWritesPerAppAndTenant, bound(3_000, 150)),
            (Quota::IdentityWritesPerTenant, bound(18_000, 300)),
            (Quota::OutlookConcurrency, bound(4, 0)),
            (Quota::OutlookRequests, bound(10_000, 600)),
            (Quota::SubscriptionsPerAppAndTenant, bound(5_000, 20)),
            (Quota::SubscriptionsPerTenant, bound(10_000, 20)),
            (Quota::SubscriptionWritesPerAppAndTenant, bound(1_000, 20)),
            (Quota::SubscriptionWritesPerTenant, bound(2_000, 20)),
        ]))
    }
}

impl Quotas {
    /// The same with another bound for one limit.
    #[must_use]
    pub fn with(mut self, quota: Quota, bound: Bound) -> Self {
        self.0.insert(quota, bound);
        self
    }

    /// The bound of a limit; a limit that the control API left out has none.
    pub(super) fn bound(&self, quota: Quota) -> Option<Bound> {
        self.0.get(&quota).copied()
    }
}

impl Bound {
    /// Within which span.
    pub(super) fn span(self) -> Duration {
        Duration::from_millis(self.span_ms)
    }
}

impl Quota {
    /// Whether the directory's headers speak of it.
    pub(super) fn is_identity(self) -> bool {
        matches!(
            self,
            Self::IdentityUnitsPerApp
                | Self::IdentityUnitsLarge
                | Self::IdentityUnitsMedium
                | Self::IdentityUnitsSmall
        ) || self.is_identity_write()
    }

    /// Whether it counts writes to the directory.
    pub(super) fn is_identity_write(self) -> bool {
        matches!(
            self,
            Self::IdentityWritesPerApp
                | Self::IdentityWritesPerAppAndTenant
                | Self::IdentityWritesPerTenant
        )
    }

    /// Whether it is counted over all tenants.
    pub(super) fn is_per_app(self) -> bool {
        matches!(
            self,
            Self::AllPerApp | Self::IdentityUnitsPerApp | Self::IdentityWritesPerApp
        )
    }

    /// Whether it is counted over all apps.
    pub(super) fn is_per_tenant(self) -> bool {
        matches!(
            self,
            Self::IdentityWritesPerTenant
                | Self::SubscriptionsPerTenant
                | Self::SubscriptionWritesPerTenant
        )
    }

    /// Whether it is counted for each mailbox.
    pub(super) fn is_per_mailbox(self) -> bool {
        matches!(self, Self::OutlookConcurrency | Self::OutlookRequests)
    }
}
