//! Pages of lists, newest first.

/// Which part of a list is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Where the page before ended; `None` begins with the newest.
    pub after: Option<Cursor>,
    /// How many at most.
    pub limit: PageLimit,
}

impl Page {
    /// The newest `limit`.
    pub fn first(limit: PageLimit) -> Self {
        Self { after: None, limit }
    }
}

/// The place in a list after which the next page begins: opaque to whoever holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(pub String);

/// How many entries a page holds: 1 to 500.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageLimit(u32);

/// A number of entries that no page can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a page holds 1 to {} entries", PageLimit::MAX)]
pub struct InvalidPageLimit;

impl PageLimit {
    /// The most that one page gives: bounds the memory and time of one request.
    pub const MAX: u32 = 500;

    /// A limit of `limit` entries.
    pub fn new(limit: u32) -> Result<Self, InvalidPageLimit> {
        if (1..=Self::MAX).contains(&limit) {
            Ok(Self(limit))
        } else {
            Err(InvalidPageLimit)
        }
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl Default for PageLimit {
    fn default() -> Self {
        Self(50)
    }
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing<T> {
    /// The entries, newest first.
    pub items: Vec<T>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<Cursor>,
}
