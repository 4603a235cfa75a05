//! The project's own commands. CI runs the same ones as a developer.
//!
//! | command | does |
//! | --- | --- |
//! | `cargo xtask test [--long]` | everything that must hold before a change goes in |
//! | `cargo xtask check-deps` | the direction of the crates, the banned ones, the house rules, the tests that guarantees name |
//! | `cargo xtask generate [--check]` | the reference pages that come from the code |
//! | `cargo xtask bench <name> …` | a benchmark, built for release |
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "these commands talk to a person at a terminal"
)]

mod banned;
mod bench;
mod check_deps;
mod counts;
mod documented;
mod generate;
mod guarantees;
mod house;
mod shell;
mod test;
mod tools;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <command>

  test [--long]        run every check and every test; --long adds the long forms (1,000 kills instead of 100)
  check-deps           check the direction of the crates, the banned ones, and the house rules on files
  generate [--check]   write docs/reference from the code; --check only says whether it is current
  bench <name> [args]  build for release and run a benchmark: ingest, deliver, e2e, …
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["test"] => test::run(false),
        ["test", "--long"] => test::run(true),
        ["check-deps"] => check_deps::run(),
        ["generate"] => generate::run(generate::Mode::Write),
        ["generate", "--check"] => generate::run(generate::Mode::Check),
        ["bench", name, rest @ ..] => bench::run(name, rest),
        ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
