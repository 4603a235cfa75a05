//! Commands, as a shell user runs them.

use std::process::Stdio;

use serde_json::Value;
use tokio::{io::AsyncWriteExt, process::Command};

use crate::{binary, wait};

/// How a command ended, and what it said.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code.
    pub code: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Ended {
    /// Its output, after exit code 0.
    pub fn ok(self) -> String {
        assert_eq!(
            self.code, 0,
            "stdout: {}\nstderr: {}",
            self.stdout, self.stderr
        );
        self.stdout
    }

    /// Its output as JSON, after exit code 0.
    pub fn json(self) -> Value {
        let stdout = self.ok();
        serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("no JSON ({error}): {stdout}"))
    }
}

/// A shell with some variables set.
#[derive(Clone, Debug, Default)]
pub struct Cli {
    variables: Vec<(String, String)>,
}

impl Cli {
    /// A shell in which nothing of Tidings is set.
    pub fn new() -> Self {
        Self::default()
    }

    /// With a variable.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// `tidings` with these arguments.
    pub async fn run(&self, arguments: &[&str]) -> Ended {
        self.run_with_input(arguments, "").await
    }

    /// `tidings` with these arguments and `input` on standard input.
    pub async fn run_with_input(&self, arguments: &[&str], input: &str) -> Ended {
        let mut command = command();
        command
            .args(arguments)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("tidings can be started");
        let mut stdin = child.stdin.take().expect("stdin is piped");
        // A command that does not read its input closes it.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        let output = wait::soon("the end of a command", child.wait_with_output()).await;
        let output = output.expect("its end can be waited for");
        Ended {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).expect("output is UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("output is UTF-8"),
        }
    }
}

/// `tidings`, free of whatever the developer's own shell has set for it, killed with the test.
pub(crate) fn command() -> Command {
    cleaned(Command::new(binary::tidings()))
}

pub(crate) fn cleaned(command: Command) -> Command {
    let mut command = Command::from(clean(command.into_std()));
    command.kill_on_drop(true);
    command
}

/// The same command without the variables that Tidings reads.
pub(crate) fn clean(mut command: std::process::Command) -> std::process::Command {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TIDINGS_") {
            command.env_remove(name);
        }
    }
    command
}
