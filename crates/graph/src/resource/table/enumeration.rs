//! How all that is watched can be enumerated, as data (Microsoft's pages on `delta` of each resource).

/// How all that one template of subscriptions watches can be enumerated, to compare it with what is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EnumerationRow {
    /// The template, as it stands in `subscriptions`.
    pub subscription: &'static str,
    /// By which requests. They are templates with the subscription's ids, relative to the version, encoded.
    pub by: By,
    /// The template, as it stands in `items`, of what is found. Its last id is that of the entry.
    pub item: &'static str,
}

/// The requests that enumerate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum By {
    /// One delta query.
    Delta(&'static str),
    /// One delta query that needs a window of time.
    DeltaInWindow(&'static str),
    /// One delta query for each folder of the mailbox.
    DeltaPerMailFolder {
        /// The delta query for the folders.
        folders: &'static str,
        /// That for the messages in one: `{folder}` is its id.
        messages: &'static str,
    },
    /// A list, to be read whole.
    Listing(&'static str),
    /// A GET of the item: nothing else is watched.
    Get,
}

impl By {
    /// Whether it is a delta query.
    pub const fn is_delta(self) -> bool {
        matches!(
            self,
            Self::Delta(_) | Self::DeltaInWindow(_) | Self::DeltaPerMailFolder { .. }
        )
    }
}

pub(super) const fn enumerated(
    subscription: &'static str,
    by: By,
    item: &'static str,
) -> EnumerationRow {
    EnumerationRow {
        subscription,
        by,
        item,
    }
}
