//! The configuration: a file, overlaid by the environment, overlaid by flags.
//!
//! Every key has its default and its comment in `default.toml`, which is compiled in; nothing has a default elsewhere.

use std::{net::SocketAddr, path::PathBuf};

use ipnet::IpNet;
use serde::Deserialize;
use url::Url;

use crate::resource::ChangeType;

mod database_url;
mod load;
mod postgres;
mod span;

pub use database_url::{DatabaseUrl, DatabaseUrlError};
pub use load::{ConfigError, DEFAULT, Setting, load};
pub use postgres::PostgresConfig;
pub use span::Span;

/// All of it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The HTTP faces.
    pub server: ServerConfig,
    /// The store.
    pub store: StoreConfig,
    /// The store on PostgreSQL.
    pub postgres: PostgresConfig,
    /// Taking notifications.
    pub ingest: IngestConfig,
    /// Fetching what changed.
    pub enrich: EnrichConfig,
    /// Sending to webhooks.
    pub deliver: DeliverConfig,
    /// Keeping Graph's subscriptions alive.
    pub subscribe: SubscribeConfig,
    /// Who is to be watched by policies.
    pub policy: PolicyConfig,
    /// Comparing what Graph has with what the app was told.
    pub reconcile: ReconcileConfig,
    /// What outgoing requests may reach.
    pub egress: EgressConfig,
    /// What is logged.
    pub log: LogConfig,
}

/// The HTTP faces.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Under which URL Graph reaches this server; empty means `http://` and the address listened on.
    #[serde(deserialize_with = "span::optional_url")]
    pub public_url: Option<Url>,
    /// Connections open at one time; more wait.
    pub max_connections: usize,
    /// How long a client may take to send its request head.
    pub header_timeout: Span,
    /// How long a client may take to send its request body.
    pub body_timeout: Span,
    /// How long a stop waits for what is under way.
    pub shutdown_timeout: Span,
}

/// The store.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct StoreConfig {
    /// The PostgreSQL that keeps everything; none means SQLite in the data folder.
    #[serde(deserialize_with = "database_url::optional")]
    pub database_url: Option<DatabaseUrl>,
    /// Where SQLite's database, the key file and the first admin key are.
    pub data_dir: PathBuf,
    /// Below this many free bytes on its disk SQLite's store takes nothing new.
    pub disk_floor_bytes: u64,
    /// How many operations may wait to be written; more are refused at once.
    pub queue: usize,
    /// How many readers SQLite's store has.
    pub readers: usize,
}

/// Taking notifications.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct IngestConfig {
    /// The largest body that is read, in bytes.
    pub max_body_bytes: usize,
    /// How long a notification may wait for the writer before Graph is asked to send it again.
    pub max_wait: Span,
    /// How many rejected notifications are kept per integration.
    pub keep_rejected: u32,
    /// How many rejected notifications are written per second at most; the rest are only counted.
    pub rejected_per_second: u32,
    /// How long a notification that matches nothing waits for a subscription that is just being made.
    pub hold: Span,
}

/// Fetching what changed.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct EnrichConfig {
    /// How many calls may be under way at one time; 0 lets the stage rest.
    pub concurrency: usize,
    /// How many items of one mailbox may be fetched at one time; Graph allows 4.
    pub per_mailbox: usize,
    /// How many items of one tenant may be fetched with one call, of those that had to wait; Graph allows 20.
    pub batch: usize,
    /// The time limit of one fetch.
    pub timeout: Span,
    /// The largest object that is put into an event, in bytes.
    pub max_object_bytes: usize,
    /// Of which changes notifications of one item that wait together are told by one event.
    pub coalesce: Vec<ChangeType>,
    /// How long such a notification waits for others, after a fetch of its item began.
    pub coalesce_window: Span,
}

/// Sending to webhooks.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct DeliverConfig {
    /// How many attempts may be under way at one time, until their results are stored.
    pub concurrency: usize,
    /// How many may be sent to one webhook at one time, until they are answered.
    pub per_webhook: usize,
    /// The time limit of one attempt, answer body included.
    pub timeout: Span,
    /// The waits between the attempts of a delivery.
    pub retry_schedule: Vec<Span>,
    /// After failing for this long a webhook is disabled.
    pub disable_after: Span,
}

/// Keeping Graph's subscriptions alive.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct SubscribeConfig {
    /// How many calls to Graph may be under way at one time.
    pub concurrency: usize,
    /// How many subscriptions of one tenant may be renewed or removed with one call; Graph allows 20.
    pub batch: usize,
    /// The time limit of one call; creation waits for Graph's handshake with us, which may take 20 s.
    pub timeout: Span,
    /// Whether subscriptions of other installations on the same app make way for ours.
    pub take_over: bool,
}

/// Who is to be watched by policies.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct PolicyConfig {
    /// For how many connections and policies Graph may be asked at one time.
    pub concurrency: usize,
    /// The time limit of one call.
    pub timeout: Span,
    /// How often Graph is asked which users have come and gone.
    pub interval: Span,
    /// How often all teams are listed.
    pub listing: Span,
    /// How often all users are enumerated from the start.
    pub whole: Span,
}

/// Comparing what Graph has with what the app was told.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ReconcileConfig {
    /// How many subscriptions may be reconciled at one time; 0 means none ever.
    pub concurrency: usize,
    /// The time limit of one call.
    pub timeout: Span,
    /// The time from one round of a subscription to the next.
    pub interval: Span,
    /// How soon a round that there was a reason for is followed by another one; zero means not at all.
    pub settle: Span,
    /// How far back calendars are compared.
    pub calendar_past: Span,
    /// How far ahead calendars are compared.
    pub calendar_future: Span,
    /// How many hours that used to have changes may pass without any; 0 means any number.
    pub silence_hours: u32,
    /// How many weeks a subscription has to have been watched before its silence means anything.
    pub silence_weeks: u32,
}

/// What outgoing requests may reach.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct EgressConfig {
    /// Networks that webhooks may reach though they are not public, plain `http` included.
    pub allow: Vec<IpNet>,
    /// The same for sign-in and Graph URLs.
    pub allow_graph: Vec<IpNet>,
}

/// What is logged.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// Which messages: `error`, `warn`, `info`, `debug`, `trace`, or directives such as `info,tidings_pipeline=debug`.
    pub level: String,
    /// How: `text` or `json`.
    pub format: LogFormat,
}

/// How messages are written.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}
