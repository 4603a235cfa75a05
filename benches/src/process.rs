//! Processes that are measured: started, asked for their first line, read from `/proc`, ended.

use std::{path::Path, process::Stdio};

use anyhow::Context;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// A running process that is killed when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    /// The first line that it printed.
    pub(crate) hello: Value,
}

impl Process {
    /// Starts `program` and reads its first line, a JSON object.
    pub(crate) async fn start(
        program: &Path,
        arguments: &[&str],
        environment: &[(&str, String)],
    ) -> anyhow::Result<Self> {
        let mut child = Command::new(program)
            .args(arguments)
            .envs(environment.iter().map(|(name, value)| (*name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        let stdout = child.stdout.take().context("a pipe was asked for")?;
        let mut lines = BufReader::new(stdout).lines();
        let line = lines
            .next_line()
            .await?
            .with_context(|| format!("{} ended at once", program.display()))?;
        let hello = serde_json::from_str(&line)
            .with_context(|| format!("the first line of {}: {line}", program.display()))?;
        Ok(Self { child, hello })
    }

    /// CPU time spent so far in user and kernel, in milliseconds.
    pub(crate) fn cpu_ms(&self) -> anyhow::Result<f64> {
        cpu_ms(self.id()?)
    }

    /// Resident memory now, in MiB.
    pub(crate) fn rss_mib(&self) -> anyhow::Result<f64> {
        self.status_mib("VmRSS:")
    }

    /// The most resident memory so far, in MiB.
    pub(crate) fn peak_rss_mib(&self) -> anyhow::Result<f64> {
        self.status_mib("VmHWM:")
    }

    fn status_mib(&self, name: &str) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()?))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .with_context(|| format!("no {name}"))?;
        let kib: u32 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(f64::from(kib) / 1_024.0)
    }

    fn id(&self) -> anyhow::Result<u32> {
        self.child.id().context("the process has ended")
    }

    /// Kills it and waits until it is gone.
    pub(crate) async fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill().await?;
        Ok(())
    }

    /// Waits until it ends by itself.
    pub(crate) async fn wait(mut self) -> anyhow::Result<()> {
        anyhow::ensure!(self.child.wait().await?.success(), "a baseline failed");
        Ok(())
    }
}

/// CPU time that a process has spent so far in user and kernel, in milliseconds.
pub(crate) fn cpu_ms(process: u32) -> anyhow::Result<f64> {
    ticks_ms(process, 2)
}

/// The same, and that of its children that have ended and of theirs.
pub(crate) fn cpu_ms_with_ended_children(process: u32) -> anyhow::Result<f64> {
    ticks_ms(process, 4)
}

/// After the name, which may hold blanks, the fields from the 12th are utime, stime, cutime and cstime, in ticks of 10 ms.
fn ticks_ms(process: u32, many: usize) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let fields = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace();
    let ticks: u32 = fields
        .skip(11)
        .take(many)
        .filter_map(|field| field.parse::<u32>().ok())
        .sum();
    Ok(f64::from(ticks) * 10.0)
}
