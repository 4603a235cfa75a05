//! How much was used within the last span of time.

use std::{collections::VecDeque, time::Duration};

/// Into how many slices a span is cut: use is forgotten a slice at a time.
const SLICES: u32 = 60;

/// How much was used within the last span of time, in slices of a sixtieth of it.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// The number of a slice since the beginning of time, and what was used in it; oldest first.
    slices: VecDeque<(u128, u64)>,
    sum: u64,
}

impl Window {
    /// Uses `amount` more at `now`; what is used within `span` with it.
    pub(super) fn add(&mut self, amount: u64, now: Duration, span: Duration) -> u64 {
        let slice = slice(now, span);
        while let Some(&(old, used)) = self.slices.front() {
            if old + u128::from(SLICES) > slice {
                break;
            }
            self.sum -= used;
            self.slices.pop_front();
        }
        match self.slices.back_mut() {
            Some((last, used)) if *last == slice => *used += amount,
            _ => self.slices.push_back((slice, amount)),
        }
        self.sum += amount;
        self.sum
    }

    /// How long after `now` the use has fallen to `limit`, if nothing is added.
    pub(super) fn until(&self, limit: u64, now: Duration, span: Duration) -> Duration {
        let mut left = self.sum;
        for &(old, used) in &self.slices {
            left -= used;
            if left <= limit {
                let width = width(span);
                let free = u128::from(SLICES) + old;
                let at = width.saturating_mul(u32::try_from(free).unwrap_or(u32::MAX));
                return at.saturating_sub(now);
            }
        }
        Duration::ZERO
    }
}

fn width(span: Duration) -> Duration {
    (span / SLICES).max(Duration::from_millis(1))
}

fn slice(now: Duration, span: Duration) -> u128 {
    now.as_nanos() / width(span).as_nanos()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Duration = Duration::from_mins(1);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn use_is_forgotten_after_the_span() {
        let mut window = Window::default();
        assert_eq!(window.add(3, at(0), SPAN), 3);
        assert_eq!(window.add(2, at(30), SPAN), 5);
        assert_eq!(window.add(1, at(59), SPAN), 6);
        assert_eq!(window.add(1, at(60), SPAN), 4);
        assert_eq!(window.add(1, at(200), SPAN), 1);
    }

    #[test]
    fn the_wait_lasts_until_enough_is_forgotten() {
        let mut window = Window::default();
        window.add(3, at(0), SPAN);
        window.add(2, at(30), SPAN);
        window.add(1, at(40), SPAN);
        assert_eq!(window.until(5, at(40), SPAN), at(20));
        assert_eq!(window.until(2, at(40), SPAN), at(50));
        assert_eq!(window.until(9, at(40), SPAN), at(20));
    }
}
