//! What can be subscribed to, and the paths of subscriptions and of changed items.
//!
//! | module | holds |
//! | --- | --- |
//! | [`table`] | one row a resource: paths, change types, lifetimes, quotas, permissions |
//! | [`path`] | reading a path in every form that Graph writes |
//! | [`enumeration`] | the requests that enumerate all that a subscription watches |

pub mod enumeration;
pub mod path;
pub mod table;

pub use enumeration::{DeltaRequest, Enumeration, ListRequest, MailFolders, People};
pub use path::{Each, ItemPath, PolicyPath, SubscriptionPath};
