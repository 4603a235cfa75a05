//! Programs that may be missing, and tests that must then say so.

use std::{env, fs::OpenOptions, io::Write, path::PathBuf};

use crate::binary;

/// The program of this name on the path, if it is there.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}

/// The Python that `cargo xtask test` gave the official Standard Webhooks library.
pub fn python_with_standard_webhooks() -> Option<PathBuf> {
    let python = binary::target_folder().join("tools/python/bin/python");
    python.exists().then_some(python)
}

/// Says loudly that a test, or a part of one, was not run, so that `cargo xtask test` counts it. Where `CI=true` this
/// fails: nothing may be left out there.
#[expect(
    clippy::print_stderr,
    reason = "a test that was not run has to be seen"
)]
pub fn skip(test: &str, why: &str) {
    eprintln!("!!! skipped: {test}: {why}");
    if let Some(file) = env::var_os("TIDINGS_SKIPPED_FILE") {
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(file)
            .expect("TIDINGS_SKIPPED_FILE can be written");
        writeln!(file, "{test}: {why}").expect("TIDINGS_SKIPPED_FILE can be written");
    }
    let in_ci = env::var_os("CI").is_some_and(|value| value == "true");
    assert!(
        !in_ci,
        "skipped where nothing may be skipped: {test}: {why}"
    );
}
