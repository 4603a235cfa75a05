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
//! | [`error`] | what a request can fail with |

pub mod client;
pub mod error;
pub mod policy;
mod resolver;
mod special;

pub use client::{Answer, Cut, Egress, OnCap, Request};
pub use error::EgressError;
pub use policy::{AddressPolicy, ForbiddenAddress, Scheme};
