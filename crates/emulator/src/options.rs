//! What an emulator is made with.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use tidings_domain::{Clock, Entropy, clock::ManualClock};

use crate::{Switches, Throttling};

/// What an emulator is made with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where time comes from: token life, subscription life, retries, states of endpoints.
    pub clock: Arc<dyn Clock>,
    /// The same clock once more if it stands still until it is moved, so that the control API can move it.
    pub manual_clock: Option<ManualClock>,
    /// Where ids and keys that nobody needs to repeat come from: token key, request ids, item ids.
    pub entropy: Arc<dyn Entropy>,
    /// Decides tenants, users, app credentials and which items a fault by chance hits: equal in each run with the
    /// same number.
    pub seed: u64,
    /// Takes `https` notification URLs only, as the real service does. Otherwise `http` is taken for loopback hosts.
    pub require_https: bool,
    /// How notifications look and which of the disputed behaviours apply.
    pub switches: Switches,
    /// When notifications are sent again, and when an endpoint is slow.
    pub delivery: Delivery,
    /// How many calls may come, and whether that is enforced.
    pub throttling: Throttling,
    /// Certificates (PEM) of authorities that notification URLs may use beside the public ones.
    pub roots: Vec<Vec<u8>>,
}

impl Options {
    /// The defaults: seed 1, `http` for loopback hosts, everything else as the real service.
    pub fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            clock,
            manual_clock: None,
            entropy,
            seed: 1,
            require_https: false,
            switches: Switches::default(),
            delivery: Delivery::default(),
            throttling: Throttling::default(),
            roots: Vec::new(),
        }
    }

    /// The defaults on a clock that the control API can move.
    pub fn manual(clock: ManualClock, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            manual_clock: Some(clock.clone()),
            ..Self::new(Arc::new(clock), entropy)
        }
    }
}

/// When notifications are sent again, and when an endpoint is slow (Microsoft's "Receive change notifications
/// through webhooks" page, text of 2026-04-22). All spans are in milliseconds outside.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Delivery {
    /// How long the first try may take: 3 s.
    pub first_timeout_ms: u64,
    /// How long each further try may take: 10 s.
    pub retry_timeout_ms: u64,
    /// The wait before the second try; it doubles with each. Microsoft does not publish it; 10 s is ours.
    pub backoff_ms: u64,
    /// The longest wait between two tries. Ours: 30 min.
    pub backoff_cap_ms: u64,
    /// How long after its first try a notification is tried again: 4 h.
    pub give_up_ms: u64,
    /// Over which span answers are judged: 10 min.
    pub window_ms: u64,
    /// An endpoint is slow when more than this share of answers takes longer than the first timeout: 10 %.
    pub slow_share: f64,
    /// How long new notifications to a slow endpoint wait: 10 min.
    pub slow_delay_ms: u64,
    /// Notifications are dropped when more than this share of answers takes longer than the retry timeout: 15 %.
    pub drop_share: f64,
    /// How long they are dropped: 10 min.
    pub drop_ms: u64,
    /// How many answers it takes to judge at all. The page of 2020–2023 says 100; newer texts say nothing.
    pub minimum_answers: u32,
    /// How many notifications are let through as a sample after a drop. Microsoft says "a small sample"; 10 is ours.
    pub sample: u32,
    /// How many POSTs to one host are under way at a time. Ours: 64.
    pub concurrency: usize,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            first_timeout_ms: 3_000,
            retry_timeout_ms: 10_000,
            backoff_ms: 10_000,
            backoff_cap_ms: 1_800_000,
            give_up_ms: 14_400_000,
            window_ms: 600_000,
            slow_share: 0.10,
            slow_delay_ms: 600_000,
            drop_share: 0.15,
            drop_ms: 600_000,
            minimum_answers: 100,
            sample: 10,
            concurrency: 64,
        }
    }
}

impl Delivery {
    /// The wait after the `number`th failed try (from 1).
    pub(crate) fn wait_after(&self, number: u32) -> Duration {
        let doubled = self.backoff_ms.saturating_mul(
            1_u64
                .checked_shl(number.saturating_sub(1))
                .unwrap_or(u64::MAX),
        );
        Duration::from_millis(doubled.min(self.backoff_cap_ms))
    }

    /// The time limit of the `number`th try (from 1).
    pub(crate) fn timeout(&self, number: u32) -> Duration {
        Duration::from_millis(if number <= 1 {
            self.first_timeout_ms
        } else {
            self.retry_timeout_ms
        })
    }

    /// How long after its first try a notification is tried again.
    pub(crate) fn give_up(&self) -> Duration {
        Duration::from_millis(self.give_up_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_and_fill_four_hours() {
        let delivery = Delivery::default();
        let waits: Vec<u64> = (1..=9).map(|n| delivery.wait_after(n).as_secs()).collect();
        assert_eq!(waits, [10, 20, 40, 80, 160, 320, 640, 1_280, 1_800]);
        assert_eq!(delivery.wait_after(200).as_secs(), 1_800);
    }

    #[test]
    fn the_first_try_has_3_s_and_each_other_10_s() {
        let delivery = Delivery::default();
        assert_eq!(delivery.timeout(1), Duration::from_secs(3));
        assert_eq!(delivery.timeout(2), Duration::from_secs(10));
        assert_eq!(delivery.timeout(9), Duration::from_secs(10));
    }
}
