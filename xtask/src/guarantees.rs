//! `docs/guarantees.md` names the tests that hold each promise: they must exist.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use crate::shell;

const PAGE: &str = "docs/guarantees.md";

/// Every test that the page names and nobody wrote.
pub(crate) fn findings() -> Result<Vec<String>> {
    let root = shell::root();
    let page =
        fs::read_to_string(root.join(PAGE)).with_context(|| format!("cannot read {PAGE}"))?;
    let read = |path: &str| fs::read_to_string(root.join(Path::new(path))).ok();
    Ok(in_page(&page, read))
}

fn in_page(page: &str, read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut findings = Vec::new();
    for (path, test) in page.lines().filter_map(row) {
        match read(path) {
            None => findings.push(format!("{PAGE} names {path}, which does not exist")),
            Some(text) if !text.contains(&format!("fn {test}(")) => {
                findings.push(format!(
                    "{PAGE} names the test {test}, which {path} does not have"
                ));
            }
            Some(_) => {}
        }
    }
    findings
}

/// File and test of a table's row ``| `file` | `test` | …``; other lines are none.
fn row(line: &str) -> Option<(&str, &str)> {
    let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
    let mut quoted = || cells.next()?.strip_prefix('`')?.strip_suffix('`');
    Some((quoted()?, quoted()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(page: &str) -> Vec<String> {
        in_page(page, |path| {
            (path == "tests/it/a.rs").then(|| "async fn it_holds() {}".to_owned())
        })
    }

    #[test]
    fn a_test_that_exists_is_no_finding() {
        let page = "| file | test | shows |\n| --- | --- | --- |\n| `tests/it/a.rs` | `it_holds` | that |\n";
        assert_eq!(found(page), Vec::<String>::new());
    }

    #[test]
    fn a_test_or_a_file_that_is_gone_is_found() {
        assert_eq!(found("| `tests/it/a.rs` | `it_held` | that |").len(), 1);
        assert_eq!(found("| `tests/it/b.rs` | `it_holds` | that |").len(), 1);
    }
}
