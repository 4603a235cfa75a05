//! Everything that must hold before a change goes in, in one command.

use std::{env, fs, process::Command};

use anyhow::{Result, bail};

use crate::{check_deps, counts, counts::Counts, generate, shell, tools};

/// Where tests that could not run say so, a line each. The kit of the end-to-end tests writes it.
const SKIPPED: &str = "TIDINGS_SKIPPED_FILE";

/// Runs every step, also after one has failed, and ends with the line `N passed, N failed`: each test counts as one,
/// and so does each other step.
pub(crate) fn run(long: bool) -> Result<()> {
    let mut report = Report::default();
    let in_ci = env::var_os("CI").is_some_and(|value| value == "true");

    step("tools");
    let missing = tools::provide()?;
    for what in &missing {
        loud(what);
    }
    report.check("tools", !in_ci || missing.is_empty());

    report.command("format", &mut shell::cargo(&["fmt", "--all", "--check"]))?;
    report.own("check-deps", check_deps::run);
    report.command(
        "lints",
        &mut shell::cargo(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]),
    )?;

    // All targets in one go, so that the binary which the end-to-end tests start is the one built here, with the same
    // features as the tests: nothing is built twice.
    report.command(
        "build",
        &mut shell::cargo(&["build", "--workspace", "--all-targets"]),
    )?;
    let skipped_file = shell::target_directory()?.join("skipped-tests.txt");
    fs::write(&skipped_file, "")?;
    let mut tests = test_command(long || in_ci)?;
    tests.env(SKIPPED, &skipped_file);
    if long {
        tests.env("TIDINGS_LONG", "1");
    }
    report.tests("tests", &mut tests)?;
    report.tests(
        "examples in the documentation",
        &mut shell::cargo(&["test", "--workspace", "--doc", "--no-fail-fast"]),
    )?;

    let mut documentation = shell::cargo(&["doc", "--workspace", "--no-deps"]);
    documentation.env("RUSTDOCFLAGS", "-Dwarnings");
    report.command("documentation", &mut documentation)?;
    report.own("generate --check", || generate::run(generate::Mode::Check));

    for line in fs::read_to_string(&skipped_file)?.lines() {
        loud(&format!("skipped: {line}"));
        report.counts.skipped += 1;
    }
    report.finish(in_ci)
}

/// nextest runs each test in a process of its own and in parallel; a fresh machine may lack it, and installing it
/// takes longer than the tests.
fn test_command(patient: bool) -> Result<Command> {
    let has_nextest = shell::cargo(&["nextest", "--version"])
        .output()?
        .status
        .success();
    if has_nextest {
        let mut command = shell::cargo(&["nextest", "run", "--workspace", "--color=never"]);
        if patient {
            // Long forms and busy machines take longer than the profile for a developer's desk allows.
            command.arg("--profile=ci");
        }
        return Ok(command);
    }
    println!("cargo-nextest is not installed: using `cargo test`");
    Ok(shell::cargo(&[
        "test",
        "--workspace",
        "--lib",
        "--bins",
        "--tests",
        "--no-fail-fast",
        "--color=never",
    ]))
}

#[derive(Default)]
struct Report {
    counts: Counts,
    failures: Vec<String>,
}

impl Report {
    fn command(&mut self, name: &str, command: &mut Command) -> Result<()> {
        step(name);
        let ran = shell::shown(command)?;
        self.check(name, ran.success);
        Ok(())
    }

    fn own(&mut self, name: &str, run: impl FnOnce() -> Result<()>) {
        step(name);
        let outcome = run();
        if let Err(error) = &outcome {
            eprintln!("{error:#}");
        }
        self.check(name, outcome.is_ok());
    }

    fn tests(&mut self, name: &str, command: &mut Command) -> Result<()> {
        step(name);
        let ran = shell::shown(command)?;
        let counts = counts::read(ran.lines.iter().map(String::as_str));
        self.counts += counts;
        if counts.failed > 0 {
            self.failures.push(name.to_owned());
        } else if !ran.success {
            // It did not even come to the tests.
            self.check(name, false);
        }
        Ok(())
    }

    fn check(&mut self, name: &str, holds: bool) {
        if holds {
            self.counts.passed += 1;
        } else {
            self.counts.failed += 1;
            self.failures.push(name.to_owned());
        }
    }

    fn finish(mut self, in_ci: bool) -> Result<()> {
        step("summary");
        if self.counts.skipped > 0 {
            loud(&format!("{} tests were skipped", self.counts.skipped));
            if in_ci {
                self.check("skipped tests, which CI does not allow", false);
            }
        }
        for name in &self.failures {
            println!("failed: {name}");
        }
        println!(
            "{} passed, {} failed",
            self.counts.passed, self.counts.failed
        );
        if self.counts.failed > 0 {
            bail!("not everything holds");
        }
        Ok(())
    }
}

fn step(name: &str) {
    println!("\n==> {name}");
}

fn loud(what: &str) {
    eprintln!("\n!!! {what}\n");
}
