//! `tidings copy`: from the store of one machine to the store of several nodes.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use clap::Args;
use serde::Serialize;
use tidings_domain::{Secret, config::Config};
use tidings_pipeline::ingest::shard;
use tidings_storage::{
    copy::{self, Copied, CopyError, Progress},
    postgres::migrate,
    sqlite::SqliteOptions,
};

use crate::{
    configuration::{self, flag},
    context::Context,
    exit::{Exit, Failure},
    output::Output,
    store::{cannot_open, options},
};

/// How a store on SQLite is named.
const SQLITE: &str = "sqlite:";

/// From where to where.
#[derive(Args, Clone, Debug)]
pub struct Copy {
    /// The store to copy, on which no gateway may run: `sqlite:` and its data folder
    #[arg(long, value_name = "sqlite:DIR")]
    pub from: String,
    /// The PostgreSQL to copy it to, whose database must be empty, or hold what a copy that was cut short has left. As a
    /// flag it shows in the list of processes: prefer the variable
    #[arg(
        long,
        env = "TIDINGS_DATABASE_URL",
        value_name = "URL",
        hide_env_values = true
    )]
    pub to: Secret,
    /// The file with the key that secrets are sealed with there: a new one, or the `tidings.key` of the data folder
    #[arg(long, env = "TIDINGS_SEALING_KEY_FILE", value_name = "FILE")]
    pub sealing_key_file: PathBuf,
    /// The configuration [default: tidings.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// What was copied.
#[derive(Debug, Serialize)]
struct Done<'a> {
    from: &'a str,
    to: String,
    tables: Vec<Table<'a>>,
}

#[derive(Debug, Serialize)]
struct Table<'a> {
    table: &'a str,
    rows: u64,
}

impl Copy {
    /// Copies everything and compares it. Run again after it was cut short, it goes on.
    pub async fn run(&self, context: &Context) -> Result<(), Failure> {
        let config = self.config(context)?;
        let to = options(&config, &context.clock, &context.entropy)
            .ok_or_else(|| Failure::new(Exit::Usage, "--to: it names no database"))?;
        let url = to.url.to_string();
        migrate::apply(&to).await.map_err(cannot_open)?;
        let output = context.output;
        let copied = copy::run(copy::Copy {
            from: SqliteOptions {
                store: config.store,
                ingest: config.ingest,
                clock: Arc::clone(&context.clock),
                entropy: Arc::clone(&context.entropy),
            },
            to,
            mailbox_of: Arc::new(shard::mailbox_of),
            progress: Arc::new(teller(output)),
        })
        .await
        .map_err(failed)?;
        self.tell(&url, &copied, output)
    }

    fn config(&self, context: &Context) -> Result<Config, Failure> {
        let Some(folder) = self
            .from
            .strip_prefix(SQLITE)
            .filter(|folder| !folder.is_empty())
        else {
            return Err(Failure::new(
                Exit::Usage,
                format!("--from: a store to copy is named `{SQLITE}` and its data folder"),
            ));
        };
        let key_file = self.sealing_key_file.to_string_lossy();
        let flags = [
            flag("--from", "store", "data_dir", Some(folder)),
            flag("--to", "store", "database_url", Some(self.to.expose())),
            flag(
                "--sealing-key-file",
                "postgres",
                "sealing_key_file",
                Some(key_file),
            ),
        ];
        let flags = flags.into_iter().flatten().collect();
        configuration::load(self.config.as_deref(), flags, context)
    }

    fn tell(&self, to: &str, copied: &[Copied], output: Output) -> Result<(), Failure> {
        if output.is_json() {
            let tables = copied.iter().map(|one| Table {
                table: &one.table,
                rows: one.rows,
            });
            return Ok(output.value(&Done {
                from: &self.from,
                to: to.to_owned(),
                tables: tables.collect(),
            })?);
        }
        for one in copied {
            output.line(&format!("{:>12}  {}", one.rows, one.table))?;
        }
        Ok(output.note(&format!(
            "{} is in {to} now, and compared row by row. Its keys open the new nodes, too. Do not start a gateway on it again: \
             both would deliver",
            self.from
        ))?)
    }
}

/// Tells people of each table when it begins.
fn teller(output: Output) -> impl Fn(Progress<'_>) + Send + Sync {
    let told = Mutex::new(String::new());
    move |progress| {
        let does = if progress.comparing {
            "comparing"
        } else {
            "copying"
        };
        let doing = format!("{does} {}", progress.table);
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        if *told != doing {
            // A terminal that is gone does not stop the copy.
            let _ = output.note(&doing);
            *told = doing;
        }
    }
}

fn failed(error: CopyError) -> Failure {
    match error {
        CopyError::Target(error) => cannot_open(error),
        CopyError::NotEmpty { .. } => Failure::new(Exit::Failed, error.to_string())
            .hint("make an empty database for the copy: it is migrated by the copy itself"),
        CopyError::Reading { .. } | CopyError::Writing { .. } => {
            Failure::new(Exit::Failed, error.to_string())
                .hint("run the command again: it goes on where it was")
        }
        _ => Failure::new(Exit::Failed, error.to_string()),
    }
}
