//! What has happened: calls, POSTs to notification URLs, broken rules.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use serde::Serialize;
use tidings_domain::Timestamp;
use tokio::sync::watch;
use uuid::Uuid;

/// How many POSTs are remembered: enough for any test, and no leak in a benchmark.
const KEPT: usize = 10_000;

/// What has happened.
#[derive(Debug)]
pub(crate) struct Ledger {
    calls: Mutex<BTreeMap<(&'static str, u16), u64>>,
    sent: Mutex<VecDeque<Sent>>,
    attempts: watch::Sender<u64>,
    violations: Mutex<Vec<Violation>>,
    losses: Mutex<BTreeMap<Loss, u64>>,
}

/// How often a call came, and what it was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CallCount {
    /// Method and path template: `GET users/{id}/events/{id}`.
    pub call: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// How often.
    pub count: u64,
}

/// One POST to a notification or lifecycle URL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sent {
    /// When it began.
    pub at: Timestamp,
    /// Where to.
    pub url: String,
    /// Which try it was, from 1.
    pub attempt: u32,
    /// How many items it held.
    pub items: usize,
    /// The subscriptions of the items, in their order.
    pub subscriptions: Vec<Uuid>,
    /// The HTTP status, if an answer came.
    pub status: Option<u16>,
    /// Why no answer came.
    pub error: Option<String>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// A rule of Graph that a client broke, where Graph would not tell it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "rule", rename_all = "snake_case")]
pub enum Violation {
    /// Reauthorize and PATCH of one subscription within 10 minutes (Microsoft's "lifecycle notifications" page).
    TenMinutes {
        /// The subscription.
        subscription: Uuid,
        /// When the second of the two calls came.
        at: Timestamp,
        /// How long after the first, in milliseconds.
        gap_ms: u64,
    },
}

/// Why an item was never delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// Its endpoint was so slow that nothing was sent.
    DropState,
    /// A fault dropped it.
    Fault,
    /// It was tried for 4 hours.
    GaveUp,
    /// Its subscription was not authorized for 4 hours.
    HeldTooLong,
    /// Its subscription was not authorized.
    Paused,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            calls: Mutex::default(),
            sent: Mutex::default(),
            attempts: watch::Sender::new(0),
            violations: Mutex::default(),
            losses: Mutex::default(),
        }
    }
}

impl Ledger {
    /// Counts a call.
    pub(crate) fn called(&self, call: &'static str, status: u16) {
        tracing::debug!(http.call = call, http.status = status, "answered a call");
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        *calls.entry((call, status)).or_default() += 1;
    }

    /// Remembers a POST.
    pub(crate) fn sent(&self, sent: Sent) {
        {
            let mut all = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
            if all.len() == KEPT {
                all.pop_front();
            }
            all.push_back(sent);
        }
        self.attempts.send_modify(|count| *count += 1);
    }

    /// Remembers a broken rule.
    pub(crate) fn violated(&self, violation: Violation) {
        let mut violations = self
            .violations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        violations.push(violation);
    }

    /// Counts items that are lost.
    pub(crate) fn lost(&self, loss: Loss, items: usize) {
        if items == 0 {
            return;
        }
        let mut losses = self.losses.lock().unwrap_or_else(PoisonError::into_inner);
        *losses.entry(loss).or_default() += u64::try_from(items).unwrap_or(u64::MAX);
    }

    /// How many items were lost, by reason.
    pub(crate) fn losses(&self) -> BTreeMap<Loss, u64> {
        self.losses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Every call so far.
    pub(crate) fn calls(&self) -> Vec<CallCount> {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls
            .iter()
            .map(|(&(call, status), &count)| CallCount {
                call,
                status,
                count,
            })
            .collect()
    }

    /// The newest 10,000 POSTs, oldest first.
    pub(crate) fn all_sent(&self) -> Vec<Sent> {
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.iter().cloned().collect()
    }

    /// How many POSTs have ended, and news of it.
    pub(crate) fn attempts(&self) -> watch::Receiver<u64> {
        self.attempts.subscribe()
    }

    /// Every broken rule so far.
    pub(crate) fn violations(&self) -> Vec<Violation> {
        self.violations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Forgets everything but the number of POSTs.
    pub(crate) fn clear(&self) {
        self.calls
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        self.sent
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        self.violations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        self.losses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}
