//! The stages: ingest, enrich, deliver, and subscribe beside them.
//!
//! For: everything that Tidings does by itself. Data flows one way: a stage takes rows in its own state from the store
//! and writes rows for the next in one transaction; no stage calls another, and between them there is only a [`wake`].
//! Never: answers HTTP (that is the server's), holds anything in memory that the store does not have.
//!
//! | module | holds |
//! | --- | --- |
//! | [`gateway`] | wires it all together and runs it |
//! | [`directory`] | what is configured, in memory, for look-ups without the store |
//! | [`ingest`] | takes notifications: verdict, dedup, commit |
//! | [`answers`] | how fast Graph is answered |
//! | [`deliver`] | sends events to webhooks, again and again if need be |
//! | [`signature`] | how deliveries are signed and verified |
//! | [`enrich`] | fetches what changed and makes events of it |
//! | [`connection`] | what becomes of subscriptions when their connection is disabled, enabled or deleted |
//! | [`manage`] | what the management API's verbs do beyond the store |
//! | [`subscribe`] | makes, renews and removes Graph's subscriptions |
//! | [`policy`] | keeps the rows of subscriptions that are wished of many users or teams |
//! | [`reconcile`] | compares what Graph has with what the app was told |
//! | `members` | who is in a group, as a part of its version |
//! | [`completeness`] | counts which changes Graph told of, and which it did not |
//! | [`version`] | what tells the versions of an item apart |
//! | [`credentials`] | whether a connection's credentials work |
//! | `operational` | the events of what becomes of subscriptions and connections |
//! | [`fence`] | what this node may still work on, where there are several |
//! | [`signals`] | what other nodes did: who is to hear of it |
//! | `together` | several that ask one thing each, as one |
//! | [`wake`] | the hint from one stage to the next |
//! | [`supervisor`] | keeps loops alive, and ends them in two steps |
//! | [`metrics`] | what is counted and measured |

pub mod answers;
pub mod completeness;
pub mod connection;
pub mod credentials;
pub mod deliver;
pub mod directory;
pub mod enrich;
pub mod fence;
pub mod gateway;
pub mod ingest;
pub mod manage;
mod members;
pub mod metrics;
mod operational;
pub mod policy;
pub mod reconcile;
pub mod signals;
pub mod signature;
pub mod subscribe;
pub mod supervisor;
mod together;
pub mod version;
pub mod wake;

#[cfg(test)]
mod testing;
