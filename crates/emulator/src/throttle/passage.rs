//! A call that was counted: whether it is refused, and what its answer tells of limits.

use std::sync::PoisonError;

use http::{HeaderMap, HeaderValue};
use uuid::Uuid;

use super::{Key, Quota, Throttle};
use crate::api::GraphError;

/// A call that has been counted, until it is answered.
#[derive(Debug)]
pub(crate) struct Passage<'a> {
    /// Who counted it.
    pub(super) throttle: &'a Throttle,
    /// What it is under way for.
    pub(super) under_way: Option<Key>,
    /// What it cost the directory.
    pub(super) units: Option<u64>,
    /// The largest share of a limit of the directory that is used, where limits are enforced.
    pub(super) share: f64,
    /// Why it is refused, if it is.
    pub(super) refused: Option<Refused>,
}

/// Why a call is refused.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    /// The limit, and whom it counts.
    pub(super) key: Key,
    /// Whether the call writes.
    pub(super) writes: bool,
    /// How long to wait.
    pub(super) retry_after: Option<String>,
}

impl Passage<'_> {
    /// Why the call is refused, if it is.
    pub(crate) fn refusal(&self) -> Option<GraphError> {
        let refused = self.refused.as_ref()?;
        let error = GraphError::throttled(refused.retry_after.clone());
        if refused.key.quota == Quota::OutlookConcurrency {
            // Seen in the field since 2020.
            return Some(GraphError {
                code: "ApplicationThrottled".into(),
                message: "Application is over its MailboxConcurrency limit.".to_owned(),
                ..error
            });
        }
        Some(error)
    }

    /// Writes what the directory says of its limits (Microsoft's "throttling limits" page).
    pub(crate) fn tell(&self, headers: &mut HeaderMap) {
        let Some(units) = self.units else {
            return;
        };
        let mut set = |name: &'static str, value: String| {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        };
        set("x-ms-resource-unit", units.to_string());
        if self.share >= 0.8 {
            set(
                "x-ms-throttle-limit-percentage",
                format!("{:.2}", self.share.min(1.8)),
            );
        }
        if let Some(refused) = &self.refused
            && refused.key.quota.is_identity()
        {
            let what = if refused.key.quota.is_identity_write() {
                "WriteLimitExceeded"
            } else {
                "ResourceUnitLimitExceeded"
            };
            set("x-ms-throttle-scope", refused.key.scope(refused.writes));
            set("x-ms-throttle-information", what.to_owned());
        }
    }
}

impl Drop for Passage<'_> {
    fn drop(&mut self) {
        let Some(key) = self.under_way else {
            return;
        };
        let meters = &self.throttle.meters;
        let mut meters = meters.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(meter) = meters.get_mut(&key) {
            meter.under_way -= 1;
        }
    }
}

impl Key {
    /// `x-ms-throttle-scope`.
    fn scope(&self, writes: bool) -> String {
        let name = match (self.app, self.tenant) {
            (Some(_), Some(_)) => "Tenant_Application",
            (None, _) => "Tenant",
            (Some(_), None) => "Application",
        };
        let kind = match (self.quota.is_identity_write(), writes) {
            (true, _) => "Write",
            (false, true) => "ReadWrite",
            (false, false) => "Read",
        };
        let id = |id: Option<Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
        format!("{name}/{kind}/{}/{}", id(self.app), id(self.tenant))
    }
}
