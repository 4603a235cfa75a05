//! What changed in a collection, kept so that delta queries can tell it (Microsoft's "delta query overview" page).
//!
//! Each collection that Graph can tell the changes of has a [`Journal`] beside its data. A reader holds a [`Position`] in it,
//! which travels in the links of the API and nowhere else.
//!
//! | module | holds |
//! | --- | --- |
//! | `journal` | every entity with its last change, in the order of changes |
//! | `reading` | which changes a reader at some position is told |
//! | `kind` | the collections that have a delta query |
//! | `token` | the opaque text of links |

mod journal;
mod kind;
mod reading;
mod token;

use std::time::Duration;

use tidings_domain::Timestamp;

pub(crate) use journal::{Journal, Removal};
pub use kind::DeltaOf;
pub(crate) use reading::{Ask, Change, Page, Position, Scope};
pub(crate) use token::{Baked, Token};

/// When something changes, and how long delta queries do not know of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Moment {
    /// When.
    pub(crate) at: Timestamp,
    /// How long replication takes.
    pub(crate) lag: Duration,
}
