//! `tidings migrate plan`.

use super::{Database, tell};
use crate::{context::Context, exit::Failure};

/// Shows the steps that are still to be applied.
pub(super) async fn plan(database: &Database, context: &Context) -> Result<(), Failure> {
    let mut steps = database.steps().await?;
    steps.retain(|step| step.applied_at.is_none());
    tell(context.output, database, &steps)?;
    let said = match database {
        _ if steps.is_empty() => format!("{database} has the form that this program needs"),
        Database::Postgres(_) => format!("`tidings migrate apply` does that to {database}"),
        Database::Sqlite(_) => format!("`tidings serve` does that to {database} when it starts"),
    };
    Ok(context.output.note(&said)?)
}
