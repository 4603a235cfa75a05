//! Randomness as a parameter.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

/// Where random bytes come from. Nothing in Tidings asks the system itself.
pub trait Entropy: fmt::Debug + Send + Sync {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}

impl dyn Entropy + '_ {
    /// `N` random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// A random number over the whole range.
    pub fn u64(&self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }

    /// A random fraction, from 0 up to but without 1.
    #[expect(
        clippy::cast_precision_loss,
        reason = "53 bits are what an f64 holds exactly"
    )]
    pub fn fraction(&self) -> f64 {
        (self.u64() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// The operating system's generator, fit for keys.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that asks the system for randomness"
    )]
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("invariant: the operating system gives random bytes");
    }
}

/// A reproducible generator for tests and emulated faults (`SplitMix64`). Not fit for keys.
#[derive(Debug)]
pub struct SeededEntropy {
    state: Mutex<u64>,
}

impl SeededEntropy {
    /// A generator that always gives the same bytes for the same `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            state: Mutex::new(seed),
        }
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for chunk in bytes.chunks_mut(8) {
            *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut word = *state;
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            word ^= word >> 31;
            chunk.copy_from_slice(&word.to_le_bytes()[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        let one: &dyn Entropy = &SeededEntropy::new(7);
        let two: &dyn Entropy = &SeededEntropy::new(7);
        assert_eq!(one.bytes::<24>(), two.bytes::<24>());
        assert_ne!(one.u64(), one.u64());
    }

    #[test]
    fn a_fraction_stays_below_one() {
        let entropy: &dyn Entropy = &SeededEntropy::new(1);
        assert!((0..1_000).all(|_| (0.0..1.0).contains(&entropy.fraction())));
    }
}
