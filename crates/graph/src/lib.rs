//! Microsoft Graph as seen from outside: what goes over the wire, what can be subscribed to, how to ask.
//!
//! For: wire types, the resource table, paths, errors, and a client for the calls that Tidings makes.
//! Never: knows of storage, of webhooks, or of what a notification leads to.
//!
//! | module | holds |
//! | --- | --- |
//! | [`wire`] | notifications, subscriptions and tokens as JSON |
//! | [`resource`] | the table of what can be subscribed to; paths of subscriptions and of items |
//! | [`client`] | tokens, subscriptions, fetching an item |
//! | [`error`] | what a call can fail with, and how answers are read as that |
//! | [`retry_after`] | the header `Retry-After` in all its forms |

pub mod client;
pub mod error;
pub mod resource;
pub mod retry_after;
pub mod wire;

pub use client::{Access, GraphClient};
pub use error::CallError;
