//! `tidings migrate status`.

use super::{Database, tell};
use crate::{context::Context, exit::Failure};

/// Shows all steps.
pub(super) async fn status(database: &Database, context: &Context) -> Result<(), Failure> {
    let steps = database.steps().await?;
    tell(context.output, database, &steps)
}
