//! Orders that nobody may rely on, the same for each seed.

use tidings_domain::{Entropy, entropy::SeededEntropy};

/// Puts things into an order that a seed decides.
#[derive(Debug)]
pub(crate) struct Shuffle(SeededEntropy);

impl Shuffle {
    /// Orders by `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        // Another stream than those of the directory and of the faults.
        Self(SeededEntropy::new(seed ^ 0x006f_7264_6572))
    }

    /// Shuffles (Fisher–Yates).
    pub(crate) fn shuffle<T>(&self, things: &mut [T]) {
        let entropy: &dyn Entropy = &self.0;
        for last in (1..things.len()).rev() {
            let count = u64::try_from(last + 1).unwrap_or(u64::MAX);
            let other = usize::try_from(entropy.u64() % count).unwrap_or(0);
            things.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_the_order_and_nothing_is_lost() {
        let order = |seed| {
            let mut things: Vec<u8> = (0..20).collect();
            Shuffle::new(seed).shuffle(&mut things);
            things
        };
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
        let mut sorted = order(1);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..20).collect::<Vec<_>>());
    }
}
