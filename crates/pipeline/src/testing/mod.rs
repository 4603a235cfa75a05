//! What tests of several stages share: a Graph that answers as the test says, and a configured
//! world over a real store, several nodes that share one, and a store whose answers are lost.

mod doubtful;
mod graph;
mod nodes;
mod store_over;
mod world;

pub(crate) use doubtful::Doubtful;
pub(crate) use graph::{Graph, LEFT_OUT, Reply, Seen, reply};
pub(crate) use nodes::{Cluster, Member};
pub(crate) use store_over::{store_over, verbs};
pub(crate) use world::{TENANT, World};
