//! The commands, one folder a noun and one file a verb.
//!
//! What `list`, `show` and `delete` do is the same for every noun and stands in [`list`], [`show`], [`act`] and [`delete`]; a
//! noun says where the API has it and which of its members a table shows.

use crate::output::Column;

pub mod act;
pub mod connection;
pub mod create;
pub mod delete;
pub mod delivery;
pub mod environment;
pub mod event;
pub mod integration;
pub mod key;
pub mod list;
pub mod notification;
pub mod policy;
pub mod show;
pub mod subscription;
pub mod webhook;

/// A kind of thing that the API has.
#[derive(Clone, Copy, Debug)]
pub struct Noun {
    /// Its word.
    pub word: &'static str,
    /// Where the API has it, below `/v1`.
    pub path: &'static str,
    /// What a table shows of it.
    pub columns: &'static [Column],
}
