//! How much is held, since anyone can post what fits nothing.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tidings_domain::ids::IntegrationId;

/// How many notifications of one integration are held within one span of holding.
const ITEMS: u32 = 1_000;
/// And how many bytes of them: 4 KiB each on average, where Graph sends about one.
const BYTES: usize = 4 * 1024 * 1024;

/// Counts what is held, per integration and span: one that is flooded leaves the others their room.
#[derive(Debug)]
pub(super) struct HoldingRoom {
    span: Duration,
    windows: Mutex<HashMap<IntegrationId, Window>>,
}

#[derive(Debug)]
struct Window {
    began: Duration,
    items: u32,
    bytes: usize,
}

impl HoldingRoom {
    /// Room for notifications that are held for `span`.
    pub(super) fn new(span: Duration) -> Self {
        Self {
            span,
            windows: Mutex::default(),
        }
    }

    /// Takes a place for `bytes` at the monotonic time `now`; `false` if there is none.
    pub(super) fn take(&self, integration: IntegrationId, bytes: usize, now: Duration) -> bool {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        // As many entries as there are integrations: those that are gone are few and small.
        let window = windows.entry(integration).or_insert(Window {
            began: now,
            items: 0,
            bytes: 0,
        });
        if now.saturating_sub(window.began) >= self.span {
            *window = Window {
                began: now,
                items: 0,
                bytes: 0,
            };
        }
        if window.items >= ITEMS || window.bytes + bytes > BYTES {
            return false;
        }
        window.items += 1;
        window.bytes += bytes;
        true
    }
}

#[cfg(test)]
mod tests {
    use tidings_domain::{Ids, Timestamp, clock::ManualClock, entropy::SeededEntropy};

    use super::*;

    #[test]
    fn a_flood_fills_only_its_own_room_and_only_for_a_while() {
        let clock = ManualClock::new(Timestamp::from_millis(0));
        let ids = Ids::new(
            std::sync::Arc::new(clock),
            std::sync::Arc::new(SeededEntropy::new(1)),
        );
        let (flooded, other) = (ids.next(), ids.next());
        let room = HoldingRoom::new(Duration::from_secs(5));
        let now = Duration::from_secs(100);
        assert!((0..ITEMS).all(|_| room.take(flooded, 1_000, now)));
        assert!(!room.take(flooded, 1_000, now + Duration::from_secs(4)));
        assert!(room.take(other, 1_000, now));
        assert!(room.take(flooded, 1_000, now + Duration::from_secs(5)));
    }

    #[test]
    fn large_ones_fill_it_by_their_size() {
        let clock = ManualClock::new(Timestamp::from_millis(0));
        let ids = Ids::new(
            std::sync::Arc::new(clock),
            std::sync::Arc::new(SeededEntropy::new(1)),
        );
        let one = ids.next();
        let room = HoldingRoom::new(Duration::from_secs(5));
        assert!(room.take(one, BYTES, Duration::ZERO));
        assert!(!room.take(one, 1, Duration::ZERO));
    }
}
