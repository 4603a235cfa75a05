//! The emulator over real TCP, on a clock that stands still: one binary, so that it links once.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are tests: what they cannot unwrap is a failed test"
)]

mod kit;

mod batch;
mod client;
mod contacts;
mod control;
mod delivery;
mod delta;
mod delta_faults;
mod drives;
mod faults;
mod folders;
mod follow;
mod groups;
mod handshake;
mod immutable;
mod lifecycle;
mod limits;
mod mail;
mod payload;
mod scenario;
mod signin;
mod subscriptions;
mod teams;
mod throttling;
mod tls;
mod trouble;
mod users;
