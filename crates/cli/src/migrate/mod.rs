//! `tidings migrate`: bringing a database to the form that this program works with.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use serde::Serialize;
use tidings_domain::Timestamp;
use tidings_storage::{
    postgres::{PostgresOptions, migrate},
    sqlite,
};

use crate::{
    context::Context,
    exit::{Exit, Failure},
    output::Output,
    store::{StoreArguments, cannot_open, options},
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
            Self::Apply(which) => match which.database(context)? {
                Database::Postgres(options) => apply::apply(&options, context).await,
                Database::Sqlite(folder) => Err(by_itself(&folder)),
            },
            Self::Status(which) => status::status(&which.database(context)?, context).await,
        }
    }
}

/// What is looked at.
enum Database {
    Postgres(Box<PostgresOptions>),
    /// The data folder.
    Sqlite(PathBuf),
}

impl Database {
    /// Every step that this program knows, and what the database has of them.
    async fn steps(&self) -> Result<Vec<StepLine>, Failure> {
        match self {
            Self::Postgres(options) => {
                let steps = migrate::status(options).await.map_err(cannot_open)?;
                Ok(steps.into_iter().map(StepLine::from).collect())
            }
            Self::Sqlite(folder) => {
                let steps = sqlite::migrate::status(folder).map_err(|error| {
                    let folder = folder.display();
                    Failure::new(Exit::Failed, format!("cannot read {folder}: {error}"))
                })?;
                Ok(steps.into_iter().map(StepLine::from).collect())
            }
        }
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postgres(options) => options.url.fmt(f),
            Self::Sqlite(folder) => write!(f, "sqlite:{}", folder.display()),
        }
    }
}

fn by_itself(folder: &Path) -> Failure {
    Failure::new(
        Exit::Usage,
        format!(
            "no PostgreSQL is named, and SQLite in {} is brought to its form by `tidings serve` when it starts",
            folder.display()
        ),
    )
    .hint("name a PostgreSQL with `--database-url` or TIDINGS_DATABASE_URL")
}

impl Which {
    fn database(&self, context: &Context) -> Result<Database, Failure> {
        let config = self.store.load([], context)?;
        Ok(match options(&config, &context.clock, &context.entropy) {
            Some(options) => Database::Postgres(Box::new(options)),
            None => Database::Sqlite(config.store.data_dir),
        })
    }
}

/// A step as programs read it.
#[derive(Debug, Serialize)]
struct StepLine {
    version: u32,
    name: String,
    applied_at: Option<Timestamp>,
    /// The oldest form that nodes running beside it may have been built for; SQLite has only one node.
    #[serde(skip_serializing_if = "Option::is_none")]
    runs_beside: Option<u32>,
}

impl From<migrate::Step> for StepLine {
    fn from(step: migrate::Step) -> Self {
        Self {
            version: step.version,
            name: step.name,
            applied_at: step.applied_at,
            runs_beside: Some(step.runs_beside),
        }
    }
}

impl From<sqlite::migrate::Step> for StepLine {
    fn from(step: sqlite::migrate::Step) -> Self {
        Self {
            version: step.version,
            name: step.name.to_owned(),
            applied_at: step.applied_at,
            runs_beside: None,
        }
    }
}

/// Tells of steps, a line each for people.
fn tell(output: Output, database: &Database, steps: &[StepLine]) -> Result<(), Failure> {
    if output.is_json() {
        let value = serde_json::json!({"database": database.to_string(), "steps": steps});
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
