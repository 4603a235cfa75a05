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

/// How many characters after its prefix the id of an Outlook item keeps for as long as the item lives.
const STABLE: usize = 64;

/// What begins an immutable id, in the place of `AAMk`.
const IMMUTABLE: &str = "AAkALgAA";

/// The id of an Outlook item after a move.
pub(crate) fn moved(id: &str, entropy: &dyn Entropy) -> String {
    let kept = 4 + STABLE;
    format!("{}{}", &id[..kept], &outlook(entropy)[kept..])
}

/// The immutable id of an Outlook item with this id; `None` if it is no such id, or immutable already.
pub(crate) fn immutable(id: &str) -> Option<String> {
    Some(format!("{IMMUTABLE}{}", kept(id)?))
}

/// What an immutable id has in common with all others that the item has had; `None` if it is none.
pub(crate) fn kept_of_immutable(id: &str) -> Option<&str> {
    id.strip_prefix(IMMUTABLE)
}

/// What the id of an Outlook item has in common with all others that it has had; `None` if it is none.
pub(crate) fn kept(id: &str) -> Option<&str> {
    id.strip_prefix("AAMk")?.get(..STABLE)
}

/// The id of a user's drive: `b!` and URL-safe base64, the same each time.
pub(crate) fn drive(owner: Uuid) -> String {
    let mut bytes = [0_u8; 48];
    for (place, byte) in bytes.iter_mut().enumerate() {
        // As long as the ids of the real service, which name a site, a web and a list.
        let turn = u8::try_from(place / 16).unwrap_or(0);
        *byte = owner.as_bytes()[place % 16] ^ turn.wrapping_mul(0x5b);
    }
    format!("b!{}", URL_SAFE.encode(bytes))
}

/// The id of an item of a drive: `01` and 32 letters and digits of base32.
pub(crate) fn drive_item(entropy: &dyn Entropy) -> String {
    const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let letters = entropy.bytes::<32>();
    let letters = letters.map(|byte| char::from(BASE32[usize::from(byte % 32)]));
    format!("01{}", String::from_iter(letters))
}

/// The id of a Teams channel: `19:…@thread.tacv2`.
pub(crate) fn channel(entropy: &dyn Entropy) -> String {
    let hex = guid(entropy).simple();
    format!("19:{hex}@thread.tacv2")
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

    #[test]
    fn a_move_changes_the_id_and_not_the_immutable_one() {
        let entropy = SeededEntropy::new(3);
        let id = outlook(&entropy);
        let after = moved(&id, &entropy);
        assert_ne!(id, after);
        assert_eq!(id.len(), after.len());
        let immutable_id = immutable(&id).unwrap();
        assert_eq!(immutable(&after), Some(immutable_id.clone()));
        assert_eq!(kept_of_immutable(&immutable_id), kept(&id));
        assert_eq!(immutable(&immutable_id), None);
        assert_ne!(immutable(&outlook(&entropy)), Some(immutable_id));
    }
}
