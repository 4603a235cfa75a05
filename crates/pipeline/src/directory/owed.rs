//! Reads of a row that are still to be made, whatever becomes of whoever was to make them.

use super::{Change, Directory};

/// Reads of a row. Those that have not been made when this is dropped, also because a request was given up in the middle,
/// are left to [`Directory::run`].
pub(super) struct Owed<'a> {
    directory: &'a Directory,
    change: Change,
    looks: u32,
}

impl<'a> Owed<'a> {
    pub(super) const fn new(directory: &'a Directory, change: Change, looks: u32) -> Self {
        Self {
            directory,
            change,
            looks,
        }
    }

    /// The row has been read once.
    pub(super) const fn looked(&mut self) {
        self.looks = self.looks.saturating_sub(1);
    }

    /// No read is needed any more, or somebody else owes it.
    pub(super) const fn settle(&mut self) {
        self.looks = 0;
    }
}

impl Drop for Owed<'_> {
    fn drop(&mut self) {
        if self.looks > 0 {
            self.directory.owe(self.change, self.looks);
        }
    }
}
