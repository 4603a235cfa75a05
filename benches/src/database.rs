//! A PostgreSQL of the benchmark's own, prepared as an operator prepares it.

use std::{fs, path::Path, process::Stdio};

use anyhow::Context;
use serde_json::Value;
use tempfile::TempDir;
use tidings_test_postgres::Server;
use tokio::process::Command;

use crate::process;

/// Of those that docs/operating.md recommends: fewer checkpoints, and room for what is hot. What decides over what a
/// commit is worth stays on, which the nodes would insist on anyway.
const SETTINGS: [(&str, &str); 3] = [
    ("max_wal_size", "4GB"),
    ("shared_buffers", "1GB"),
    ("max_connections", "200"),
];

/// A running server with a database for gateways in it. Both go when it is dropped.
#[derive(Debug)]
pub(crate) struct Database {
    server: Server,
    /// What a gateway needs to be on it.
    pub(crate) variables: Vec<(&'static str, String)>,
    /// The admin key that was shown when it was prepared.
    pub(crate) admin_key: String,
    _folder: TempDir,
}

impl Database {
    /// Starts the server, makes database and sealing key, and runs `tidings migrate apply`.
    pub(crate) async fn start(tidings: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let server = Server::start_with(&SETTINGS);
        let key = folder.path().join("sealing.key");
        let key = key.to_str().context("a folder with a readable name")?;
        let variables = vec![
            ("TIDINGS_DATABASE_URL", server.create_database("tidings")),
            ("TIDINGS_SEALING_KEY_FILE", key.to_owned()),
        ];
        run(tidings, &["sealing-key", "create", key], &variables).await?;
        let applied = run(tidings, &["migrate", "apply"], &variables).await?;
        let admin_key = applied["admin_key"].as_str().context("an admin key")?;
        Ok(Self {
            server,
            variables,
            admin_key: admin_key.to_owned(),
            _folder: folder,
        })
    }

    /// CPU time that all of its processes have spent so far, those that have ended included, in milliseconds.
    pub(crate) fn cpu_ms(&self) -> anyhow::Result<f64> {
        let file = self.server.data_folder().join("postmaster.pid");
        let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let postmaster = text.lines().next().unwrap_or_default().trim().parse()?;
        let mut sum = process::cpu_ms_with_ended_children(postmaster)?;
        let children = format!("/proc/{postmaster}/task/{postmaster}/children");
        for child in fs::read_to_string(children)?.split_whitespace() {
            // One that has ended since is counted next time, with the postmaster's ended children.
            sum += process::cpu_ms(child.parse()?).unwrap_or(0.0);
        }
        Ok(sum)
    }
}

/// Runs a command of the binary on the database and reads its answer.
async fn run(
    tidings: &Path,
    arguments: &[&str],
    variables: &[(&'static str, String)],
) -> anyhow::Result<Value> {
    let output = Command::new(tidings)
        .args(arguments)
        .arg("--json")
        .envs(variables.iter().map(|(name, value)| (*name, value)))
        .stdin(Stdio::null())
        .output()
        .await?;
    anyhow::ensure!(
        output.status.success(),
        "tidings {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(serde_json::from_slice(&output.stdout)?)
}
