//! From the configuration to an open store.

use std::{path::PathBuf, sync::Arc};

use tidings_domain::{Clock, Entropy, config::Config};
use tidings_storage::{
    Store,
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
    if let Some(url) = &config.store.database_url {
        return Err(Failure::new(
            Exit::Failed,
            format!("cannot use {url}: this build has no store on PostgreSQL"),
        ));
    }
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

fn cannot(what: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Exit::Failed, format!("cannot {what}: {error}"))
}
