//! `tidings serve`.

use std::path::PathBuf;

use clap::Args;

use crate::{context::Context, exit::Failure, telemetry};

mod config;

/// What differs from the configuration's file and environment.
#[derive(Args, Clone, Debug)]
pub struct Serve {
    /// Where to listen; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,
    /// Under which URL Graph reaches this server: https, from outside
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
    /// Where the database, the key file and the first admin key are [default: tidings-data]
    #[arg(long, env = "TIDINGS_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// The configuration [default: tidings.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What is logged: error, warn, info, debug, trace, or directives such as `info,tidings_pipeline=debug`
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// How it is logged: text or json
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
}

impl Serve {
    /// Runs the gateway until somebody asks it to stop.
    pub async fn run(&self, context: &Context) -> Result<(), Failure> {
        let config = config::load(self, context)?;
        telemetry::start(&config.log)?;
        Ok(())
    }
}
