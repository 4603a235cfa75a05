//! The reference pages under `docs/reference`, which the binary writes from its own tables.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::shell;

/// Whether to write the pages or only to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Check,
    Write,
}

/// Has `tidings generate-docs` write into a fresh folder, then takes that folder over or compares with it.
pub(crate) fn run(mode: Mode) -> Result<()> {
    let pages = shell::root().join("docs/reference");
    let fresh = shell::target_directory()?.join("generated/reference");
    if fresh.exists() {
        fs::remove_dir_all(&fresh)?;
    }
    fs::create_dir_all(&fresh)?;
    write_into(&fresh)?;

    let (now, then) = (contents(&fresh)?, contents(&pages)?);
    if now.is_empty() {
        bail!("tidings generate-docs wrote no page");
    }
    let stale = differing(&now, &then);
    match mode {
        Mode::Check if stale.is_empty() => println!("generate: {} pages, all current", now.len()),
        Mode::Check => {
            bail!(
                "not current: {}. `cargo xtask generate` writes them anew.",
                stale.join(", ")
            );
        }
        Mode::Write => {
            for name in &stale {
                let name = name.as_str();
                if let Some(text) = now.get(Path::new(name)) {
                    let page = pages.join(name);
                    fs::create_dir_all(page.parent().unwrap_or(&pages))?;
                    fs::write(page, text)?;
                    println!("generate: wrote {name}");
                } else {
                    fs::remove_file(pages.join(name))?;
                    println!("generate: removed {name}");
                }
            }
            println!("generate: {} pages, {} changed", now.len(), stale.len());
        }
    }
    Ok(())
}

fn write_into(folder: &Path) -> Result<()> {
    let folder = folder.to_str().context("the target folder is not UTF-8")?;
    let ran = shell::shown(&mut shell::cargo(&[
        "run",
        "--quiet",
        "--package=tidings-cli",
        "--",
        "generate-docs",
        folder,
    ]))?;
    if !ran.success {
        bail!("tidings generate-docs failed");
    }
    Ok(())
}

type Pages = BTreeMap<PathBuf, Vec<u8>>;

fn contents(folder: &Path) -> Result<Pages> {
    let mut pages = Pages::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        if !next.exists() {
            continue;
        }
        for entry in fs::read_dir(&next)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder)?.to_owned();
                pages.insert(name, fs::read(&path)?);
            }
        }
    }
    Ok(pages)
}

/// Pages that are new, changed or gone.
fn differing(now: &Pages, then: &Pages) -> Vec<String> {
    let changed = now
        .iter()
        .filter(|(name, text)| then.get(*name) != Some(text))
        .map(|(name, _)| name);
    let gone = then.keys().filter(|name| !now.contains_key(*name));
    changed
        .chain(gone)
        .map(|name| name.display().to_string())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_changed_and_gone_pages_differ() {
        let page = |name: &str, text: &str| (PathBuf::from(name), text.as_bytes().to_vec());
        let now = Pages::from([page("a.md", "1"), page("b.md", "2"), page("c.md", "3")]);
        let then = Pages::from([page("a.md", "1"), page("b.md", "old"), page("d.md", "4")]);
        assert_eq!(differing(&now, &then), ["b.md", "c.md", "d.md"]);
    }
}
