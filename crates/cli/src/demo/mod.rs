//! `tidings demo`.

use clap::Args;

use crate::{context::Context, exit::Failure};

/// What the demo does beside showing the main job.
#[derive(Args, Clone, Debug)]
pub struct Demo {
    /// Leave everything running until Ctrl-C, to play with
    #[arg(long)]
    pub keep: bool,
}

impl Demo {
    /// Shows the whole way of a change.
    pub async fn run(&self, _context: &Context) -> Result<(), Failure> {
        Ok(())
    }
}
