//! A program that runs.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::{ExitStatus, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    sync::mpsc,
    task::JoinSet,
};

use crate::wait;

/// A program that runs, and is killed when the test ends. When the test fails, the end of its log is shown.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    lines: mpsc::UnboundedReceiver<String>,
    log: PathBuf,
    _folder: TempDir,
    _reader: JoinSet<()>,
}

impl Process {
    /// Starts `command`; `name` is for messages.
    pub fn start(name: &str, mut command: Command) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let log = folder.path().join("log");
        let stderr = File::create(&log).expect("a log can be made");
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let stdout = child.stdout.take().expect("stdout is piped");
        let (sender, lines) = mpsc::unbounded_channel();
        let mut reader = JoinSet::new();
        reader.spawn(async move {
            let mut stdout = BufReader::new(stdout).lines();
            while let Ok(Some(line)) = stdout.next_line().await {
                // Nobody has to want the lines, but the pipe must not fill up.
                let _ = sender.send(line);
            }
        });
        Self {
            name: name.to_owned(),
            child,
            lines,
            log,
            _folder: folder,
            _reader: reader,
        }
    }

    /// The next line on standard output.
    pub async fn line(&mut self) -> String {
        match wait::soon(&format!("a line of {}", self.name), self.lines.recv()).await {
            Some(line) => line,
            None => panic!(
                "{} ended without a further line:\n{}",
                self.name,
                self.log()
            ),
        }
    }

    /// The next line on standard output, if it does not end before.
    pub async fn line_or_end(&mut self) -> Option<String> {
        wait::soon(&format!("a line of {}", self.name), self.lines.recv()).await
    }

    /// The next line on standard output, which is JSON.
    pub async fn json_line(&mut self) -> Value {
        let line = self.line().await;
        serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("{} printed no JSON ({error}): {line}", self.name))
    }

    /// The id by which other programs know it.
    pub fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// SIGKILL: it gets no chance to do anything.
    pub async fn kill(&mut self) {
        self.child.start_kill().expect("it can be killed");
        self.ended().await;
    }

    /// SIGTERM, then waits for its end.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM").await;
        self.ended().await
    }

    /// Sends a signal by its short name.
    pub async fn signal(&self, signal: &str) {
        let id = self.id().to_string();
        let sent = Command::new("kill")
            .args(["-s", signal, &id])
            .status()
            .await;
        assert!(
            sent.expect("there is a kill command").success(),
            "kill -s {signal} failed"
        );
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> ExitStatus {
        let ended = wait::soon(&format!("the end of {}", self.name), self.child.wait()).await;
        ended.expect("its end can be waited for")
    }

    /// What it has written to standard error, the end of it.
    pub fn log(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

impl Drop for Process {
    #[expect(clippy::print_stderr, reason = "a failed test shows what it saw")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "--- end of the log of {} ---\n{}\n---",
                self.name,
                self.log()
            );
        }
    }
}
