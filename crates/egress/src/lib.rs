//! The only place that builds an HTTP client.
//!
//! For: outgoing requests that reach allowed addresses only, follow no redirect, end by a deadline and bring back no
//! more than a cap.
//! Never: knows what a request is for.
//!
//! | module | holds |
//! | --- | --- |
//! | [`client`] | [`Egress`], a request and its answer |
//! | [`policy`] | [`AddressPolicy`]: which addresses may be reached |
//! | `special` | the address ranges that are not public, from IANA's registries |
//! | `resolver` | names to allowed addresses, just before they are dialled |
//! | `target`, `dial`, `tls` | from a URL to a connection |
//! | `connection`, `body` | one HTTP/1.1 connection, and what is taken of a body |
//! | `pool` | connections between two exchanges |
//! | [`error`] | what a request can fail with |

mod body;
pub mod client;
mod connection;
mod dial;
pub mod error;
pub mod policy;
mod pool;
mod resolver;
mod special;
mod target;
mod tls;

pub use client::{Answer, Cut, Egress, OnCap, Request};
pub use error::EgressError;
pub use policy::{AddressPolicy, ForbiddenAddress, Scheme};
