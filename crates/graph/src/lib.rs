//! Microsoft Graph as seen from outside: what goes over the wire, what can be subscribed to, how to ask.
//!
//! For: wire types, the resource table, paths, errors, and a client for the calls that Tidings makes.
//! Never: knows of storage, of webhooks, or of what a notification leads to.
//!
//! | module | holds |
//! | --- | --- |
//! | [`wire`] | notifications, subscriptions and tokens as JSON |
//! | [`resource`] | the table of what can be subscribed to; paths of subscriptions and of items |

pub mod resource;
pub mod wire;
