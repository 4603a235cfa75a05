//! Microsoft Graph as seen from outside: what goes over the wire, what can be subscribed to, how to ask.
//!
//! For: wire types, the resource table, paths, errors, and a client for the calls that Tidings makes.
//! Never: knows of storage, of webhooks, or of what a notification leads to.
//!
//! | module | holds |
//! | --- | --- |
//! | [`wire`] | notifications, subscriptions, lists, batches and tokens as JSON |
//! | [`resource`] | the table of what can be subscribed to; paths of subscriptions and of items; how to enumerate them |
//! | [`client`] | tokens, subscriptions, fetching items, delta queries, lists, batches |
//! | [`error`] | what a call can fail with, and how answers are read as that |
//! | [`retry_after`] | the header `Retry-After` in all its forms |
//! | [`throttle`] | the headers by which Graph says how near a limit is |

pub mod client;
pub mod error;
pub mod resource;
pub mod retry_after;
pub mod throttle;
pub mod wire;

pub use client::{Access, GraphClient};
pub use error::CallError;
