//! The store: everything that outlives the process, and the queue between the stages.
//!
//! For: the [`Store`] trait in verbs of the domain, and its backends. One verb is one transaction; when it answers, the
//! change is on disk. Secrets are sealed on their way in and opened on their way out.
//! Never: rules (what a verdict is, when to retry), and no SQL type outside this crate.
//!
//! | module | holds |
//! | --- | --- |
//! | [`store`] | the traits, verb by verb |
//! | [`record`] | what goes into the verbs and comes out of them |
//! | [`copy`] | from the store of one machine to that of many |
//! | [`error`] | what a verb can fail with |
//! | [`holdings`] | which shards this node may act for |
//! | `listing` | pages of lists and their cursors |
//! | [`signal`] | what other nodes did that concerns this one |
//! | [`seal`] | the key file and how secrets are sealed |
//! | `rejected` | the budget of what strangers send |
//! | [`sqlite`] | the embedded default |
//! | [`postgres`] | many nodes on one database |
//! | `contract` | one named test a promise, run over each backend |

mod checksum;
mod connection;
pub mod copy;
pub mod error;
pub mod holdings;
mod listing;
pub mod postgres;
pub mod record;
mod rejected;
pub mod seal;
pub mod signal;
pub mod sqlite;
pub mod store;

#[cfg(test)]
mod contract;

pub use error::StoreError;
pub use holdings::{Held, Holdings, Lease};
pub use signal::{Changed, Signal};
pub use store::{CompletenessStore, ConfiguredStore, PolicyStore, ReconcileStore, Store};
