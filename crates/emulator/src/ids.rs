//! Ids in the forms that Graph gives them.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use tidings_domain::Entropy;
use uuid::Uuid;

/// A random GUID.
pub(crate) fn guid(entropy: &dyn Entropy) -> Uuid {
    uuid::Builder::from_random_bytes(entropy.bytes()).into_uuid()
}

/// The id of an Outlook item: URL-safe base64, begins with `AAMk`, ends with `=`. Case counts.
pub(crate) fn outlook(entropy: &dyn Entropy) -> String {
    // As long as the ids of the real service; two bytes over a multiple of three, for the one `=` at the end.
    let mut bytes = [0_u8; 80];
    bytes[3..].copy_from_slice(&entropy.bytes::<77>());
    bytes[..3].copy_from_slice(&[0x00, 0x03, 0x24]);
    URL_SAFE.encode(bytes)
}

/// A change key: another one at every change of an item.
pub(crate) fn change_key(entropy: &dyn Entropy) -> String {
    let mut bytes = [0_u8; 31];
    bytes[15..].copy_from_slice(&entropy.bytes::<16>());
    bytes[..6].copy_from_slice(&[0x09, 0x00, 0x00, 0x00, 0x16, 0x00]);
    STANDARD.encode(bytes)
}

/// The id of a notification: short, URL-safe.
pub(crate) fn notification(entropy: &dyn Entropy) -> String {
    URL_SAFE.encode(entropy.bytes::<12>())
}

#[cfg(test)]
mod tests {
    use tidings_domain::entropy::SeededEntropy;

    use super::*;

    #[test]
    fn ids_of_items_look_like_outlooks() {
        let entropy = SeededEntropy::new(3);
        let id = outlook(&entropy);
        assert!(id.starts_with("AAMk") && id.ends_with('='), "{id}");
        assert_ne!(id, outlook(&entropy));
        assert!(change_key(&entropy).starts_with("CQAAABYA"));
    }
}
