//! What goes wrong with delta queries.

use serde::{Deserialize, Serialize};

/// How a delta query goes wrong.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeltaFault {
    /// A page holds nothing and leads on.
    EmptyPage,
    /// A link that was given out is answered with 410 and a `Location` at which to begin again.
    Gone {
        /// The code; one that fits the collection if it is missing. Drives have `resyncChangesApplyDifferences` and
        /// `resyncChangesUploadDifferences`.
        #[serde(default)]
        code: Option<String>,
    },
    /// A round tells the changes of the round before once more.
    Replay,
    /// One entity comes twice in a page, first as it was, then as it is.
    Twice,
    /// A link that was given out is answered with an error that says nothing of where to begin.
    Void {
        /// The code; `SyncStateNotFound` if it is missing. `syncStateInvalid` and `resyncRequired` are seen too.
        #[serde(default)]
        code: Option<String>,
        /// The status; 410, as seen in the field, if it is missing.
        #[serde(default)]
        status: Option<u16>,
    },
}
