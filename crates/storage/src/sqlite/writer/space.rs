//! Whether the disk has room for something new.

use std::{path::PathBuf, time::Duration};

/// How long an answer about free space holds. A writer that fills a disk at 1 GB/s uses up 256 MB in that time.
const VALID: Duration = Duration::from_millis(250);

pub(super) struct Space {
    folder: PathBuf,
    floor: u64,
    checked_at: Option<Duration>,
    above_floor: bool,
    /// When SQLite last found no space, whatever the file system says: a quota, a limit of the process.
    refused_at: Option<Duration>,
}

impl Space {
    pub(super) fn new(folder: PathBuf, floor: u64) -> Self {
        Self {
            folder,
            floor,
            checked_at: None,
            above_floor: true,
            refused_at: None,
        }
    }

    /// Whether something new may be written at `now`.
    pub(super) fn has_room(&mut self, now: Duration) -> bool {
        if self
            .refused_at
            .is_some_and(|at| now.saturating_sub(at) < VALID)
        {
            return false;
        }
        if self
            .checked_at
            .is_none_or(|at| now.saturating_sub(at) >= VALID)
        {
            self.checked_at = Some(now);
            // Where the file system cannot say, the write itself will.
            self.above_floor = free(&self.folder).is_none_or(|free| free >= self.floor);
        }
        self.above_floor
    }

    /// SQLite found no space.
    pub(super) fn refused(&mut self, now: Duration) {
        self.refused_at = Some(now);
    }

    /// Whether the last write that was refused for want of space has not been followed by one that went through.
    pub(super) fn is_refused(&self) -> bool {
        self.refused_at.is_some()
    }

    /// A write went through.
    pub(super) fn taken(&mut self) {
        self.refused_at = None;
    }

    /// What is wrong, for people.
    pub(super) fn describe(&self) -> String {
        let folder = self.folder.display();
        if self.is_refused() {
            format!("no space is left for the database in {folder}: free some")
        } else {
            format!(
                "fewer than {} bytes are free on the disk of {folder}: free some, or lower store.disk_floor_bytes",
                self.floor
            )
        }
    }
}

fn free(folder: &std::path::Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(folder).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}
