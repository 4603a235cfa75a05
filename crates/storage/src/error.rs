//! What a verb of the store can fail with.

use tidings_domain::shard::Shard;

/// What a verb of the store failed with. None of its changes hold then, except that `Unavailable` leaves it open: see
/// [`StoreError::is_in_doubt`].
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Something with the same name or key exists already.
    #[error("{what} exists already")]
    Conflict {
        /// What exists: `integration "microsoft"`.
        what: String,
    },
    /// What is stored cannot be read as what it must be.
    #[error("the store is damaged: {detail}")]
    Corrupt {
        /// Table, row and what is wrong with it.
        detail: String,
    },
    /// Another node works on this now: what came of it here was not written. Drop it, without another try.
    #[error("another node works on shard {shard} now")]
    Fenced {
        /// What it belongs to.
        shard: Shard,
    },
    /// The disk is full, or nearly.
    #[error("the store has no space left")]
    Full,
    /// A cursor that did not come from a list of ours.
    #[error("the cursor is none that a list gave: begin again without one")]
    InvalidCursor,
    /// Something that is named does not exist (any more): the parent of a new row, or the row to change.
    #[error("{what} does not exist")]
    Missing {
        /// What does not exist: `connection conn_…`.
        what: String,
    },
    /// Too many operations wait for the writer, or this one waited too long. It was withdrawn.
    #[error("the store is busy")]
    Overloaded,
    /// This row, and only this, cannot be written.
    #[error("the row cannot be written: {detail}")]
    Poison {
        /// What the database said.
        detail: String,
    },
    /// Reading or writing failed: an I/O error, a closed store, an answer that did not come in time. What was to be
    /// written may be there all the same.
    #[error("the store is unavailable: {detail}")]
    Unavailable {
        /// What failed.
        detail: String,
    },
}

impl StoreError {
    /// Whether the same verb may succeed later without anybody changing it.
    pub const fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Full | Self::Overloaded | Self::Unavailable { .. }
        )
    }

    /// Whether what was to be written may have been committed, or may yet be: the commit was asked for and not answered.
    pub const fn is_in_doubt(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}
