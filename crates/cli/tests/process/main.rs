//! The binary as scripts meet it: arguments in, lines and exit codes out.

mod client;
mod configuration;
mod fake_api;
mod receiver;
mod reference;
mod run;
mod usage;
mod verify;
