//! `tidings migrate status`.

use tidings_storage::postgres::{PostgresOptions, migrate};

use super::tell;
use crate::{context::Context, exit::Failure, store::cannot_open};

/// Shows all steps.
pub(super) async fn status(options: &PostgresOptions, context: &Context) -> Result<(), Failure> {
    let steps = migrate::status(options).await.map_err(cannot_open)?;
    tell(context.output, &options.url.to_string(), &steps)
}
