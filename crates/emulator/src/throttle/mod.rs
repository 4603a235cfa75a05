//! Limits on calls: how much was used of each, and what becomes of a call beyond one.
//!
//! | module | holds |
//! | --- | --- |
//! | `passage` | a call that was counted: whether it is refused, what its answer tells |
//! | `quota` | the limits |
//! | `rules` | whether they are enforced, and how |
//! | `service` | which limits a call counts for, and how much |
//! | `window` | use within the last span of time |

mod passage;
mod quota;
mod rules;
mod service;
mod window;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError, RwLock},
    time::Duration,
};

use http::Method;
use serde::Serialize;
use uuid::Uuid;

use crate::api::Caller;
pub(crate) use passage::Passage;
use passage::Refused;
pub use quota::{Bound, Quota, Quotas};
pub use rules::{Throttling, Wait};
pub(crate) use service::Service;
use window::Window;

/// The most that was used of one limit by one of those it counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QuotaUse {
    /// The limit.
    pub quota: Quota,
    /// The app, unless all count together.
    pub client_id: Option<Uuid>,
    /// The tenant, unless all count together.
    pub tenant_id: Option<Uuid>,
    /// The user whose mailbox it is.
    pub mailbox: Option<Uuid>,
    /// The most that was used within the span of the limit, refused calls included.
    pub highest: u64,
    /// The limit at that time.
    pub limit: u64,
    /// How many calls it refused.
    pub refused: u64,
}

impl QuotaUse {
    /// Whether more was used than the limit allows.
    pub fn is_exceeded(&self) -> bool {
        self.highest > self.limit
    }
}

/// Whom a limit counts: app, tenant, mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Key {
    quota: Quota,
    app: Option<Uuid>,
    tenant: Option<Uuid>,
    mailbox: Option<Uuid>,
}

#[derive(Debug, Default)]
struct Meter {
    window: Window,
    under_way: u64,
    highest: u64,
    limit: u64,
    refused: u64,
}

/// Counts calls.
#[derive(Debug)]
pub(crate) struct Throttle {
    rules: RwLock<Throttling>,
    meters: Mutex<HashMap<Key, Meter>>,
}

/// The call that is to be counted.
pub(crate) struct Ask<'a> {
    /// Who makes it.
    pub(crate) caller: &'a Caller,
    /// Its method.
    pub(crate) method: &'a Method,
    /// Its path below the version.
    pub(crate) path: &'a str,
    /// Its query.
    pub(crate) query: Option<&'a str>,
}

impl Throttle {
    /// Nothing used yet.
    pub(crate) fn new(rules: Throttling) -> Self {
        Self {
            rules: RwLock::new(rules),
            meters: Mutex::default(),
        }
    }

    /// The rules as they are now.
    pub(crate) fn rules(&self) -> Throttling {
        self.rules
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Sets the rules. What was used is remembered.
    pub(crate) fn set_rules(&self, rules: Throttling) {
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = rules;
    }

    /// Counts a call at `now`, also one that it refuses: calls made while throttled keep counting (Microsoft's "throttling"
    /// page).
    pub(crate) fn enter(&self, ask: &Ask<'_>, now: Duration) -> Passage<'_> {
        let service = Service::of(ask.path);
        let mut passage = Passage {
            throttle: self,
            under_way: None,
            units: (service == Service::Identity)
                .then(|| service::resource_units(ask.method, ask.path, ask.query)),
            share: 0.0,
            refused: None,
        };
        let rules = self.rules.read().unwrap_or_else(PoisonError::into_inner);
        let mut meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        for (quota, amount) in demands(ask, &service, passage.units) {
            let Some(bound) = rules.quotas.bound(quota) else {
                continue;
            };
            let Some(key) = Key::of(quota, ask.caller, &service) else {
                continue;
            };
            let meter = meters.entry(key).or_default();
            let used = if quota == Quota::OutlookConcurrency {
                meter.under_way += 1;
                passage.under_way = Some(key);
                meter.under_way
            } else {
                meter.window.add(amount, now, bound.span())
            };
            if used > meter.highest || meter.limit == 0 {
                meter.highest = used;
                meter.limit = bound.count;
            }
            if !rules.enforced {
                continue;
            }
            if quota.is_identity() {
                passage.share = passage.share.max(share(used, bound.count));
            }
            if used > bound.count {
                meter.refused += 1;
                if passage.refused.is_none() {
                    let wait = if quota == Quota::OutlookConcurrency {
                        // How long the others take, nobody knows; the service says 1 (seen in the field in 2020).
                        Duration::from_secs(1)
                    } else {
                        meter.window.until(bound.count, now, bound.span())
                    };
                    passage.refused = Some(Refused {
                        key,
                        writes: *ask.method != Method::GET,
                        retry_after: rules.retry_after.text(wait),
                    });
                }
            }
        }
        passage
    }

    /// The most that was used of each limit by whom.
    pub(crate) fn uses(&self) -> Vec<QuotaUse> {
        let meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        let sorted: BTreeMap<&Key, &Meter> = meters.iter().collect();
        sorted
            .into_iter()
            .map(|(key, meter)| QuotaUse {
                quota: key.quota,
                client_id: key.app,
                tenant_id: key.tenant,
                mailbox: key.mailbox,
                highest: meter.highest,
                limit: meter.limit,
                refused: meter.refused,
            })
            .collect()
    }

    /// Forgets the highest use, not what is used now.
    pub(crate) fn forget(&self) {
        let mut meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        for meter in meters.values_mut() {
            meter.highest = 0;
            meter.limit = 0;
            meter.refused = 0;
        }
    }
}

/// What a call counts for, and how much.
fn demands(ask: &Ask<'_>, service: &Service, units: Option<u64>) -> Vec<(Quota, u64)> {
    let writes = *ask.method != Method::GET;
    let mut demands = vec![(Quota::AllPerApp, 1)];
    match service {
        Service::Identity => {
            let units = units.unwrap_or(1);
            let of_size = match ask.caller.tenant.users().len() {
                0..50 => Quota::IdentityUnitsSmall,
                50..=500 => Quota::IdentityUnitsMedium,
                _ => Quota::IdentityUnitsLarge,
            };
            demands.extend([(of_size, units), (Quota::IdentityUnitsPerApp, units)]);
            if writes {
                demands.extend([
                    (Quota::IdentityWritesPerApp, 1),
                    (Quota::IdentityWritesPerAppAndTenant, 1),
                    (Quota::IdentityWritesPerTenant, 1),
                ]);
            }
        }
        Service::Other => {}
        Service::Outlook { .. } => {
            demands.extend([(Quota::OutlookRequests, 1), (Quota::OutlookConcurrency, 1)]);
        }
        Service::Subscriptions => {
            demands.extend([
                (Quota::SubscriptionsPerAppAndTenant, 1),
                (Quota::SubscriptionsPerTenant, 1),
            ]);
            if writes {
                demands.extend([
                    (Quota::SubscriptionWritesPerAppAndTenant, 1),
                    (Quota::SubscriptionWritesPerTenant, 1),
                ]);
            }
        }
    }
    demands
}

impl Key {
    /// Whom `quota` counts when `caller` calls; nobody where there is no such mailbox.
    fn of(quota: Quota, caller: &Caller, service: &Service) -> Option<Self> {
        let mailbox = match service {
            Service::Outlook { mailbox } if quota.is_per_mailbox() => {
                Some(caller.tenant.user(mailbox)?.id)
            }
            _ => None,
        };
        Some(Self {
            quota,
            app: (!quota.is_per_tenant()).then_some(caller.app),
            tenant: (!quota.is_per_app()).then_some(caller.tenant.id),
            mailbox,
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "limits are far below 2^52")]
fn share(used: u64, limit: u64) -> f64 {
    used as f64 / limit.max(1) as f64
}
