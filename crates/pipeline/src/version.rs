//! What tells the versions of an item apart.

use aws_lc_rs::digest::{SHA256, digest};
use tidings_storage::record::Version;

/// The version that Graph names: an etag or a `changeKey`.
///
/// Outlook's etag is its `changeKey` in quotes behind `W/`, so that both are the same version here, whichever an answer has.
pub fn named(text: &str) -> Version {
    let text = text.trim();
    let text = text.strip_prefix("W/").unwrap_or(text);
    let text = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(text);
    hashed(b"name", text.as_bytes())
}

/// The version of an object to which Graph gives no name: its content, as Graph wrote it.
pub fn of_content(object: &[u8]) -> Version {
    hashed(b"content", object)
}

fn hashed(kind: &[u8], bytes: &[u8]) -> Version {
    let mut text = Vec::with_capacity(kind.len() + 1 + bytes.len());
    text.extend_from_slice(kind);
    text.push(0);
    text.extend_from_slice(bytes);
    let hash = digest(&SHA256, &text);
    let mut version = [0; 16];
    version.copy_from_slice(&hash.as_ref()[..16]);
    Version::of_hash(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_and_the_change_key_in_it_are_one_version() {
        assert_eq!(named("W/\"CQAAABY=\""), named("CQAAABY="));
        assert_eq!(named("\"{5F},1\""), named("{5F},1"));
        assert_ne!(named("W/\"1\""), named("W/\"2\""));
        assert_ne!(named("1"), of_content(b"1"));
    }
}
