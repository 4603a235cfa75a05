//! House rules on files: none too long, none named for nothing in particular.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use crate::shell;

/// What a reader can still take in. About 150 is what a file should have.
const LONGEST: usize = 600;

/// Names that say nothing of what is inside; everything ends up there.
const EMPTY_WORDS: [&str; 7] = [
    "common", "helper", "helpers", "misc", "types", "util", "utils",
];

const FOLDERS: [&str; 4] = ["benches", "crates", "tests", "xtask"];

/// Every breach, with the file.
pub(crate) fn findings() -> Result<Vec<String>> {
    let root = shell::root();
    let mut findings = Vec::new();
    for folder in FOLDERS {
        walk(&root, &root.join(folder), &mut findings)?;
    }
    findings.sort();
    Ok(findings)
}

fn walk(root: &Path, folder: &Path, findings: &mut Vec<String>) -> Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let shown = path.strip_prefix(root).unwrap_or(&path).display();
        let is_rust = path.extension().is_some_and(|extension| extension == "rs");
        if EMPTY_WORDS.contains(&&*stem) && (is_rust || path.is_dir()) {
            findings.push(format!(
                "{shown}: `{stem}` does not say what is inside; name it for what it holds"
            ));
        }
        if path.is_dir() {
            if stem != "target" {
                walk(root, &path, findings)?;
            }
        } else if is_rust {
            let text = fs::read_to_string(&path)?;
            findings.extend(in_file(&shown.to_string(), &text));
        }
    }
    Ok(())
}

fn in_file(shown: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let lines = text.lines().count();
    if lines > LONGEST {
        findings.push(format!(
            "{shown}: {lines} lines; no file has more than {LONGEST}: split it by what it does"
        ));
    }
    for line in text.lines() {
        let line = line.trim_start();
        let line = line.strip_prefix("pub ").unwrap_or(line);
        let line = line.strip_prefix("pub(crate) ").unwrap_or(line);
        let Some(rest) = line.strip_prefix("mod ") else {
            continue;
        };
        let name = rest.trim_end_matches([' ', '{', ';']);
        if EMPTY_WORDS.contains(&name) {
            findings.push(format!(
                "{shown}: `mod {name}` does not say what is inside; name it for what it holds"
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_may_have_600_lines_and_no_more() {
        assert_eq!(in_file("a.rs", &"x\n".repeat(600)), Vec::<String>::new());
        assert_eq!(in_file("a.rs", &"x\n".repeat(601)).len(), 1);
    }

    #[test]
    fn a_module_with_an_empty_name_is_found() {
        let text = "mod wake;\npub mod utils;\npub(crate) mod helpers {\n}\nmod typesetting;\n";
        assert_eq!(in_file("lib.rs", text).len(), 2);
    }
}
