//! Text from others, made safe for a terminal.

use std::borrow::Cow;

/// `text` without what a terminal would obey: escape sequences could rewrite the screen, and anybody can post a
/// notification whose text ends up in a list.
pub fn printable(text: &str) -> Cow<'_, str> {
    let obeyed = |c: char| c.is_control() && c != '\n' && c != '\t';
    if text.contains(obeyed) {
        Cow::Owned(
            text.chars()
                .map(|c| if obeyed(c) { '\u{fffd}' } else { c })
                .collect(),
        )
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_do_not_pass() {
        assert_eq!(
            printable("a\u{1b}[2Jb\u{9b}c\r"),
            "a\u{fffd}[2Jb\u{fffd}c\u{fffd}"
        );
        assert_eq!(printable("Grüße\n\t✓"), "Grüße\n\t✓");
    }
}
