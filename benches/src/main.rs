//! Benchmarks of the hot paths, each beside a bare baseline in the same run, so that its result is a ratio.
//!
//! Absolute figures say little on a shared machine; the ratio of two runs taken one after the other does.

mod bare;
mod bodies;
mod database;
mod deliver;
mod e2e;
mod gateway;
mod http1;
mod ingest;
mod load;
mod nodes;
mod process;
mod quantiles;
mod report;
mod scale;
mod sink;
mod stand_in;
mod subscriptions;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};

/// The same as the gateway's, so that the baselines are no slower than they could be.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Benchmarks of Tidings. Each prints its result beside a bare baseline of the same run.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// Notifications answered 202 after their commit, beside a server that only parses and answers.
    Ingest(Settings),
    /// A backlog of deliveries sent out, beside a client that only signs and sends.
    Deliver(Settings),
    /// From Graph's POST to a signed delivery, beside a pipeline without a store.
    E2e(Settings),
    /// What size costs: many subscriptions, a long backlog, many rows; and how soon a killed gateway delivers again.
    Scale {
        #[command(flatten)]
        settings: Settings,
        #[command(flatten)]
        scale: scale::Scale,
    },
    /// What it costs to renew few and many subscriptions that are due at one time, beside a client that only asks for it.
    Subscriptions {
        #[command(flatten)]
        settings: Settings,
        #[command(flatten)]
        subscriptions: subscriptions::Subscriptions,
    },
    /// The baseline of `ingest`, as a process of its own.
    #[command(hide = true)]
    BareServer,
    /// The baseline of `e2e`, as a process of its own.
    #[command(hide = true)]
    BarePipeline {
        /// Where to send.
        #[arg(long)]
        sink: SocketAddr,
    },
    /// The baseline of `subscriptions`, as a process of its own.
    #[command(hide = true)]
    BareRenewals {
        /// Where Graph is.
        #[arg(long)]
        graph: SocketAddr,
        /// How many subscriptions.
        #[arg(long)]
        count: u64,
    },
    /// The baseline of `deliver`, as a process of its own.
    #[command(hide = true)]
    BareClient {
        /// Where to send.
        #[arg(long)]
        sink: SocketAddr,
        /// How many requests.
        #[arg(long)]
        count: u64,
        /// How many at one time.
        #[arg(long)]
        concurrency: usize,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Store {
    Sqlite,
    Postgres,
}

#[derive(Args, Clone, Debug)]
struct Settings {
    /// The `tidings` binary to measure.
    #[arg(long, env = "TIDINGS_BINARY", default_value = "target/release/tidings")]
    tidings: PathBuf,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Connections of the load generator.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// How many notifications a POST holds; several with commas between.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 10, 100], value_name = "N")]
    per_post: Vec<u64>,
    /// Rounds; the baseline is measured in each, and medians are printed.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Where the gateway keeps everything: in its own file, or in a PostgreSQL that is started for it.
    #[arg(long, value_enum, default_value_t = Store::Sqlite)]
    store: Store,
    /// How many gateways share the PostgreSQL; the load is spread over them.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    nodes: u16,
    /// Where the gateway keeps its SQLite store; a folder in the system's temporary one by default.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

impl Settings {
    fn span(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Arguments::parse().bench {
        Bench::Ingest(settings) => ingest::run(&settings).await,
        Bench::Deliver(settings) => deliver::run(&settings).await,
        Bench::E2e(settings) => e2e::run(&settings).await,
        Bench::Scale { settings, scale } => scale::run(&settings, &scale).await,
        Bench::Subscriptions {
            settings,
            subscriptions,
        } => subscriptions::run(&settings, &subscriptions).await,
        Bench::BareRenewals { graph, count } => subscriptions::bare(graph, count).await,
        Bench::BareServer => bare::server().await,
        Bench::BarePipeline { sink } => bare::pipeline(sink).await,
        Bench::BareClient {
            sink,
            count,
            concurrency,
        } => bare::client(sink, count, concurrency).await,
    }
}
