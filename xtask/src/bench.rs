//! Builds the binary and the benchmarks for release and runs one.

use anyhow::{Result, bail};

use crate::shell;

/// Runs `tidings-bench <name> <arguments>` on the `tidings` built beside it.
pub(crate) fn run(name: &str, arguments: &[&str]) -> Result<()> {
    let built = shell::shown(&mut shell::cargo(&[
        "build",
        "--release",
        "--package=tidings-cli",
        "--package=tidings-bench",
        "--bins",
    ]))?;
    if !built.success {
        bail!("the release build failed");
    }
    let folder = shell::target_directory()?.join("release");
    let status = std::process::Command::new(folder.join("tidings-bench"))
        .arg(name)
        .args(arguments)
        .env("TIDINGS_BINARY", folder.join("tidings"))
        .current_dir(shell::root())
        .status()?;
    if !status.success() {
        bail!("the benchmark {name} ended with {status}");
    }
    Ok(())
}
