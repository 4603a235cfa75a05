//! `tidings migrate plan`.

use tidings_storage::postgres::{PostgresOptions, migrate};

use super::tell;
use crate::{context::Context, exit::Failure, store::cannot_open};

/// Shows the steps that are still to be applied.
pub(super) async fn plan(options: &PostgresOptions, context: &Context) -> Result<(), Failure> {
    let steps = migrate::plan(options).await.map_err(cannot_open)?;
    let database = options.url.to_string();
    tell(context.output, &database, &steps)?;
    let said = if steps.is_empty() {
        format!("{database} has the form that this program needs")
    } else {
        format!("`tidings migrate apply` does that to {database}")
    };
    Ok(context.output.note(&said)?)
}
