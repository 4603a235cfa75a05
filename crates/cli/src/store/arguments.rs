//! The flags that say where everything is kept.

use std::path::{Path, PathBuf};

use clap::Args;
use tidings_domain::{
    Secret,
    config::{Config, Setting},
};

use crate::{configuration, configuration::flag, context::Context, exit::Failure};

/// Where everything is kept.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Store")]
pub struct StoreArguments {
    /// The PostgreSQL that keeps everything: `postgres://user:password@host/database` [default: none, but SQLite in the
    /// data folder]. As a flag it shows in the list of processes: prefer the variable
    #[arg(
        long,
        env = "TIDINGS_DATABASE_URL",
        value_name = "URL",
        hide_env_values = true
    )]
    pub database_url: Option<Secret>,
    /// With PostgreSQL, the file with the key that secrets are sealed with
    #[arg(long, env = "TIDINGS_SEALING_KEY_FILE", value_name = "FILE")]
    pub sealing_key_file: Option<PathBuf>,
    /// With SQLite, where the database, the key file and the first admin key are [default: tidings-data]
    #[arg(long, env = "TIDINGS_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// The configuration [default: tidings.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl StoreArguments {
    /// The configuration with what these flags, and some more, say.
    pub(crate) fn load(
        &self,
        others: impl IntoIterator<Item = Setting>,
        context: &Context,
    ) -> Result<Config, Failure> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let own = [
            flag(
                "--database-url",
                "store",
                "database_url",
                self.database_url.as_ref().map(Secret::expose),
            ),
            flag(
                "--sealing-key-file",
                "postgres",
                "sealing_key_file",
                self.sealing_key_file.as_deref().map(text),
            ),
            flag(
                "--data-dir",
                "store",
                "data_dir",
                self.data_dir.as_deref().map(text),
            ),
        ];
        let flags = own.into_iter().flatten().chain(others).collect();
        configuration::load(self.config.as_deref(), flags, context)
    }
}
