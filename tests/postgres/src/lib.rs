//! A real PostgreSQL for tests: started from the binaries of this machine, killed, paused and started again on command.
//!
//! [`Server::start`] gives a server of the test's own: its data folder and its socket lie in a temporary folder, its
//! port is free, and nothing is shared with another test. When the value is dropped, or the test is killed, server and
//! folder go. It depends on no crate of the product, so that every crate's tests can use it.
//!
//! One server per test rather than one for all: nextest runs each test in a process of its own, and a test that kills
//! its server must not meet another one. It is cheap. What `initdb` makes is kept in the target folder and copied: on
//! two cores copy, start and first database take 0.2 s, and 30 MB of disk until the test ends. `fsync` is left on, as it
//! is in production: off, a commit is no faster in any way that tests would notice.
//!
//! | module | holds |
//! | --- | --- |
//! | [`server`] | the server: start, kill, stop, pause, databases |
//! | `binaries` | where PostgreSQL is on this machine |
//! | `template` | the data folder that is copied, and the user that may run on it |
//! | `watcher` | ends the server when the test is gone |
#![expect(
    clippy::missing_panics_doc,
    reason = "a kit for tests fails by panicking; whatever it cannot do ends the test"
)]

mod binaries;
pub mod server;
mod template;
mod watcher;

pub use binaries::version;
pub use server::Server;
