//! What is kept of what was rejected: its beginning, as a JSON string.

use std::fmt::Write as _;

use bytes::Bytes;

/// How much is kept of a rejected notification, in bytes, quotes and escapes included.
const LONGEST: usize = 4 * 1024;
/// How much is kept of a text that stands in a column of its own, in characters.
const LONGEST_TEXT: usize = 512;

/// `json` itself if it is short enough, else its beginning as a JSON string: what is kept is always JSON.
pub(super) fn of_item(json: Bytes) -> Bytes {
    if json.len() <= LONGEST {
        json
    } else {
        of_bytes(&json)
    }
}

/// The beginning of `bytes` as a JSON string; what is not UTF-8 in it is replaced.
pub(super) fn of_bytes(bytes: &[u8]) -> Bytes {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(LONGEST)]);
    let mut kept = String::with_capacity(LONGEST);
    kept.push('"');
    for char in text.chars() {
        let before = kept.len();
        match char {
            '"' => kept.push_str("\\\""),
            '\\' => kept.push_str("\\\\"),
            '\n' => kept.push_str("\\n"),
            control if control < ' ' => {
                let _ = write!(kept, "\\u{:04x}", u32::from(control));
            }
            other => kept.push(other),
        }
        if kept.len() >= LONGEST {
            kept.truncate(before);
            break;
        }
    }
    kept.push('"');
    Bytes::from(kept)
}

/// The beginning of a text that a stranger sent.
pub(super) fn of_text(text: &str) -> String {
    text.chars().take(LONGEST_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_comes_is_kept_as_json_within_the_limit() {
        for sent in [
            b"".to_vec(),
            b"{\"a\":".to_vec(),
            vec![0; 10_000],
            vec![0xff; 10_000],
            "\u{1f4a9}\"\\\n".repeat(5_000).into_bytes(),
        ] {
            let kept = of_bytes(&sent);
            assert!(kept.len() <= LONGEST, "{}", kept.len());
            serde_json::from_slice::<String>(&kept).unwrap();
        }
        assert_eq!(of_bytes(b"a\"b"), r#""a\"b""#);
    }

    #[test]
    fn a_short_item_stays_as_it_is() {
        let item = Bytes::from_static(b"{\"a\":1}");
        assert_eq!(of_item(item.clone()), item);
    }
}
