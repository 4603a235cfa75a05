//! What size costs: many subscriptions, a long backlog, many rows; and how soon a killed gateway delivers again.
//!
//! The stores are filled through the store's own verbs before a gateway starts on them: so nothing is in them that a
//! gateway would not have written.

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use tidings_domain::{
    Clock, Entropy, Ids, Secret, Timestamp,
    clock::SystemClock,
    config,
    connection::Connection,
    entropy::SystemEntropy,
    notification::{Notification, Origin, Verdict},
    page::{Page, PageLimit},
    resource::{ChangeType, ResourceKind},
    shard::Shard,
    subscription::{Subscription, SubscriptionState},
};
use tidings_storage::{
    ConfiguredStore as _, Store,
    record::{DedupKey, NewNotification},
    sqlite::{SqliteOptions, SqliteStore},
};

use crate::{
    Settings,
    gateway::Gateway,
    load::{Numbers, closed},
    report::Report,
    sink::Sink,
};

/// A gateway's resources while it rests: enrich takes nothing from the queue.
const AT_REST: &[(&str, &str)] = &[("TIDINGS__ENRICH__CONCURRENCY", "0")];

/// How many rows one operation writes while a store is filled.
const SLICE: u64 = 1_000;

pub(crate) async fn run(settings: &Settings, scale: &Scale) -> anyhow::Result<()> {
    let clock = Arc::new(SystemClock::new());
    let mut report = Report::new("scale: what size costs", settings.json);
    if scale.subscriptions > 0 {
        subscriptions(&clock, settings, scale.subscriptions, &mut report).await?;
    }
    if scale.backlog > 0 {
        backlog(&clock, settings, scale.backlog, &mut report).await?;
    }
    if scale.rows > 0 {
        rows(&clock, settings, scale.rows, &mut report).await?;
    }
    redelivery(&clock, settings, &mut report).await?;
    report.end();
    Ok(())
}

/// How large is large; 0 leaves a measurement out.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Scale {
    /// Subscriptions of one gateway.
    #[arg(long, default_value_t = 100_000)]
    subscriptions: u64,
    /// Accepted notifications that wait when a gateway starts.
    #[arg(long, default_value_t = 1_000_000)]
    backlog: u64,
    /// Notifications stored before some more are taken in. A million of them takes some 1.3 GB of disk.
    #[arg(long, default_value_t = 10_000_000)]
    rows: u64,
}

/// Memory with many subscriptions, and how long it takes to read them at start.
async fn subscriptions(
    clock: &Arc<SystemClock>,
    settings: &Settings,
    count: u64,
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut gateway = Gateway::start(settings, &[]).await?;
    let before = gateway.nodes.rss_mib()?;
    gateway.kill().await?;
    fill(&gateway.data_dir(), |filling| subscribe(filling, count)).await?;
    let began = clock.monotonic();
    gateway.start_again(settings, &[]).await?;
    let took = clock.monotonic().saturating_sub(began);
    // The first seconds are the loops' own look at everything.
    clock.sleep(Duration::from_secs(5)).await;
    let (at_rest, cpu) = (gateway.nodes.rss_mib()?, gateway.nodes.cpu_ms()?);
    clock.sleep(Duration::from_secs(10)).await;
    let cpu = (gateway.nodes.cpu_ms()? - cpu) / 10_000.0;
    let (target, numbers) = (gateway.target("deleted", 1)?, Numbers::default());
    closed(
        clock,
        &target,
        &numbers,
        settings.connections,
        settings.span(),
    )
    .await?;
    report.row(
        &format!("{count} subscriptions"),
        &[
            ("RSS MiB without", before),
            ("RSS MiB", at_rest),
            ("peak RSS MiB under load", gateway.nodes.peak_rss_mib()?),
            ("start s", took.as_secs_f64()),
            ("CPU share at rest", cpu),
        ],
    );
    gateway.stop().await
}

/// How long a gateway takes to accept when much waits in its queue.
async fn backlog(
    clock: &Arc<SystemClock>,
    settings: &Settings,
    count: u64,
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut gateway = Gateway::start(settings, AT_REST).await?;
    gateway.kill().await?;
    fill(&gateway.data_dir(), |filling| record(filling, count)).await?;
    let began = clock.monotonic();
    gateway.start_again(settings, &[]).await?;
    let listening = clock.monotonic().saturating_sub(began);
    let (target, numbers) = (gateway.target("deleted", 1)?, Numbers::default());
    closed(clock, &target, &numbers, 1, Duration::from_millis(1)).await?;
    let accepting = clock.monotonic().saturating_sub(began);
    clock.sleep(Duration::from_secs(5)).await;
    report.row(
        &format!("start with {count} waiting"),
        &[
            ("listening s", listening.as_secs_f64()),
            ("first 202 s", accepting.as_secs_f64()),
            ("peak RSS MiB", gateway.nodes.peak_rss_mib()?),
        ],
    );
    gateway.stop().await
}

/// What a notification costs with few rows in the store, and with many.
async fn rows(
    clock: &Arc<SystemClock>,
    settings: &Settings,
    count: u64,
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut few = None;
    for rows in [1_000, count] {
        let mut gateway = Gateway::start(settings, AT_REST).await?;
        gateway.kill().await?;
        fill(&gateway.data_dir(), |filling| record(filling, rows)).await?;
        gateway.start_again(settings, AT_REST).await?;
        let (target, numbers) = (gateway.target("deleted", 1)?, Numbers::default());
        let connections = settings.connections;
        // Until the filter over the dedup keys is read.
        closed(
            clock,
            &target,
            &numbers,
            connections,
            Duration::from_secs(20),
        )
        .await?;
        let cpu = gateway.nodes.cpu_ms()?;
        let load = closed(clock, &target, &numbers, connections, settings.span()).await?;
        let taken = load.per_second() * load.took.as_secs_f64();
        let cpu = (gateway.nodes.cpu_ms()? - cpu) / taken;
        let few = *few.get_or_insert(cpu);
        report.row(
            &format!("ingest behind {rows} rows"),
            &[
                ("notifications/s", load.per_second()),
                ("CPU-ms each", cpu),
                ("÷ few", cpu / few),
                ("peak RSS MiB", gateway.nodes.peak_rss_mib()?),
            ],
        );
        gateway.stop().await?;
    }
    Ok(())
}

/// How soon after its start a killed gateway delivers what it had acknowledged before.
async fn redelivery(
    clock: &Arc<SystemClock>,
    settings: &Settings,
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut gateway = Gateway::start(settings, &[]).await?;
    let sink = Sink::start(Arc::clone(clock)).await?;
    gateway.webhook(&sink).await?;
    let (target, numbers) = (gateway.target("deleted", 10)?, Numbers::default());
    // More than is delivered meanwhile, so that something waits when the gateway is killed.
    closed(
        clock,
        &target,
        &numbers,
        settings.connections,
        Duration::from_secs(2),
    )
    .await?;
    gateway.kill().await?;
    let before = sink.count();
    let accepted = numbers.so_far();
    let began = clock.monotonic();
    gateway.start_again(settings, &[]).await?;
    let listening = clock.monotonic().saturating_sub(began);
    sink.wait_for(before + 1, Duration::from_mins(1)).await;
    let first = clock.monotonic().saturating_sub(began);
    let came = sink.wait_for(accepted, Duration::from_mins(5)).await;
    anyhow::ensure!(came >= accepted, "{came} of {accepted} were delivered");
    let twice = u32::try_from(came - accepted).map_or(f64::NAN, f64::from);
    report.row(
        "after kill -9",
        &[
            ("listening s", listening.as_secs_f64()),
            ("first delivery s", first.as_secs_f64()),
            ("twice", twice),
        ],
    );
    gateway.stop().await
}

/// A store that no gateway uses, and the rows that new ones resemble.
struct Filling {
    store: SqliteStore,
    ids: Ids,
    entropy: SystemEntropy,
    now: Timestamp,
    connection: Connection,
}

async fn fill<F>(folder: &Path, fill: impl FnOnce(Arc<Filling>) -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let store = open(folder, &clock, &entropy).await?;
    let first = Page::first(PageLimit::new(1)?);
    let mut connections = store.connections(None, first).await?.items;
    let filling = Arc::new(Filling {
        now: clock.now(),
        ids: Ids::new(clock, entropy),
        entropy: SystemEntropy,
        connection: connections
            .pop()
            .ok_or_else(|| anyhow::anyhow!("the gateway has no connection"))?,
        store,
    });
    let done = fill(Arc::clone(&filling)).await;
    filling.store.close().await;
    done
}

/// Opens the store in a folder that no gateway uses.
pub(crate) async fn open(
    folder: &Path,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> anyhow::Result<SqliteStore> {
    let mut config = config::load(None, [], Vec::new())?;
    folder.clone_into(&mut config.store.data_dir);
    let options = SqliteOptions {
        store: config.store,
        ingest: config.ingest,
        clock: Arc::clone(clock),
        entropy: Arc::clone(entropy),
    };
    Ok(SqliteStore::open(options).await?)
}

/// Adds active subscriptions to as many mailboxes, none of them due within a day.
async fn subscribe(filling: Arc<Filling>, count: u64) -> anyhow::Result<()> {
    let later = filling.now + Duration::from_hours(48);
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..count {
        let (user, graph_id) = (filling.uuid(), filling.uuid());
        let connection = &filling.connection;
        let subscription = Subscription {
            id: filling.ids.next(),
            environment: connection.environment,
            integration: connection.integration,
            connection: connection.id,
            policy: None,
            resource: format!("users/{user}/events"),
            kind: ResourceKind::Event,
            change_types: "created,updated,deleted".parse()?,
            state: SubscriptionState::Active,
            client_state: Secret::new(filling.uuid().to_string()),
            graph_id: Some(graph_id.to_string()),
            expires_at: Some(later),
            due_at: later,
            failures: 0,
            last_error: None,
            created_at: filling.now,
            renewed_at: Some(filling.now),
            deliver_existing: false,
            lifecycle: None,
            patched_at: None,
            notification_url: None,
            lifecycle_url: None,
            former: None,
        };
        let filling = Arc::clone(&filling);
        waiting.spawn(async move {
            filling
                .store
                .create_subscription(subscription, Shard::FIRST)
                .await
        });
        if waiting.len() >= 512 {
            waiting.join_next().await.transpose()?.transpose()?;
        }
    }
    while let Some(made) = waiting.join_next().await {
        made??;
    }
    Ok(())
}

/// Adds accepted notifications, each with a dedup key of its own.
async fn record(filling: Arc<Filling>, count: u64) -> anyhow::Result<()> {
    let connection = &filling.connection;
    let item = Bytes::from(vec![b'x'; 730]);
    let user = filling.uuid();
    let mut left = count;
    while left > 0 {
        let rows = left.min(SLICE);
        left -= rows;
        let mut slice = Vec::new();
        for _ in 0..rows {
            let mut key = [0; 16];
            filling.entropy.fill(&mut key);
            let notification = Notification {
                id: filling.ids.next(),
                environment: connection.environment,
                integration: connection.integration,
                origin: Origin::Notification,
                received_at: filling.now,
                verdict: Verdict::Accepted,
                connection: Some(connection.id),
                subscription: None,
                graph_subscription_id: Some(user.to_string()),
                tenant_id: Some(connection.tenant_id),
                change_type: Some(ChangeType::Deleted),
                lifecycle_event: None,
                resource: format!("users/{user}/events/{}", filling.uuid().simple()),
                etag: Some("W/\"CQAAABYAAADkrWGo7bouTKlsgTZMr9KwAAAUWRHf\"".to_owned()),
                item: item.clone(),
            };
            slice.push(NewNotification {
                notification,
                dedup_key: Some(DedupKey(key)),
                client_state_hash: None,
                due_at: filling.now,
                shard: Shard::FIRST,
            });
        }
        filling.store.record_notifications(slice).await?;
    }
    Ok(())
}

impl Filling {
    fn uuid(&self) -> uuid::Uuid {
        let mut bytes = [0; 16];
        self.entropy.fill(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }
}
