//! What the end-to-end tests are built from: the real binary, real sockets, a real disk that can be made to fail.
//!
//! | module | holds |
//! | --- | --- |
//! | [`binary`] | where the `tidings` under test is |
//! | [`process`] | a program that runs: its first line, SIGKILL, SIGTERM, its log when a test fails |
//! | [`gateway`], [`emulator`] | `tidings serve` and `tidings emulator` |
//! | [`store`], [`database`] | SQLite or PostgreSQL below it; tests that run on both |
//! | [`balancer`] | one address in front of several gateways |
//! | [`cli`] | any other command, as a shell user runs it |
//! | [`world`] | gateway, emulator and a webhook, connected, in one line |
//! | [`receiver`] | an app's receiver: records every request, and answers as badly as a test wants |
//! | [`collection`] | what Graph would post |
//! | [`load`] | posts at full speed and logs every id and every 202 |
//! | [`sequences`] | posts changes to the same items, and checks that their events are in order |
//! | [`checker`] | acknowledged, delivered, lost, twice |
//! | [`signature`] | both signatures of a delivery, checked independently of the product |
//! | [`api`] | a client of the management API |
//! | [`raw`] | bytes to a socket and back, for what no well-behaved client sends |
//! | [`fault_disk`], [`power_cut`] | a disk that fails on command, and what a power cut leaves of it |
//! | [`wait`] | deadlines and polls |
//! | [`tool`] | programs that may be missing, and tests that must then say so |
#![expect(
    clippy::missing_panics_doc,
    reason = "a kit for tests fails by panicking; whatever it cannot do ends the test"
)]

pub mod api;
pub mod balancer;
pub mod binary;
pub mod checker;
pub mod cli;
pub mod collection;
pub mod database;
pub mod emulator;
pub mod fault_disk;
pub mod gateway;
pub mod load;
pub mod power_cut;
pub mod process;
pub mod raw;
pub mod receiver;
pub mod sequences;
pub mod signature;
pub mod store;
pub mod tool;
pub mod wait;
pub mod world;
