//! The binary as scripts meet it: arguments in, lines and exit codes out.

// So that the lints treat helpers as the tests they serve.
#![cfg(test)]

mod client;
mod configuration;
mod fake_api;
mod migrate;
mod receiver;
mod reference;
mod run;
mod serve;
mod usage;
mod verify;
