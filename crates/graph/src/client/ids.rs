//! Which ids Outlook's items are named by.

/// Which ids Outlook's items are named by, in answers and in the notifications of subscriptions that are created
/// (Microsoft's "obtain immutable identifiers for Outlook resources" page). Other resources know no difference.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum IdType {
    /// Ids that change when an item is moved to another folder.
    #[default]
    Default,
    /// Ids that stay as long as the item stays in its mailbox.
    Immutable,
}

impl IdType {
    /// The preference to send (RFC 7240).
    pub(super) const fn preference(self) -> Option<&'static str> {
        match self {
            Self::Default => None,
            Self::Immutable => Some("IdType=\"ImmutableId\""),
        }
    }
}
