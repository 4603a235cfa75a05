//! A limit on the items of one POST.

/// How many items one POST may have. Microsoft names no limit; 4 MiB hold this many of the smallest that Graph sends,
/// but two million of `0,`, each of which would become hundreds of bytes in memory.
pub(super) const MOST: usize = 10_000;

/// Whether `body` has more than [`MOST`] elements in a list at its second level, as far as one can tell without
/// reading it as JSON.
pub(super) fn too_many(body: &[u8]) -> bool {
    // Nearly every body is let through by its commas alone, which the processor counts many at a time.
    if memchr::memchr_iter(b',', body).count() < MOST {
        return false;
    }
    let (mut depth, mut elements, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for &byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' if depth == 2 => {
                elements += 1;
                if elements >= MOST {
                    return true;
                }
            }
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(items: usize, item: &str) -> String {
        format!("{{\"value\":[{}]}}", vec![item; items].join(","))
    }

    #[test]
    fn it_counts_items_and_nothing_within_them() {
        for item in ["0", "{}", r#"{"a":[1,2,3],"b":"x,\",]"}"#, r#"",\\""#] {
            assert!(!too_many(body(MOST, item).as_bytes()), "{item}");
            assert!(too_many(body(MOST + 1, item).as_bytes()), "{item}");
        }
    }
}
