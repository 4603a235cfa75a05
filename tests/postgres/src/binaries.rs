//! Where PostgreSQL is on this machine.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The oldest that the product supports.
const OLDEST: u32 = 15;

/// Folders whose subfolders are versions, and where in those the programs are: Debian and Ubuntu, Fedora and its kin,
/// Homebrew on either processor.
const VERSIONED: [(&str, &str, &str); 4] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/opt/homebrew/opt", "postgresql@", "bin"),
    ("/usr/local/opt", "postgresql@", "bin"),
];

/// The programs of one version.
#[derive(Clone, Debug)]
pub(crate) struct Binaries {
    folder: PathBuf,
    /// As it tells it: `postgres (PostgreSQL) 15.18`.
    pub(crate) version: String,
}

impl Binaries {
    /// The newest that are old enough to be known and new enough to be supported.
    ///
    /// # Panics
    ///
    /// If there are none: says how to get them.
    pub(crate) fn find() -> Self {
        newest().unwrap_or_else(|| {
            panic!(
                "there is no PostgreSQL {OLDEST} or newer (initdb, postgres, psql) on the path or below \
                 /usr/lib/postgresql: `cargo xtask test` as root installs it on Debian and Ubuntu; elsewhere install the \
                 server package, such as `brew install postgresql@17`. It need not run."
            )
        })
    }

    /// One of them.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn at(folder: &Path) -> Option<((u32, u32), Self)> {
        // A link on the path leads to the folder in which all of them are.
        let postgres = fs::canonicalize(folder.join("postgres")).ok()?;
        let folder = postgres.parent()?.to_owned();
        if !folder.join("initdb").exists() || !folder.join("psql").exists() {
            return None;
        }
        let output = Command::new(&postgres).arg("--version").output().ok()?;
        let version = String::from_utf8(output.stdout).ok()?.trim().to_owned();
        let number = parse(&version)?;
        Some((number, Self { folder, version }))
    }
}

/// The version that tests would run on, such as `postgres (PostgreSQL) 15.18`; `None` if this machine has none that will
/// do.
pub fn version() -> Option<String> {
    newest().map(|binaries| binaries.version)
}

fn newest() -> Option<Binaries> {
    folders()
        .into_iter()
        .filter_map(|folder| Binaries::at(&folder))
        .filter(|((major, _), _)| *major >= OLDEST)
        .max_by_key(|(version, _)| *version)
        .map(|(_, binaries)| binaries)
}

fn folders() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = env::split_paths(&path).collect();
    for (parent, prefix, inside) in VERSIONED {
        let entries = fs::read_dir(parent).into_iter().flatten().flatten();
        let versions =
            entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix));
        folders.extend(versions.map(|entry| entry.path().join(inside)));
    }
    folders.sort();
    folders.dedup();
    folders
}

/// Major and minor version of `postgres (PostgreSQL) 15.18 (Debian …)`; a beta has no minor one.
fn parse(version: &str) -> Option<(u32, u32)> {
    let number = version.split_whitespace().nth(2)?;
    let mut parts = number.split(|c: char| !c.is_ascii_digit());
    let major = parts.next()?.parse().ok()?;
    let minor = parts.next().and_then(|part| part.parse().ok());
    Some((major, minor.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_compared_by_number() {
        let debian = "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)";
        assert_eq!(parse(debian), Some((15, 18)));
        assert_eq!(parse("postgres (PostgreSQL) 19beta1"), Some((19, 0)));
        assert_eq!(parse("postgres (PostgreSQL) 9.6.24"), Some((9, 6)));
        assert_eq!(parse("nothing"), None);
    }
}
