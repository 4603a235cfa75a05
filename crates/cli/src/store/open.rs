//! From the configuration to an open store.

use std::{path::PathBuf, sync::Arc};

use tidings_domain::{Clock, Entropy, config::Config};
use tidings_storage::{
    Store,
    postgres::{MigrateError, OpenError, PostgresOptions, PostgresStore},
    sqlite::{SqliteOptions, SqliteStore},
};

use crate::exit::{Exit, Failure};

/// An open store.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The store.
    pub(crate) store: Arc<dyn Store>,
    /// The folder that it lies in, absolute, if it lies in one.
    pub(crate) data_dir: Option<PathBuf>,
}

/// Opens the store that the configuration names.
pub(crate) async fn open(
    config: &Config,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> Result<Opened, Failure> {
    if let Some(options) = options(config, clock, entropy) {
        let store = PostgresStore::open(options).await.map_err(cannot_open)?;
        return Ok(Opened {
            store: Arc::new(store),
            data_dir: None,
        });
    }
    let cannot = |what: &str, error: &dyn std::fmt::Display| {
        Failure::new(Exit::Failed, format!("cannot {what}: {error}"))
    };
    let data_dir = std::path::absolute(&config.store.data_dir)
        .map_err(|error| cannot("use the data folder", &error))?;
    let store = SqliteStore::open(SqliteOptions {
        store: config.store.clone(),
        ingest: config.ingest.clone(),
        clock: Arc::clone(clock),
        entropy: Arc::clone(entropy),
    })
    .await
    .map_err(|error| cannot("open the store", &error))?;
    Ok(Opened {
        store: Arc::new(store),
        data_dir: Some(data_dir),
    })
}

/// How to open the PostgreSQL that the configuration names, if it names one.
pub(crate) fn options(
    config: &Config,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> Option<PostgresOptions> {
    Some(PostgresOptions {
        url: config.store.database_url.clone()?,
        postgres: config.postgres.clone(),
        store: config.store.clone(),
        ingest: config.ingest.clone(),
        clock: Arc::clone(clock),
        timer: Arc::clone(clock),
        entropy: Arc::clone(entropy),
    })
}

/// Says why a PostgreSQL cannot be opened, and what to do about it.
#[expect(
    clippy::needless_pass_by_value,
    reason = "it is what `map_err` hands over"
)]
pub(crate) fn cannot_open(error: OpenError) -> Failure {
    let message = format!("cannot open the store: {error}");
    match error {
        OpenError::Connect { .. } => Failure::new(Exit::Unreachable, message)
            .code("database_unreachable")
            .hint("does it run, does its address take connections from here, and are user and password right?"),
        OpenError::Migrate(MigrateError::Behind { .. }) => Failure::new(Exit::Failed, message)
            .code("database_not_migrated")
            .hint("`tidings migrate plan` shows the steps, `tidings migrate apply` applies them"),
        OpenError::KeyOther { .. } | OpenError::KeyDamaged { .. } | OpenError::KeyMissing { .. } => {
            Failure::new(Exit::Failed, message).code("sealing_key")
        }
        OpenError::NoKeyFile => Failure::new(Exit::Usage, message).code("sealing_key").hint(
            "`--sealing-key-file` or TIDINGS_SEALING_KEY_FILE names it",
        ),
        _ => Failure::new(Exit::Failed, message),
    }
}
