//! What a command runs with, handed in once by `main`.

use std::{collections::BTreeMap, sync::Arc};

use tidings_domain::{Clock, Entropy};

use crate::output::Output;

/// What a command runs with: the ways to time, randomness, the environment and the terminal.
#[derive(Clone, Debug)]
pub struct Context {
    /// Where it writes.
    pub output: Output,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where randomness comes from.
    pub entropy: Arc<dyn Entropy>,
    /// The process's environment variables, as far as they are text.
    pub variables: BTreeMap<String, String>,
}

impl Context {
    /// The environment variable `name`, unless it is empty or not set.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }
}
