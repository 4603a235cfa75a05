//! `tidings migrate`: bringing a database to the form that this program works with.

use clap::{Args, Subcommand};
use serde::Serialize;
use tidings_domain::{Timestamp, config::Config};
use tidings_storage::postgres::{PostgresOptions, migrate::Step};

use crate::{
    context::Context,
    exit::{Exit, Failure},
    output::Output,
    store::{StoreArguments, options},
};

mod apply;
mod plan;
mod status;

/// What can be done.
#[derive(Clone, Debug, Subcommand)]
pub enum Migrate {
    /// Show the steps that are still to be applied
    Plan(Which),
    /// Apply the steps that are still to be applied; on an empty database, also make an environment and an admin key
    Apply(Which),
    /// Show all steps, and when each was applied
    Status(Which),
}

/// Which database.
#[derive(Args, Clone, Debug)]
pub struct Which {
    /// Where everything is kept
    #[command(flatten)]
    pub store: StoreArguments,
}

impl Migrate {
    /// Does it.
    pub async fn run(&self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::Plan(which) => plan::plan(&which.database(context)?, context).await,
            Self::Apply(which) => apply::apply(&which.database(context)?, context).await,
            Self::Status(which) => status::status(&which.database(context)?, context).await,
        }
    }
}

impl Which {
    /// SQLite has no use for any of this: one program uses it, and brings it to its form when it starts.
    fn database(&self, context: &Context) -> Result<PostgresOptions, Failure> {
        let config: Config = self.store.load([], context)?;
        options(&config, &context.clock, &context.entropy).ok_or_else(|| {
            let folder = config.store.data_dir.display();
            Failure::new(
                Exit::Usage,
                format!("no database is named, and SQLite in {folder} is migrated by `tidings serve` when it starts"),
            )
            .hint("name a PostgreSQL with `--database-url` or TIDINGS_DATABASE_URL")
        })
    }
}

/// A step as programs read it.
#[derive(Debug, Serialize)]
struct StepLine<'a> {
    version: u32,
    name: &'a str,
    applied_at: Option<Timestamp>,
    runs_beside: u32,
}

impl<'a> From<&'a Step> for StepLine<'a> {
    fn from(step: &'a Step) -> Self {
        Self {
            version: step.version,
            name: &step.name,
            applied_at: step.applied_at,
            runs_beside: step.runs_beside,
        }
    }
}

/// Tells of steps, a line each for people.
fn tell(output: Output, database: &str, steps: &[Step]) -> Result<(), Failure> {
    if output.is_json() {
        let steps: Vec<StepLine<'_>> = steps.iter().map(StepLine::from).collect();
        let value = serde_json::json!({"database": database, "steps": steps});
        return Ok(output.value(&value)?);
    }
    for step in steps {
        let state = match step.applied_at {
            Some(at) => format!("applied {at}"),
            None => "to be applied".to_owned(),
        };
        output.line(&format!("{:>4}  {}  {state}", step.version, step.name))?;
    }
    Ok(())
}
