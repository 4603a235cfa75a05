//! How secrets are kept: AES-256-GCM under a key that is not in the database.
//!
//! A sealed value names its key and is bound to the row it belongs to, so that a value copied to another row, column
//! or table does not open. Nonces are random: with 96 bits, 2^32 sealings under one key stay within the limit that
//! NIST SP 800-38D §8.3 sets.

use std::{fmt, sync::Arc};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    hmac,
};
use tidings_domain::{Entropy, Secret};

use crate::record::KeyedHash;

mod key_file;

pub use key_file::{FILE_NAME, KeyFileError, SealingKey};

/// The first byte of every sealed value, should the form ever change.
const FORM: u8 = 1;
const KEY_ID_LEN: usize = 8;
const NONCE_LEN: usize = 12;
const TAG_LEN: usize = 16;
const HEAD_LEN: usize = 1 + KEY_ID_LEN + NONCE_LEN;

/// Names a sealing key; says nothing about it.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct KeyId(pub [u8; KEY_ID_LEN]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where a sealed value stands; it opens nowhere else.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// The table's name.
    pub(crate) table: &'static str,
    /// The column's name.
    pub(crate) column: &'static str,
    /// The row's id.
    pub(crate) row: &'a str,
}

impl Place<'_> {
    fn bytes(self) -> Vec<u8> {
        // No part can hold a NUL, so no two places read the same.
        [self.table, self.column, self.row].join("\0").into_bytes()
    }
}

/// A value that cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SealError {
    /// It was sealed with another key.
    #[error("sealed with key {wanted}, but the key here is {found}")]
    OtherKey {
        /// The key it was sealed with.
        wanted: KeyId,
        /// The key that is here.
        found: KeyId,
    },
    /// It was changed, cut short, or belongs to another row.
    #[error("the sealed value was changed or belongs to another row")]
    Broken,
}

/// Seals, opens and hashes.
pub(crate) struct Seal {
    id: KeyId,
    sealing: LessSafeKey,
    hashing: hmac::Key,
    check: [u8; 32],
    entropy: Arc<dyn Entropy>,
}

impl Seal {
    /// Seals with keys derived from `key`; nonces come from `entropy`.
    pub(crate) fn new(key: &SealingKey, entropy: Arc<dyn Entropy>) -> Self {
        let derive = |purpose: &str| {
            let master = hmac::Key::new(hmac::HMAC_SHA256, key.bytes());
            hmac::sign(&master, purpose.as_bytes())
        };
        let sealing = UnboundKey::new(&AES_256_GCM, derive("tidings seal 1").as_ref())
            .expect("invariant: HMAC-SHA256 gives 32 bytes, the length of an AES-256 key");
        Self {
            id: key.id(),
            sealing: LessSafeKey::new(sealing),
            hashing: hmac::Key::new(hmac::HMAC_SHA256, derive("tidings client state 1").as_ref()),
            check: array(derive("tidings key check 1").as_ref()),
            entropy,
        }
    }

    /// The id of the key.
    pub(crate) fn key_id(&self) -> KeyId {
        self.id
    }

    /// What is stored beside the key's id, to tell a damaged key from the right one at start. Says nothing about the
    /// key.
    pub(crate) fn check_value(&self) -> [u8; 32] {
        self.check
    }

    /// Seals `secret` for one place.
    pub(crate) fn seal(&self, place: Place<'_>, secret: &str) -> Vec<u8> {
        let nonce: [u8; NONCE_LEN] = self.entropy.bytes();
        let mut sealed = Vec::with_capacity(HEAD_LEN + secret.len() + TAG_LEN);
        sealed.push(FORM);
        sealed.extend_from_slice(&self.id.0);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(secret.as_bytes());
        let tag = self
            .sealing
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(place.bytes()),
                &mut sealed[HEAD_LEN..],
            )
            .expect("invariant: AES-GCM seals anything shorter than 64 GiB");
        sealed.extend_from_slice(tag.as_ref());
        sealed
    }

    /// Opens what was sealed for that place.
    pub(crate) fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<Secret, SealError> {
        if sealed.len() < HEAD_LEN + TAG_LEN || sealed[0] != FORM {
            return Err(SealError::Broken);
        }
        let wanted = KeyId(array(&sealed[1..=KEY_ID_LEN]));
        if wanted != self.id {
            return Err(SealError::OtherKey {
                wanted,
                found: self.id,
            });
        }
        let nonce = array(&sealed[1 + KEY_ID_LEN..HEAD_LEN]);
        let mut text = sealed[HEAD_LEN..].to_vec();
        let opened = self
            .sealing
            .open_in_place(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(place.bytes()),
                &mut text,
            )
            .map_err(|_| SealError::Broken)?
            .len();
        text.truncate(opened);
        // The buffer becomes the secret itself, which wipes it when dropped.
        String::from_utf8(text)
            .map(Secret::from)
            .map_err(|_| SealError::Broken)
    }

    /// The keyed hash of a clientState: equal ones are found by it, and it gives nothing away without the key.
    pub(crate) fn hash(&self, text: &str) -> KeyedHash {
        KeyedHash(array(hmac::sign(&self.hashing, text.as_bytes()).as_ref()))
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seal({})", self.id)
    }
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes
        .try_into()
        .expect("invariant: the slice has the array's length")
}

#[cfg(test)]
mod tests {
    use tidings_domain::entropy::SeededEntropy;

    use super::*;

    const HERE: Place<'_> = Place {
        table: "webhooks",
        column: "secret",
        row: "whk_1",
    };

    fn seal(seed: u64) -> Seal {
        let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(seed));
        Seal::new(&SealingKey::random(&*entropy), entropy)
    }

    #[test]
    fn what_was_sealed_opens_and_shows_nothing() {
        let seal = seal(1);
        let sealed = seal.seal(HERE, "whsec_top");
        assert!(!sealed.windows(3).any(|bytes| bytes == b"top"));
        assert_eq!(seal.open(HERE, &sealed), Ok(Secret::new("whsec_top")));
        assert_ne!(
            sealed,
            seal.seal(HERE, "whsec_top"),
            "each sealing has a nonce of its own"
        );
    }

    #[test]
    fn a_sealed_value_opens_only_in_its_own_row_and_column() {
        let seal = seal(1);
        let sealed = seal.seal(HERE, "x");
        for other in [
            Place {
                row: "whk_2",
                ..HERE
            },
            Place {
                column: "url",
                ..HERE
            },
            Place {
                table: "integrations",
                ..HERE
            },
        ] {
            assert_eq!(seal.open(other, &sealed), Err(SealError::Broken));
        }
    }

    #[test]
    fn any_changed_byte_is_noticed() {
        let seal = seal(1);
        let sealed = seal.seal(HERE, "x");
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert!(seal.open(HERE, &changed).is_err(), "byte {place}");
            assert!(seal.open(HERE, &sealed[..place]).is_err(), "cut at {place}");
        }
    }

    #[test]
    fn another_key_is_named() {
        let (one, two) = (seal(1), seal(2));
        let sealed = one.seal(HERE, "x");
        assert_eq!(
            two.open(HERE, &sealed),
            Err(SealError::OtherKey {
                wanted: one.key_id(),
                found: two.key_id()
            })
        );
        assert_ne!(one.hash("state"), two.hash("state"));
        assert_eq!(one.hash("state"), one.hash("state"));
    }
}
