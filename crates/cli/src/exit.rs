//! How a command ends when it does not succeed: a code for scripts, a sentence and a hint for people.

use std::{fmt, io};

use serde_json::{Value, json};

/// Why a command ended, as an exit code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exit {
    /// It was tried and did not work, or a check says no.
    Failed = 1,
    /// The command line or the configuration is wrong: nothing was tried.
    Usage = 2,
    /// What was asked for does not exist.
    NotFound = 3,
    /// The server does not let this key do that.
    Refused = 4,
    /// The server could not be reached.
    Unreachable = 5,
}

impl Exit {
    /// The number that the process ends with.
    pub const fn code(self) -> u8 {
        self as u8
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::NotFound => "not_found",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
        }
    }
}

/// Why a command did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    exit: Exit,
    code: String,
    message: String,
    hint: Option<String>,
    silent: bool,
}

impl Failure {
    /// A failure that ends the process with `exit` and says `message`: one sentence, what is wrong.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            code: exit.word().to_owned(),
            message: message.into(),
            hint: None,
            silent: false,
        }
    }

    /// A failure whose story was already told on standard output; nothing more is written.
    pub fn told(exit: Exit) -> Self {
        Self {
            silent: true,
            ..Self::new(exit, "")
        }
    }

    /// The same with what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same under a finer name for scripts, such as the `code` of a problem that the API answered.
    #[must_use]
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = code.into();
        self
    }

    /// How the process ends.
    pub const fn exit(&self) -> Exit {
        self.exit
    }

    /// Whether everything was said before.
    pub const fn is_told(&self) -> bool {
        self.silent
    }

    /// What to do about it, if anybody knows.
    pub fn advice(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// What goes to standard error under `--json`.
    pub fn to_json(&self) -> Value {
        json!({"error": {"code": self.code, "message": self.message, "hint": self.hint}})
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<io::Error> for Failure {
    /// Writing to standard output failed. A reader that has seen enough (`tidings event list | head`) is no failure to
    /// talk about.
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::told(Exit::Failed);
        }
        Self::new(Exit::Failed, format!("cannot write the output: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_carries_its_code_and_hint_into_json() {
        let failure = Failure::new(Exit::NotFound, "there is no webhook")
            .code("webhook_not_found")
            .hint("`tidings webhook list` lists them");
        assert_eq!(failure.exit().code(), 3);
        assert_eq!(failure.to_json()["error"]["code"], "webhook_not_found");
        assert_eq!(
            failure.to_json()["error"]["hint"],
            "`tidings webhook list` lists them"
        );
    }

    #[test]
    fn a_reader_that_went_away_is_not_talked_about() {
        assert!(Failure::from(io::Error::from(io::ErrorKind::BrokenPipe)).is_told());
        assert!(!Failure::from(io::Error::other("disk")).is_told());
    }
}
