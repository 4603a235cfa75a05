//! The one binary, `tidings`: gateway, demo, emulator and client.
//!
//! For: reading the command line, wiring the other crates together, talking to people and scripts.
//! Never: holds rules of the gateway; what it knows of those it asks the API.
//!
//! | module | holds |
//! | --- | --- |
//! | [`arguments`] | the command line |
//! | [`serve`], [`demo`], [`emulator`] | what runs servers |
//! | [`migrate`], [`sealing_key`], [`copy`] | what prepares a PostgreSQL for servers |
//! | [`store`], [`mod@configuration`] | where everything is kept; the settings |
//! | [`commands`] | the client commands: one folder a noun, one file a verb |
//! | [`client`] | the management API, and how a server on the same machine is found |
//! | [`receiver`] | a receiver of deliveries, and the check of their signatures |
//! | [`output`], [`exit`] | what people and programs get to see; how the process ends |
//! | [`secret_input`], [`signals`], [`telemetry`] | secrets in, signals in, logs out |
//! | [`address`], [`context`] | addresses as they are told; what a command runs with |
//! | [`mod@reference`] | writes the pages under `docs/reference` |

use std::{collections::BTreeMap, ffi::OsString, sync::Arc};

use clap::{CommandFactory, Parser, error::ErrorKind};
use tidings_domain::{clock::SystemClock, entropy::SystemEntropy};

pub mod address;
pub mod arguments;
pub mod client;
pub mod commands;
pub mod configuration;
pub mod context;
pub mod copy;
pub mod demo;
pub mod emulator;
pub mod exit;
pub mod migrate;
pub mod output;
pub mod receiver;
pub mod reference;
pub mod sealing_key;
pub mod secret_input;
pub mod serve;
pub mod signals;
pub mod store;
pub mod telemetry;

use arguments::Arguments;
use context::Context;
use exit::{Exit, Failure};
use output::Output;

/// The command line as `clap` knows it.
pub fn command() -> clap::Command {
    Arguments::command()
}

/// Does what `words` (the program's name first) say and gives the process's exit code.
pub fn run(words: &[OsString], variables: BTreeMap<String, String>) -> u8 {
    let arguments = match Arguments::try_parse_from(words) {
        Ok(arguments) => arguments,
        Err(error) => return refuse(words, &error),
    };
    let context = Context {
        output: Output::new(arguments.json),
        clock: Arc::new(SystemClock::new()),
        entropy: Arc::new(SystemEntropy),
        variables,
    };
    let done = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => {
            let done = runtime.block_on(arguments.command.run(&context));
            // Nobody waits for a thread that reads standard input or a name.
            runtime.shutdown_background();
            done
        }
        Err(error) => Err(Failure::new(Exit::Failed, format!("cannot start: {error}"))),
    };
    match done {
        Ok(()) => 0,
        Err(failure) => {
            // If standard error is closed too, the exit code is all that is left to tell.
            let _ = context.output.failure(&failure);
            failure.exit().code()
        }
    }
}

/// Tells what is wrong with the command line, or shows the help or the version that it asks for.
fn refuse(words: &[OsString], error: &clap::Error) -> u8 {
    let asked_for_text = matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    );
    if asked_for_text {
        let _ = error.print();
        return 0;
    }
    if words.iter().any(|word| word == "--json") {
        let text = error.to_string();
        // What follows the first empty line is how to use the command.
        let told = text.split("\n\n").next().unwrap_or_default();
        let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
        let message = told.strip_prefix("error: ").unwrap_or(&told);
        let failure = Failure::new(Exit::Usage, message).hint("`--help` shows how it is used");
        let _ = Output::new(true).failure(&failure);
    } else {
        let _ = error.print();
    }
    Exit::Usage.code()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_sound() {
        super::command().debug_assert();
    }
}
