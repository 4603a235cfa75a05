//! The signals by which somebody asks the process to stop, and the one that must not end it.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::{Exit, Failure};

/// SIGXFSZ, sent to who writes beyond the file size limit of its process (`ulimit -f`). Tokio has no name for it; this is
/// its number on Linux (but for MIPS), macOS and the BSDs.
const FILE_SIZE_LIMIT: i32 = 25;

/// SIGINT and SIGTERM. While this value lives, neither ends the process by itself.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// Nobody waits for it: that it is caught makes the write fail like one to a full disk, which the store bears, while
    /// by itself the signal would end the process.
    _file_size_limit: Signal,
}

impl Signals {
    /// Begins to listen for them.
    pub fn listen() -> Result<Self, Failure> {
        let cannot =
            |error| Failure::new(Exit::Failed, format!("cannot listen for signals: {error}"));
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).map_err(cannot)?,
            terminate: signal(SignalKind::terminate()).map_err(cannot)?,
            _file_size_limit: signal(SignalKind::from_raw(FILE_SIZE_LIMIT)).map_err(cannot)?,
        })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
