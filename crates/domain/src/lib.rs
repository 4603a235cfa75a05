//! The words of Tidings as types.
//!
//! For: what the other crates talk about (ids, notifications, events, webhooks, deliveries), the rules that need
//! nothing but values (triggers, retry schedule, redaction) and the ways to time, randomness and configuration.
//! Never: I/O. The clock can wait, that is all.
//!
//! | module | holds |
//! | --- | --- |
//! | [`clock`] | [`Clock`], the system's and the tests' |
//! | [`entropy`] | [`Entropy`], the system's and a seeded one |
//! | [`ids`] | typed ids and [`Ids`], which makes them |
//! | [`secret`] | [`Secret`] and [`SafeUrl`]: what cannot be printed |
//! | [`timestamp`] | [`Timestamp`]: milliseconds since 1970, RFC 3339 outside |
//! | [`environment`], [`integration`], [`connection`], [`policy`], [`subscription`] | what is configured |
//! | [`notification`], [`event`], [`webhook`], [`delivery`], [`key`] | what flows |
//! | [`completeness`] | which changes Graph told of, and which it did not |
//! | [`reconcile`] | where comparing with Graph stands |
//! | [`trigger`] | the one table of triggers |
//! | [`retry`] | when a failed delivery is tried again |
//! | [`config`] | the configuration file, its defaults and its overlays |
//! | [`resource`] | kinds of resources and of changes |
//! | [`page`] | cursors and pages of lists |
//! | [`shard`] | the sixty-fourths of all work that nodes share out |

pub mod clock;
pub mod completeness;
pub mod config;
pub mod connection;
pub mod delivery;
pub mod entropy;
pub mod environment;
pub mod event;
pub mod ids;
pub mod integration;
pub mod key;
pub mod notification;
pub mod page;
pub mod policy;
pub mod reconcile;
pub mod resource;
pub mod retry;
pub mod secret;
pub mod shard;
pub mod subscription;
pub mod timestamp;
pub mod trigger;
pub mod webhook;

pub use clock::Clock;
pub use entropy::Entropy;
pub use ids::Ids;
pub use secret::{SafeUrl, Secret};
pub use timestamp::Timestamp;
