//! The budget of what strangers send: anyone can post to a notification URL.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tidings_domain::notification::Notification;

/// How much of a rejected item is kept, in bytes.
const KEPT_BYTES: usize = 4_096;

/// Longer texts of a rejected notification are cut to this: Graph's ids and etags are far shorter.
const TEXT_BYTES: usize = 1_024;

/// So many rejected notifications are written per second; the rest are only counted, by ingest.
#[derive(Debug)]
pub(crate) struct Budget {
    per_second: u32,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    left: u32,
    second: u64,
}

impl Budget {
    pub(crate) fn new(per_second: u32, now: Duration) -> Self {
        Self {
            per_second,
            state: Mutex::new(State {
                left: per_second,
                second: now.as_secs(),
            }),
        }
    }

    /// How many of `wanted` may be written now.
    pub(crate) fn take(&self, wanted: usize, now: Duration) -> usize {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if now.as_secs() != state.second {
            state.second = now.as_secs();
            state.left = self.per_second;
        }
        let granted = state.left.min(u32::try_from(wanted).unwrap_or(u32::MAX));
        state.left -= granted;
        usize::try_from(granted).unwrap_or(wanted)
    }
}

/// Cuts a rejected notification down to what is kept of it.
pub(crate) fn cut(mut notification: Notification) -> Notification {
    if notification.item.len() > KEPT_BYTES {
        let end = boundary(&notification.item, KEPT_BYTES);
        // A copy, so that the whole POST is not kept in memory for the sake of this.
        notification.item = Bytes::copy_from_slice(&notification.item[..end]);
    }
    let texts = [
        Some(&mut notification.resource),
        notification.graph_subscription_id.as_mut(),
        notification.etag.as_mut(),
    ];
    for text in texts.into_iter().flatten() {
        if text.len() > TEXT_BYTES {
            text.truncate(boundary(text.as_bytes(), TEXT_BYTES));
        }
    }
    notification
}

/// The last place up to `limit` that does not split a character.
fn boundary(text: &[u8], limit: usize) -> usize {
    let is_inside = |byte: u8| byte & 0b1100_0000 == 0b1000_0000;
    (0..=limit)
        .rev()
        .find(|&place| !is_inside(text[place]))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_its_budget_and_no_more() {
        let budget = Budget::new(3, Duration::ZERO);
        assert_eq!(budget.take(2, Duration::from_millis(10)), 2);
        assert_eq!(budget.take(2, Duration::from_millis(999)), 1);
        assert_eq!(budget.take(2, Duration::from_millis(999)), 0);
        assert_eq!(budget.take(9, Duration::from_secs(1)), 3);
    }

    #[test]
    fn a_text_is_never_cut_within_a_character() {
        let text = "aé€".as_bytes();
        let cuts: Vec<usize> = (0..text.len()).map(|limit| boundary(text, limit)).collect();
        assert_eq!(cuts, [0, 1, 1, 3, 3, 3]);
    }
}
