//! What it costs to renew few and many subscriptions that are due at one time, beside a client that only asks for it.
//!
//! The store is filled before the gateway starts on it. A hundred subscriptions share a tenant: as many as may follow each
//! other at once, so that nothing is put off and what is measured is the loop and not Graph's limits.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use anyhow::Context;
use tidings_domain::{
    Clock, Entropy, Ids, Secret, Timestamp,
    clock::SystemClock,
    connection::{Connection, ConnectionIntent, ConnectionState},
    entropy::SystemEntropy,
    ids::{EnvironmentId, IntegrationId},
    integration::{Integration, WebhookSecret},
    resource::ResourceKind,
    shard::Shard,
    subscription::{Subscription, SubscriptionState},
};
use tidings_egress::{AddressPolicy, Egress};
use tidings_graph::{
    client::{Access, GraphClient, MAX_PARTS},
    wire::subscription::SubscriptionPatch,
};
use tidings_storage::{ConfiguredStore as _, Store as _};
use tokio::task::JoinSet;
use url::Url;

use crate::{
    Settings, Store,
    gateway::variables,
    nodes::Nodes,
    process::{self, Process},
    report::Report,
    scale,
    stand_in::StandIn,
};

/// How many subscriptions a tenant has.
const PER_TENANT: u64 = 100;
/// As many calls as the gateway makes at one time by default.
const CALLS: usize = 8;
/// How long all renewals may take.
const MOST: Duration = Duration::from_mins(10);

/// How many subscriptions there are.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Subscriptions {
    /// How many subscriptions, each number by itself; the first is what the others are compared with.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 100_000])]
    counts: Vec<u64>,
    /// How many seconds after the filling began all of them are due: time to fill, to start and to look at the gateway at
    /// rest, for 10,000 subscriptions. More have more.
    #[arg(long, default_value_t = 8)]
    due_in: u64,
    /// Due in no order of tenants, so that hardly any go together.
    #[arg(long)]
    shuffled: bool,
}

pub(crate) async fn run(settings: &Settings, wanted: &Subscriptions) -> anyhow::Result<()> {
    anyhow::ensure!(
        settings.store == Store::Sqlite,
        "only SQLite can be filled beforehand"
    );
    let clock = Arc::new(SystemClock::new());
    let title = "subscriptions: renewing those that are due at one time";
    let mut report = Report::new(title, settings.json);
    let mut first: Option<Measured> = None;
    for &count in &wanted.counts {
        let bare = bare_renewals(&clock, count).await?;
        let found = through(&clock, settings, wanted, count).await?;
        let few = *first.get_or_insert(found);
        report.row(
            &format!("bare client, {count}"),
            &[
                ("renewals/s", bare.per_second),
                ("CPU-ms each", bare.cpu),
                ("a call", bare.per_call),
            ],
        );
        report.row(
            &format!("gateway, {count}"),
            &[
                ("renewals/s", found.renewals.per_second),
                ("÷ bare client", found.renewals.per_second / bare.per_second),
                ("CPU-ms each", found.renewals.cpu),
                ("÷ bare client", found.renewals.cpu / bare.cpu),
                ("a call", found.renewals.per_call),
                ("start s", found.start),
                ("RSS MiB at rest", found.rss),
                ("KiB a subscription", found.kib_each),
                ("peak RSS MiB", found.peak_rss),
            ],
        );
        if count != wanted.counts[0] {
            let name = format!("{count} ÷ {}", wanted.counts[0]);
            report.row(
                &name,
                &[
                    ("CPU a renewal", found.renewals.cpu / few.renewals.cpu),
                    (
                        "time a renewal",
                        few.renewals.per_second / found.renewals.per_second,
                    ),
                ],
            );
        }
    }
    report.end();
    Ok(())
}

#[derive(Clone, Copy, Debug)]
struct Measured {
    renewals: Renewals,
    start: f64,
    rss: f64,
    kib_each: f64,
    peak_rss: f64,
}

#[derive(Clone, Copy, Debug)]
struct Renewals {
    per_second: f64,
    cpu: f64,
    /// How many went with a call.
    per_call: f64,
}

impl Renewals {
    fn new(graph: &StandIn, cpu_ms: f64) -> anyhow::Result<Self> {
        let count = f64::from(u32::try_from(graph.renewed())?);
        Ok(Self {
            per_second: count / graph.took().as_secs_f64(),
            cpu: cpu_ms / count,
            per_call: count / f64::from(u32::try_from(graph.calls())?),
        })
    }
}

async fn through(
    clock: &Arc<SystemClock>,
    settings: &Settings,
    wanted: &Subscriptions,
    count: u64,
) -> anyhow::Result<Measured> {
    let folder = match &settings.data_dir {
        Some(parent) => tempfile::tempdir_in(parent)?,
        None => tempfile::tempdir()?,
    };
    let data_dir = folder.path().join("data");
    let data = data_dir.to_str().context("a folder with a readable name")?;
    let graph = StandIn::start(Arc::clone(clock)).await?;
    let (empty, _) = Nodes::start(settings, data, variables(&[])).await?;
    clock.sleep(Duration::from_secs(2)).await;
    let without = empty.rss_mib()?;
    empty.kill().await?;

    let span = Duration::from_secs(wanted.due_in + count / 10_000 * 2);
    let due_at = clock.now() + span;
    fill(&data_dir, graph.address, count, due_at, wanted.shuffled).await?;
    let began = clock.monotonic();
    let (node, _) = Nodes::start(settings, data, variables(&[])).await?;
    let start = clock.monotonic().saturating_sub(began).as_secs_f64();
    clock.sleep(Duration::from_secs(2)).await;
    let (rss, cpu) = (node.rss_mib()?, node.cpu_ms()?);
    anyhow::ensure!(
        graph.renewed() == 0,
        "they were due before the gateway was looked at: --due-in gives it more time"
    );
    let came = graph.wait_for(count, MOST).await;
    anyhow::ensure!(came >= count, "{came} of {count} were renewed");
    // The last ones are on their way into the store.
    clock.sleep(Duration::from_secs(1)).await;
    let measured = Measured {
        renewals: Renewals::new(&graph, node.cpu_ms()? - cpu)?,
        start,
        rss,
        kib_each: (rss - without) * 1_024.0 / f64::from(u32::try_from(count)?),
        peak_rss: node.peak_rss_mib()?,
    };
    node.kill().await?;
    Ok(measured)
}

/// Fills a store that a gateway has made with tenants and their subscriptions.
async fn fill(
    folder: &Path,
    graph: SocketAddr,
    count: u64,
    due_at: Timestamp,
    shuffled: bool,
) -> anyhow::Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let store = Arc::new(scale::open(folder, &clock, &entropy).await?);
    let ids = Ids::new(Arc::clone(&clock), entropy);
    let environments = store.environments().await?;
    let environment = environments.first().context("there is no environment")?.id;
    let integration = integration(&ids, environment, graph, clock.now())?;
    let id = integration.id;
    store.create_integration(integration).await?;
    let mut waiting = JoinSet::new();
    for tenant in 0..count.div_ceil(PER_TENANT) {
        let connection = Connection {
            id: ids.next(),
            environment,
            integration: id,
            tenant_id: uuid(),
            state: ConnectionState::Active,
            intent: ConnectionIntent::Kept,
            created_at: clock.now(),
        };
        store.create_connection(connection.clone()).await?;
        for _ in 0..PER_TENANT.min(count - tenant * PER_TENANT) {
            let apart = if shuffled {
                uuid().as_u128() % 1_000
            } else {
                0
            };
            let apart = Duration::from_millis(u64::try_from(apart)?);
            let row = subscription(&ids, &connection, clock.now(), due_at + apart);
            let store = Arc::clone(&store);
            waiting.spawn(async move { store.create_subscription(row, Shard::FIRST).await });
            if waiting.len() >= 512 {
                waiting.join_next().await.transpose()?.transpose()?;
            }
        }
    }
    while let Some(made) = waiting.join_next().await {
        made??;
    }
    store.close().await;
    Ok(())
}

fn integration(
    ids: &Ids,
    environment: EnvironmentId,
    graph: SocketAddr,
    created_at: Timestamp,
) -> anyhow::Result<Integration> {
    let graph = Url::parse(&format!("http://{graph}"))?;
    Ok(Integration {
        id: ids.next(),
        environment,
        key: "bench".parse()?,
        client_id: "bench".to_owned(),
        client_secret: Secret::new("secret"),
        webhook_secret: WebhookSecret::parse("the-secret-of-hand-made-ones")?,
        login_url: graph.clone(),
        graph_url: graph,
        created_at,
    })
}

/// One that Graph has served for some days, and does for two more.
fn subscription(
    ids: &Ids,
    connection: &Connection,
    now: Timestamp,
    due_at: Timestamp,
) -> Subscription {
    Subscription {
        id: ids.next(),
        environment: connection.environment,
        integration: connection.integration,
        connection: connection.id,
        policy: None,
        resource: format!("users/{}/events", uuid()),
        kind: ResourceKind::Event,
        change_types: "created,updated,deleted"
            .parse()
            .expect("invariant: these are change types"),
        state: SubscriptionState::Active,
        client_state: Secret::new(uuid().to_string()),
        graph_id: Some(uuid().to_string()),
        expires_at: Some(now + Duration::from_hours(60)),
        due_at,
        failures: 0,
        last_error: None,
        created_at: now,
        renewed_at: Some(now - Duration::from_hours(60)),
        lifecycle: None,
        patched_at: None,
        notification_url: None,
        lifecycle_url: None,
        former: None,
        deliver_existing: false,
    }
}

fn uuid() -> uuid::Uuid {
    let mut bytes = [0; 16];
    SystemEntropy.fill(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

async fn bare_renewals(clock: &Arc<SystemClock>, count: u64) -> anyhow::Result<Renewals> {
    let graph = StandIn::start(Arc::clone(clock)).await?;
    let (address, count) = (graph.address.to_string(), count.to_string());
    let arguments = ["bare-renewals", "--graph", &address, "--count", &count];
    let client = Process::start(&std::env::current_exe()?, &arguments, &[]).await?;
    let cpu = client.hello["cpu_ms"].as_f64();
    let cpu = cpu.context("it says how much it has used")?;
    client.wait().await?;
    Renewals::new(&graph, cpu)
}

/// Asks for the same renewals in batches, and keeps nothing. Prints what that took of the processor.
pub(crate) async fn bare(graph: SocketAddr, count: u64) -> anyhow::Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let ids = Ids::new(Arc::clone(&clock), Arc::clone(&entropy));
    let policy = AddressPolicy::new(vec!["127.0.0.0/8".parse()?]);
    let egress = Egress::new(policy, Arc::clone(&clock))?;
    let client = GraphClient::new(egress, Arc::clone(&clock), entropy, Duration::from_secs(45));
    let url = Url::parse(&format!("http://{graph}"))?;
    let integration: IntegrationId = ids.next();
    let mut calls = JoinSet::new();
    for tenant in 0..count.div_ceil(PER_TENANT) {
        let access = Access {
            integration,
            tenant: uuid().to_string(),
            client_id: "bench".to_owned(),
            client_secret: Secret::new("secret"),
            login_url: url.clone(),
            graph_url: url.clone(),
        };
        let mut left = PER_TENANT.min(count - tenant * PER_TENANT);
        while left > 0 {
            let parts = left.min(MAX_PARTS as u64);
            left -= parts;
            let patch = |_| {
                let patch = SubscriptionPatch {
                    expires_at: Some(clock.now() + Duration::from_mins(10_000)),
                    ..SubscriptionPatch::default()
                };
                (uuid().to_string(), patch)
            };
            let patches: Vec<_> = (0..parts).map(patch).collect();
            let (client, access) = (client.clone(), access.clone());
            calls.spawn(async move { client.patch_subscriptions(&access, &patches).await });
            if calls.len() >= CALLS {
                all_renewed(calls.join_next().await.transpose()?)?;
            }
        }
    }
    while let Some(answers) = calls.join_next().await {
        all_renewed(Some(answers?))?;
    }
    let cpu_ms = process::cpu_ms(std::process::id())?;
    print_line(&serde_json::json!({ "cpu_ms": cpu_ms }));
    Ok(())
}

fn all_renewed<T>(answers: Option<Vec<Result<T, tidings_graph::CallError>>>) -> anyhow::Result<()> {
    for answer in answers.unwrap_or_default() {
        answer?;
    }
    Ok(())
}

#[expect(
    clippy::print_stdout,
    reason = "the line that the starting process reads"
)]
fn print_line(line: &serde_json::Value) {
    println!("{line}");
}
