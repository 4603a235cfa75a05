//! Where everything is kept: the flags that say it, and the way to an open store.

mod arguments;
mod open;

pub use arguments::StoreArguments;
pub(crate) use open::{Opened, cannot_open, open, options};
