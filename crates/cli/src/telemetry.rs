//! Logs: structured messages on standard error.

use std::io::IsTerminal;

use anstream::{AutoStream, ColorChoice};
use tidings_domain::config::{LogConfig, LogFormat};
use tracing_subscriber::EnvFilter;

use crate::exit::{Exit, Failure};

/// Sends log messages to standard error as `config` says, from now on, for the whole process.
pub fn start(config: &LogConfig) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&config.level).map_err(|error| {
        Failure::new(
            Exit::Usage,
            format!(
                "`log.level` cannot be set to `{}`: {error}",
                config.level
            ),
        )
        .hint("use error, warn, info, debug, trace, or directives such as info,tidings_pipeline=debug")
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // It would tell of a log that cannot be written, such as a file on the full disk, by `eprintln!`: a panic
        // wherever something is logged.
        .log_internal_errors(false);
    let started = match config.format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => {
            let err = std::io::stderr();
            let colours =
                err.is_terminal() && !matches!(AutoStream::choice(&err), ColorChoice::Never);
            builder.with_ansi(colours).try_init()
        }
    };
    started.map_err(|error| Failure::new(Exit::Failed, format!("cannot start the log: {error}")))
}
