//! `docs/dependencies.md` has a row for each direct dependency, and for no other crate.

use std::{collections::BTreeSet, fs};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::shell;

const PAGE: &str = "docs/dependencies.md";

/// Dependencies without a row, and rows without a dependency. `metadata` is that of `cargo metadata --no-deps`.
pub(crate) fn findings(metadata: &Value) -> Result<Vec<String>> {
    let page = fs::read_to_string(shell::root().join(PAGE))
        .with_context(|| format!("cannot read {PAGE}"))?;
    Ok(compared(&direct(metadata), &page))
}

/// Whatever a package of ours names, for whatever purpose, but other packages of ours.
fn direct(metadata: &Value) -> BTreeSet<&str> {
    metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|package| package["dependencies"].as_array().into_iter().flatten())
        .filter(|dependency| dependency["path"].is_null())
        .filter_map(|dependency| dependency["name"].as_str())
        .collect()
}

fn compared(direct: &BTreeSet<&str>, page: &str) -> Vec<String> {
    let rows: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('|').next())
        .flat_map(|cell| cell.split('`'))
        .map(|name| name.trim_matches([' ', ',']))
        .filter(|name| !name.is_empty())
        .collect();
    let missing = direct.difference(&rows).map(|name| {
        format!("{PAGE} has no row for {name}: say why it is needed, and what else there was")
    });
    let left = rows.difference(direct).map(|name| {
        format!("{PAGE} has a row for {name}, which nothing of ours depends on any more")
    });
    missing.chain(left).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_dependencies_must_agree() {
        let page =
            "| crate | need |\n| --- | --- |\n| `hyper`, `hyper-util` | x |\n| `gone` | y |\n";
        let direct = BTreeSet::from(["hyper", "hyper-util", "new"]);
        let found = compared(&direct, page);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("no row for new"));
        assert!(found[1].contains("a row for gone"));
    }

    #[test]
    fn packages_of_our_own_need_no_row() {
        let metadata = serde_json::json!({"packages": [{"dependencies": [
            {"name": "tidings-domain", "path": "/crates/domain", "kind": null},
            {"name": "proptest", "kind": "dev"},
        ]}]});
        assert_eq!(direct(&metadata), BTreeSet::from(["proptest"]));
    }
}
