//! `tidings emulator`.

use std::net::SocketAddr;

use clap::Args;

use crate::{context::Context, exit::Failure};

/// How the emulator is run.
#[derive(Args, Clone, Debug)]
pub struct Emulator {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8081")]
    pub listen: SocketAddr,
    /// Take https notification URLs only, as Graph does; otherwise http is taken for loopback hosts
    #[arg(long)]
    pub require_https: bool,
    /// Serve everything under a certificate authority of its own, for clients that insist on https
    #[arg(long)]
    pub tls: bool,
    /// Decides tenants, users, credentials and faults by chance: the same for the same number
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}

impl Emulator {
    /// Runs the emulator until somebody asks it to stop.
    pub async fn run(&self, _context: &Context) -> Result<(), Failure> {
        Ok(())
    }
}
