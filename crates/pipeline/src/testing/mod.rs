//! What tests of several stages share: a Graph that answers as the test says, and a configured world over a real store.

mod graph;
mod world;

pub(crate) use graph::{Graph, Reply, Seen, reply};
pub(crate) use world::{TENANT, World};
