//! The one place that writes to the terminal.
//!
//! Results go to standard output, everything else to standard error. Colours reach only a terminal that wants them
//! (`NO_COLOR` and pipes are seen to by `anstream`). What servers and strangers sent goes through [`printable()`] first.

use std::io::{self, IsTerminal, Write};

use owo_colors::OwoColorize;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::exit::Failure;

mod json;
mod printable;
mod record;
mod table;

pub use json::one_line;
pub use printable::printable;
pub use record::{Members, field, record};
pub use table::{Column, Style, table};

/// Where a command writes, and how.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    json: bool,
}

impl Output {
    /// Output for programs (`json`) or for people.
    pub const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether a program reads.
    pub const fn is_json(self) -> bool {
        self.json
    }

    /// Writes a line of the result.
    pub fn line(self, text: &str) -> io::Result<()> {
        let mut out = anstream::stdout().lock();
        writeln!(out, "{text}")?;
        out.flush()
    }

    /// Writes `value` as one line of JSON.
    pub fn value(self, value: &impl Serialize) -> io::Result<()> {
        self.line(&serde_json::to_string(value).map_err(io::Error::other)?)
    }

    /// Writes JSON as it came from the server, on one line.
    pub fn raw(self, value: &RawValue) -> io::Result<()> {
        self.line(&one_line(value.get()))
    }

    /// Writes a remark beside the result, for people only.
    pub fn note(self, text: &str) -> io::Result<()> {
        if self.json {
            return Ok(());
        }
        writeln!(anstream::stderr().lock(), "{}", text.dimmed())
    }

    /// Writes why a command did not succeed.
    pub fn failure(self, failure: &Failure) -> io::Result<()> {
        if failure.is_told() {
            return Ok(());
        }
        let mut err = anstream::stderr().lock();
        if self.json {
            return writeln!(err, "{}", failure.to_json());
        }
        writeln!(
            err,
            "{} {}",
            "error:".red().bold(),
            printable(&failure.to_string())
        )?;
        match failure.advice() {
            Some(hint) => writeln!(err, "{} {}", "hint:".cyan().bold(), printable(hint)),
            None => Ok(()),
        }
    }

    /// Asks a question on the terminal; `None` where nobody is there to answer.
    pub fn ask(self, question: &str) -> io::Result<Option<bool>> {
        if self.json || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return Ok(None);
        }
        let mut err = anstream::stderr().lock();
        write!(err, "{question} [y/N] ")?;
        err.flush()?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        Ok(Some(matches!(
            answer.trim().to_ascii_lowercase().as_str(),
            "y" | "yes"
        )))
    }
}
