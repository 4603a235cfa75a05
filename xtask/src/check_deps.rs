//! The direction of the crates, and who may use what from outside.
//!
//! ```text
//! cli → server → pipeline → { storage, graph, egress } → domain
//! cli → emulator → { graph, egress } → domain      graph → egress
//! ```
//!
//! An arrow allows everything further down. Only normal dependencies count: a test may look anywhere.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{banned, documented, guarantees, house, shell};

/// Each crate and what it may use of the others.
const ARROWS: [(&str, &[&str]); 8] = [
    ("domain", &[]),
    ("egress", &["domain"]),
    ("storage", &["domain"]),
    ("graph", &["egress", "domain"]),
    ("pipeline", &["storage", "graph", "egress", "domain"]),
    ("emulator", &["graph", "egress", "domain"]),
    (
        "server",
        &["pipeline", "storage", "graph", "egress", "domain"],
    ),
    (
        "cli",
        &[
            "server", "pipeline", "storage", "emulator", "graph", "egress", "domain",
        ],
    ),
];

/// What only some crates may use, and why.
const KEPT: [(&str, &[&str], &str); 4] = [
    (
        "reqwest",
        &[],
        "every call goes through the one address policy, in egress",
    ),
    (
        "rusqlite",
        &["storage"],
        "no SQL and no SQL type leaves the store",
    ),
    (
        "sqlx",
        &["storage"],
        "no SQL and no SQL type leaves the store",
    ),
    (
        "axum",
        &["server", "emulator", "cli"],
        "the stages below answer no HTTP",
    ),
];

/// Packages that are not part of the product: they may use anything, nobody may use them.
const TOOLS: [&str; 4] = ["bench", "test-postgres", "tests", "xtask"];

/// Package name (without `tidings-`) → its normal dependencies by package name.
type Graph = BTreeMap<String, Vec<String>>;

/// Checks the arrows, the banned crates, the rows on dependencies, the house rules and the tests that the guarantees name; fails with every finding.
pub(crate) fn run() -> Result<()> {
    let metadata = shell::taken(&mut shell::cargo(&[
        "metadata",
        "--format-version=1",
        "--no-deps",
    ]))?;
    let metadata = serde_json::from_str(&metadata)?;
    let graph = graph(&metadata)?;

    let mut findings = findings(&graph);
    findings.extend(banned::findings()?);
    findings.extend(documented::findings(&metadata)?);
    findings.extend(house::findings()?);
    findings.extend(guarantees::findings()?);
    if findings.is_empty() {
        println!(
            "check-deps: {} packages, all arrows point down",
            graph.len()
        );
        return Ok(());
    }
    for finding in &findings {
        eprintln!("check-deps: {finding}");
    }
    bail!("{} findings", findings.len())
}

fn graph(metadata: &Value) -> Result<Graph> {
    let packages = metadata["packages"]
        .as_array()
        .context("cargo metadata lists no packages")?;
    let mut graph = Graph::new();
    for package in packages {
        let name = package["name"].as_str().context("a package has no name")?;
        let dependencies = package["dependencies"]
            .as_array()
            .context("a package lists no dependencies")?
            .iter()
            .filter(|dependency| dependency["kind"].is_null())
            .filter_map(|dependency| dependency["name"].as_str())
            .map(|name| short(name).to_owned())
            .collect();
        graph.insert(short(name).to_owned(), dependencies);
    }
    Ok(graph)
}

fn short(package: &str) -> &str {
    package.strip_prefix("tidings-").unwrap_or(package)
}

fn findings(graph: &Graph) -> Vec<String> {
    let mut findings = Vec::new();
    for (package, dependencies) in graph {
        if TOOLS.contains(&package.as_str()) {
            continue;
        }
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| name == package) else {
            findings.push(format!(
                "{package} has no place among the crates: give it one in xtask/src/check_deps.rs and in ARCHITECTURE.md"
            ));
            continue;
        };
        for dependency in dependencies {
            let dependency = dependency.as_str();
            if graph.contains_key(dependency) && !allowed.contains(&dependency) {
                findings.push(format!(
                    "{package} depends on {dependency}; it may only depend on: {}",
                    allowed.join(", ")
                ));
            }
            let kept = KEPT.iter().find(|(name, _, _)| *name == dependency);
            if let Some((name, users, why)) = kept
                && !users.contains(&package.as_str())
            {
                findings.push(format!(
                    "{package} depends on {name}, which is for {} alone: {why}",
                    users.join(", ")
                ));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fake(edges: &[(&str, &[&str])]) -> Graph {
        let mut graph: Graph = ARROWS
            .iter()
            .map(|(name, _)| ((*name).to_owned(), Vec::new()))
            .collect();
        for (package, dependencies) in edges {
            let dependencies = dependencies.iter().map(|name| (*name).to_owned()).collect();
            graph.insert((*package).to_owned(), dependencies);
        }
        graph
    }

    #[test]
    fn everything_that_points_down_is_allowed() {
        let edges: Vec<_> = ARROWS.into_iter().collect();
        assert_eq!(findings(&fake(&edges)), Vec::<String>::new());
    }

    #[test]
    fn an_arrow_that_points_up_is_found() {
        let found = findings(&fake(&[("storage", &["pipeline"])]));
        assert_eq!(found.len(), 1);
        assert!(
            found[0].starts_with("storage depends on pipeline"),
            "{found:?}"
        );
    }

    #[test]
    fn the_emulator_sees_nothing_of_the_gateway() {
        let found = findings(&fake(&[("emulator", &["storage", "server", "graph"])]));
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn a_kept_crate_is_found_outside_its_place() {
        let found = findings(&fake(&[
            ("graph", &["reqwest"]),
            ("pipeline", &["rusqlite", "axum"]),
            ("storage", &["rusqlite"]),
        ]));
        assert_eq!(found.len(), 3, "{found:?}");
    }

    #[test]
    fn nobody_uses_a_tool_and_a_tool_uses_anything() {
        let found = findings(&fake(&[
            ("tests", &["reqwest", "server"]),
            ("cli", &["tests"]),
        ]));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("cli depends on tests"));
    }

    #[test]
    fn a_crate_without_a_place_is_found() {
        let found = findings(&fake(&[("metrics", &[])]));
        assert!(found[0].starts_with("metrics has no place"), "{found:?}");
    }

    #[test]
    fn only_normal_dependencies_count() {
        let metadata = serde_json::json!({"packages": [{"name": "tidings-storage", "dependencies": [
            {"name": "tidings-domain", "kind": null},
            {"name": "tidings-server", "kind": "dev"},
        ]}]});
        assert_eq!(graph(&metadata).unwrap()["storage"], ["domain"]);
    }
}
