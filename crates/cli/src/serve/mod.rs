//! `tidings serve`.

use std::{net::SocketAddr, path::Path};

use clap::Args;
use owo_colors::OwoColorize;
use serde::Serialize;
use tidings_domain::ids::EnvironmentId;

use self::node::Node;
use crate::{
    configuration::{flag, switch},
    context::Context,
    exit::{Exit, Failure},
    output::Output,
    signals::Signals,
    store::StoreArguments,
    telemetry,
};

pub(crate) mod node;

/// What differs from the configuration's file and environment.
#[derive(Args, Clone, Debug)]
pub struct Serve {
    /// Where to listen; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,
    /// Under which URL Graph reaches this server: https, from outside
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
    /// Take over the subscriptions of other installations on the same apps, to the same resources
    #[arg(long)]
    pub take_over: bool,
    /// What is logged: error, warn, info, debug, trace, or directives such as `info,tidings_pipeline=debug`
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// How it is logged: text or json
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// Where everything is kept
    #[command(flatten)]
    pub store: StoreArguments,
}

/// The first line: what others script against.
#[derive(Debug, Serialize)]
struct First<'a> {
    listening: SocketAddr,
    environment_id: EnvironmentId,
    /// Where the first admin key is; with PostgreSQL it is in no file of ours.
    admin_key_file: Option<&'a Path>,
}

impl Serve {
    /// Runs the gateway until somebody asks it to stop. A second signal ends it at once.
    pub async fn run(&self, context: &Context) -> Result<(), Failure> {
        let flags = [
            flag("--listen", "server", "listen", self.listen.as_deref()),
            flag(
                "--public-url",
                "server",
                "public_url",
                self.public_url.as_deref(),
            ),
            switch("--take-over", "subscribe", "take_over", self.take_over),
            flag("--log-level", "log", "level", self.log_level.as_deref()),
            flag("--log-format", "log", "format", self.log_format.as_deref()),
        ];
        let config = self.store.load(flags.into_iter().flatten(), context)?;
        telemetry::start(&config.log)?;
        let mut signals = Signals::listen()?;
        let needs_public_url = config.server.public_url.is_none();
        let node = tokio::select! {
            node = Node::start(config, &context.clock, &context.entropy) => node?,
            () = signals.next() => return Err(Failure::new(Exit::Failed, "stopped while starting")),
        };
        tell(&node, needs_public_url, context.output)?;
        tracing::info!(address = %node.address(), "listening");

        signals.next().await;
        tracing::info!("stopping: what is under way may finish");
        tokio::select! {
            stopped = node.stop() => {
                tracing::info!(?stopped, "stopped");
                Ok(())
            }
            () = signals.next() => Err(Failure::new(
                Exit::Failed,
                "stopped at the second signal, with work under way: it is taken up again at the next start",
            )),
        }
    }
}

/// Says where it is and what to do next.
fn tell(node: &Node, needs_public_url: bool, output: Output) -> Result<(), Failure> {
    let (address, key_file) = (node.address(), node.admin_key_file());
    if output.is_json() {
        return Ok(output.value(&First {
            listening: address,
            environment_id: node.environment(),
            admin_key_file: key_file.as_deref(),
        })?);
    }
    output.line(&format!(
        "Listening at {}",
        format!("http://{address}").bold()
    ))?;
    if let Some(file) = key_file {
        output.line(&format!("The admin key is in {}", file.display()))?;
    }
    if needs_public_url {
        output.line(
            "Graph cannot reach this address from outside: `--public-url https://…` says under which URL it can",
        )?;
    }
    Ok(output.line(
        "Next: `tidings integration create --key microsoft --client-id ID --client-secret-file FILE`",
    )?)
}
