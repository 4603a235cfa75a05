//! The only place that builds an HTTP client.
//!
//! For: outgoing requests that reach allowed addresses only, follow no redirect, end by a deadline and bring back no
//! more than a cap.
//! Never: knows what a request is for.

pub mod client;
pub mod policy;

pub use client::{Answer, Egress, EgressError, Request};
pub use policy::AddressPolicy;
