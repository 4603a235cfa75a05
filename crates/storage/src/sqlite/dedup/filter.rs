//! Says of most keys that they are in no run, without a look into one.

use crate::record::DedupKey;

/// How many blocks of 512 bits there are: 8 MiB. With four million keys in runs, one look in two thousand is made in
/// vain; with sixteen million, one in six.
const BLOCKS: usize = 1 << 17;

/// How many bits of its block a key sets.
const BITS: usize = 6;

/// A Bloom filter whose bits of one key lie in one line of the processor's cache.
pub(super) struct Filter(Vec<[u64; 8]>);

impl Filter {
    /// One that holds nothing. Its memory is only taken as keys come.
    pub(super) fn new() -> Self {
        Self(vec![[0; 8]; BLOCKS])
    }

    pub(super) fn add(&mut self, key: DedupKey) {
        let (block, bits) = place(key);
        for bit in bits {
            self.0[block][bit / 64] |= 1 << (bit % 64);
        }
    }

    /// Whether the key may have been added. `false` is certain.
    pub(super) fn may_hold(&self, key: DedupKey) -> bool {
        let (block, mut bits) = place(key);
        bits.all(|bit| self.0[block][bit / 64] & (1 << (bit % 64)) != 0)
    }
}

/// A key is a hash already: its own bits say where it stands.
fn place(key: DedupKey) -> (usize, impl Iterator<Item = usize>) {
    let bits = usize::from_le_bytes(key.0[..8].try_into().expect("invariant: eight bytes"));
    let block = usize::from_le_bytes(key.0[8..].try_into().expect("invariant: eight bytes"));
    (
        block % BLOCKS,
        (0..BITS).map(move |place| (bits >> (9 * place)) % 512),
    )
}

impl std::fmt::Debug for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Filter")
    }
}

#[cfg(test)]
mod tests {
    use tidings_domain::{Entropy as _, entropy::SeededEntropy};

    use super::*;

    #[test]
    fn what_was_added_is_always_found_and_little_else() {
        let entropy = SeededEntropy::new(7);
        let random = || {
            let mut key = [0; 16];
            entropy.fill(&mut key);
            DedupKey(key)
        };
        let mut filter = Filter::new();
        let added: Vec<DedupKey> = (0..100_000).map(|_| random()).collect();
        for key in &added {
            filter.add(*key);
        }
        assert!(added.iter().all(|key| filter.may_hold(*key)));
        let in_vain = (0..100_000).filter(|_| filter.may_hold(random())).count();
        assert!(in_vain < 100, "{in_vain}");
    }
}
