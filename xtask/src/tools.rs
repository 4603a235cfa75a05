//! What the tests need beside cargo: a C compiler (the fault shim), openssl, PostgreSQL's server, and the official
//! Standard Webhooks library of another language.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, bail};

use crate::shell;

/// Program, Debian package, and how to get it elsewhere.
const PROGRAMS: [(&str, &str, &str); 3] = [
    (
        "cc",
        "gcc libc6-dev",
        "any C compiler, as `cc`: Xcode command line tools, build-essential, gcc",
    ),
    ("openssl", "openssl", "the openssl command"),
    (
        "python3",
        "python3 python3-venv",
        "Python 3.9 or newer with its venv module: python.org or your package manager",
    ),
];

/// The release whose verdict on our signatures is asked. It needs no other package.
const STANDARD_WEBHOOKS: &str = "standardwebhooks==1.1.0";

/// Provides what is missing as far as it can, and says what it could not. Tests that need a missing tool skip loudly.
pub(crate) fn provide() -> Result<Vec<String>> {
    let mut missing = Vec::new();
    for (program, package, elsewhere) in PROGRAMS {
        if shell::exists(program) || install(package)? && shell::exists(program) {
            continue;
        }
        missing.push(format!("{program} is missing: install {elsewhere}"));
    }
    if !provide_postgres()? {
        missing.push(
            "PostgreSQL 15 or newer (initdb, postgres, psql) is missing: install the server's package, such as \
             `brew install postgresql@17`. It need not run: tests start one of their own."
                .to_owned(),
        );
    }
    if shell::exists("python3")
        && let Err(error) = provide_library(&shell::target_directory()?)
    {
        missing.push(format!(
            "the official Standard Webhooks library for Python is missing: {error:#}. With a network, `python3 -m venv` \
             and `pip install {STANDARD_WEBHOOKS}` must work."
        ));
    }
    Ok(missing)
}

/// Debian's package would start a server of its own; this setting, put first, keeps it from that.
fn provide_postgres() -> Result<bool> {
    let is_there = || tidings_test_postgres::version().is_some();
    if is_there() || !install("postgresql-common")? {
        return Ok(is_there());
    }
    let settings = Path::new("/etc/postgresql-common/createcluster.conf");
    let text = fs::read_to_string(settings).unwrap_or_default();
    fs::write(settings, format!("{text}\ncreate_main_cluster = false\n"))?;
    Ok(install("postgresql")? && is_there())
}

/// Where the tests look for a Python that has the library.
fn python(target: &Path) -> PathBuf {
    target.join("tools/python/bin/python")
}

fn provide_library(target: &Path) -> Result<()> {
    let python = python(target);
    if has_library(&python) {
        return Ok(());
    }
    let folder = target.join("tools/python");
    let make = || {
        let mut command = Command::new("python3");
        command.args(["-m", "venv", "--clear"]).arg(&folder);
        shell::shown(&mut command)
    };
    // Debian's python3 comes without venv, and only running it tells.
    let made = make()?.success || (install("python3-venv")? && make()?.success);
    if !made {
        bail!("python3 -m venv failed");
    }
    let mut pip = Command::new(&python);
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        STANDARD_WEBHOOKS,
    ]);
    shell::shown(&mut pip)?;
    if has_library(&python) {
        return Ok(());
    }
    bail!("pip could not fetch it");
}

fn has_library(python: &Path) -> bool {
    Command::new(python)
        .args(["-c", "import standardwebhooks"])
        .output()
        .is_ok_and(|output| output.status.success())
}

/// Installs Debian packages where we may: as root, with apt.
fn install(packages: &str) -> Result<bool> {
    if !shell::exists("apt-get") || !is_root()? {
        return Ok(false);
    }
    println!("tools: installing {packages}");
    let mut command = Command::new("apt-get");
    command
        .args(["install", "--yes", "--no-install-recommends"])
        .args(packages.split(' '))
        .env("DEBIAN_FRONTEND", "noninteractive");
    if shell::shown(&mut command)?.success {
        return Ok(true);
    }
    // A fresh image has no package lists.
    shell::shown(Command::new("apt-get").args(["update"]))?;
    Ok(shell::shown(&mut command)?.success)
}

fn is_root() -> Result<bool> {
    Ok(shell::taken(Command::new("id").arg("-u"))?.trim() == "0")
}
