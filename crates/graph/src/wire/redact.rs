//! Takes clientState out of JSON that is otherwise kept byte for byte.

use bytes::Bytes;
use memchr::{memchr, memchr2};

/// The member whose values are secrets.
const NAME: &[u8] = b"clientstate";

/// `json` with the value of every member named clientState, in any casing and at any depth, replaced by `null`.
///
/// Works on bytes, so that it also cleans what cannot be read as a notification, or not as JSON at all: a value that
/// does not end is cut to the end.
///
/// ```
/// use tidings_graph::wire::notification::without_client_state;
///
/// let sent = br#"{"clientState":"s3cret-s3cret-s3", "changeType":"created"}"#;
/// assert_eq!(without_client_state(sent), r#"{"clientState":null, "changeType":"created"}"#);
/// ```
pub fn without_client_state(json: &[u8]) -> Bytes {
    let mut kept = Vec::with_capacity(json.len());
    let mut copied = 0;
    let mut place = 0;
    while let Some(quote) = memchr(b'"', &json[place..]).map(|found| place + found) {
        let name_end = string_end(json, quote);
        place = name_end;
        let colon = skip_blanks(json, name_end);
        if json.get(colon) != Some(&b':') || !is_name(&json[quote..name_end]) {
            continue;
        }
        let value = skip_blanks(json, colon + 1);
        let value_end = value_end(json, value);
        kept.extend_from_slice(&json[copied..value]);
        kept.extend_from_slice(b"null");
        copied = value_end;
        place = value_end;
    }
    kept.extend_from_slice(&json[copied..]);
    Bytes::from(kept)
}

/// The place behind the closing quote of the string that opens at `quote`; the end if it has none.
fn string_end(json: &[u8], quote: usize) -> usize {
    let mut place = quote + 1;
    while let Some(found) = json
        .get(place..)
        .and_then(|rest| memchr2(b'"', b'\\', rest))
    {
        if json[place + found] == b'"' {
            return place + found + 1;
        }
        place += found + 2;
    }
    json.len()
}

fn skip_blanks(json: &[u8], from: usize) -> usize {
    json[from..]
        .iter()
        .position(|byte| !byte.is_ascii_whitespace())
        .map_or(json.len(), |place| from + place)
}

/// The place behind the value that begins at `from`.
fn value_end(json: &[u8], from: usize) -> usize {
    match json.get(from) {
        Some(b'"') => string_end(json, from),
        Some(b'{' | b'[') => {
            let mut depth = 0_usize;
            let mut place = from;
            while let Some(&byte) = json.get(place) {
                match byte {
                    b'"' => {
                        place = string_end(json, place);
                        continue;
                    }
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => {
                        depth -= 1;
                        if depth == 0 {
                            return place + 1;
                        }
                    }
                    _ => {}
                }
                place += 1;
            }
            json.len()
        }
        _ => json[from..]
            .iter()
            .position(|byte| matches!(byte, b',' | b'}' | b']'))
            .map_or(json.len(), |place| from + place),
    }
}

/// Whether a string, quotes included, spells the secret member's name.
fn is_name(string: &[u8]) -> bool {
    let plain = string
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""));
    let Some(plain) = plain else { return false };
    if plain.contains(&b'\\') {
        return serde_json::from_slice::<String>(string)
            .is_ok_and(|name| name.as_bytes().eq_ignore_ascii_case(NAME));
    }
    plain.eq_ignore_ascii_case(NAME)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cleaned(json: &str) -> String {
        String::from_utf8(without_client_state(json.as_bytes()).to_vec()).unwrap()
    }

    #[test]
    fn every_value_goes_whatever_its_form_and_all_else_stays() {
        for (sent, kept) in [
            (
                r#"{"clientState":"a","b":1}"#,
                r#"{"clientState":null,"b":1}"#,
            ),
            (
                r#"{"CLIENTSTATE" : "a\"b}" }"#,
                r#"{"CLIENTSTATE" : null }"#,
            ),
            (
                r#"{"client\u0053tate":"a"}"#,
                r#"{"client\u0053tate":null}"#,
            ),
            (
                r#"{"x":{"clientState":{"y":["}",1]}},"z":2}"#,
                r#"{"x":{"clientState":null},"z":2}"#,
            ),
            (
                r#"{"clientState":"a","clientState":"b"}"#,
                r#"{"clientState":null,"clientState":null}"#,
            ),
            (
                r#"{"clientState":12345,"b":1}"#,
                r#"{"clientState":null,"b":1}"#,
            ),
            (
                r#"{"note":"clientState","b":"x"}"#,
                r#"{"note":"clientState","b":"x"}"#,
            ),
            (r#"{"clientStates":"a"}"#, r#"{"clientStates":"a"}"#),
            ("[1, true]", "[1, true]"),
        ] {
            assert_eq!(cleaned(sent), kept);
        }
    }

    #[test]
    fn what_is_cut_short_is_cleaned_too() {
        assert_eq!(cleaned(r#"{"clientState":"secr"#), r#"{"clientState":null"#);
        assert_eq!(
            cleaned(r#"{"clientState":{"a":"secr"#),
            r#"{"clientState":null"#
        );
        assert_eq!(cleaned(r#"{"clientState""#), r#"{"clientState""#);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            without_client_state(&bytes);
        }

        #[test]
        fn a_secret_never_survives(secret in "[ -~]{16,40}", blank in "[ \n]{0,3}", deep in 0_usize..4) {
            let value = serde_json::to_string(&secret).unwrap();
            let mut json = format!("{{\"clientState\"{blank}:{blank}{value}}}");
            for _ in 0..deep {
                json = format!("[{json},{{\"a\\\\\":{json}}}]");
            }
            let kept = without_client_state(json.as_bytes());
            serde_json::from_slice::<serde_json::Value>(&kept).unwrap();
            let text = String::from_utf8(kept.to_vec()).unwrap();
            prop_assert!(!text.contains(&value));
        }
    }
}
