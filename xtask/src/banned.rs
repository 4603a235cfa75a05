//! Crates that must not be built into anything of ours on this platform.

use anyhow::Result;

use crate::shell;

/// Name and why not.
const BANNED: [(&str, &str); 4] = [
    (
        "native-tls",
        "TLS is rustls with aws-lc-rs, everywhere the same",
    ),
    (
        "openssl-sys",
        "a second crypto library, and one that machines differ in",
    ),
    (
        "ring",
        "a second crypto library: turn it off in the features of what asks for it",
    ),
    (
        "rsa",
        "RUSTSEC-2023-0071: its timing leaks the private key, and no release mends it",
    ),
];

/// What is built although it is banned. Asks `cargo tree`, which knows the features that are really on;
/// `cargo metadata` also lists what no build contains.
pub(crate) fn findings() -> Result<Vec<String>> {
    let tree = shell::taken(&mut shell::cargo(&[
        "tree",
        "--workspace",
        "--edges=normal,build",
        "--prefix=none",
        "--format={p}",
    ]))?;
    Ok(in_tree(&tree))
}

fn in_tree(tree: &str) -> Vec<String> {
    BANNED
        .iter()
        .filter(|(name, _)| {
            tree.lines()
                .any(|line| line.split_whitespace().next() == Some(name))
        })
        .map(|(name, why)| {
            format!(
                "{name} is built: {why}. `cargo tree --workspace -i {name}` shows what asks for it."
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_banned_crate_is_found_by_its_whole_name() {
        let tree = "tidings-egress v0.1.0 (/work)\nrsa v0.9.10\nring-buffer v1.0.0\n";
        let found = in_tree(tree);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("rsa is built"), "{found:?}");
    }
}
