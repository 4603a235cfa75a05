//! Pages of lists: newest first, each beginning after the place where the one before ended, never by counting rows. What
//! both stores do alike; how rows are found is their own.

use tidings_domain::page::{Cursor, Listing, Page};

use crate::StoreError;

/// How many places of a list one query looks at where no index leads to the wanted rows, and how many such queries one
/// page makes: bounds the time that a filter that hardly anything fits can take.
const WINDOW: i64 = 20_000;
const WINDOWS: usize = 16;

/// How the wanted rows are found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Scan {
    /// An index holds them in order, or nearly every row is wanted.
    Indexed,
    /// Row by row of this table, newest first. A page may then be empty and still have a next one.
    Windows(&'static str),
}

/// The place where the page before ended.
pub(crate) fn after(page: &Page) -> Result<i64, StoreError> {
    let Some(cursor) = &page.after else {
        return Ok(i64::MAX);
    };
    cursor.0.parse().map_err(|_| StoreError::InvalidCursor)
}

/// Places to look at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    /// Below this …
    pub(crate) top: i64,
    /// … and from this on.
    pub(crate) floor: i64,
}

/// A page while it is being filled.
#[derive(Debug)]
pub(crate) struct Filling<T> {
    wanted: usize,
    items: Vec<T>,
    /// The last place that was looked at.
    before: i64,
    windows: usize,
}

impl<T> Filling<T> {
    /// The page after the place `after`.
    pub(crate) fn new(page: &Page, after: i64) -> Self {
        Self {
            wanted: usize::try_from(page.limit.get()).unwrap_or(usize::MAX),
            items: Vec::new(),
            before: after,
            windows: 0,
        }
    }

    /// Where to look next; `newest` is the newest place of the table, where rows are looked at one by one. Places are
    /// nearly dense, so a window of places is a window of rows; the first ends at the newest row.
    pub(crate) fn window(&mut self, newest: Option<i64>) -> Window {
        self.windows += 1;
        match newest {
            None => Window {
                top: self.before,
                floor: i64::MIN,
            },
            Some(newest) => {
                let top = self.before.min(newest.saturating_add(1));
                Window {
                    top,
                    floor: top.saturating_sub(WINDOW),
                }
            }
        }
    }

    /// Whether there is no room: the row in hand is on the next page.
    pub(crate) fn is_full(&self) -> bool {
        self.items.len() == self.wanted
    }

    pub(crate) fn push(&mut self, place: i64, item: T) {
        self.items.push(item);
        self.before = place;
    }

    /// All of a window has been looked at; whether another is to be.
    pub(crate) fn goes_on(&mut self, window: Window) -> bool {
        self.before = window.floor;
        window.floor > 0 && self.windows < WINDOWS
    }

    /// The page, as far as it came. What was looked at down to the first place has no next one.
    pub(crate) fn end(self) -> Listing<T> {
        let next = (self.before > 0).then(|| Cursor(self.before.to_string()));
        Listing {
            items: self.items,
            next,
        }
    }
}
