//! `docs/reference/configuration.md`.

use tidings_domain::config::DEFAULT;

use super::Page;

/// A setting of the default file.
#[derive(Debug, PartialEq, Eq)]
struct Entry<'a> {
    section: &'a str,
    key: &'a str,
    default: &'a str,
    comment: String,
}

/// The page.
pub(super) fn page() -> String {
    let mut page = Page::new("Configuration", "`crates/domain/src/config/default.toml`");
    page.paragraph(
        "`tidings serve` reads `tidings.toml` in its working directory, or the file named by `--config`. Environment\n\
         variables go before the file, flags before both. A setting that does not exist is refused with its line. Values in\n\
         variables are written as in the file (`TIDINGS__EGRESS__ALLOW='[\"127.0.0.0/8\"]'`); a text needs no quotes there.\n\
         Spans of time are a number and one of `ms`, `s`, `m`, `h`, `d`.",
    );
    let entries = entries(DEFAULT);
    for section in entries.chunk_by(|one, next| one.section == next.section) {
        page.heading(2, section[0].section);
        let rows: Vec<Vec<String>> = section
            .iter()
            .map(|entry| {
                vec![
                    format!("`{}`", entry.key),
                    format!("`{}`", entry.default),
                    format!("`{}`", variable(entry)),
                    entry.comment.clone(),
                ]
            })
            .collect();
        page.table(&["setting", "default", "variable", "meaning"], &rows);
    }
    page.text
}

fn variable(entry: &Entry<'_>) -> String {
    format!(
        "TIDINGS__{}__{}",
        entry.section.to_ascii_uppercase(),
        entry.key.to_ascii_uppercase()
    )
}

/// The settings of a file, each with the comment above it. Keys that follow each other share one.
fn entries(file: &str) -> Vec<Entry<'_>> {
    let mut entries = Vec::new();
    let mut section = "";
    let mut comment: Vec<&str> = Vec::new();
    let mut after_key = false;
    for line in file.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix('#') {
            if after_key {
                comment.clear();
            }
            comment.push(text.trim());
            after_key = false;
        } else if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
            comment.clear();
        } else if let Some((key, default)) = line.split_once('=') {
            entries.push(Entry {
                section,
                key: key.trim(),
                default: default.trim(),
                comment: comment.join(" "),
            });
            after_key = true;
        } else {
            comment.clear();
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_of_the_default_file_has_a_comment() {
        let table: toml::Table = DEFAULT.parse().unwrap();
        let count: usize = table
            .values()
            .map(|keys| keys.as_table().unwrap().len())
            .sum();
        let entries = entries(DEFAULT);
        assert_eq!(entries.len(), count);
        for entry in &entries {
            assert!(!entry.comment.is_empty(), "{entry:?}");
        }
    }

    #[test]
    fn keys_that_follow_each_other_share_a_comment() {
        let entries =
            entries("# of the file\n\n[a]\n# both\n# sides\nx = 1\ny = 2\n# own\nz = \"3\"\n");
        let comments: Vec<&str> = entries.iter().map(|entry| entry.comment.as_str()).collect();
        assert_eq!(comments, ["both sides", "both sides", "own"]);
        assert_eq!(variable(&entries[2]), "TIDINGS__A__Z");
    }
}
