//! How fast the store writes: `cargo run --release -p tidings-storage --example writer [-- FOLDER]`.
//!
//! 64 callers, each waiting for its answer before it goes on, as behind a server. First ingest alone, one notification
//! with a dedup key per operation; then whole cycles: recorded, finished into an event with one delivery, attempted.
//! The figures of a shared machine swing by a factor of two: compare within one run.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tidings_domain::{
    Clock as _, Ids, Secret,
    clock::SystemClock,
    config,
    delivery::{Attempt, AttemptOutcome},
    entropy::SystemEntropy,
    environment::Environment,
    event::{Event, ObjectState},
    ids::{ConnectionId, EnvironmentId, IntegrationId, WebhookId},
    notification::{Notification, Origin, Verdict},
    resource::ChangeType,
    shard::Shard,
    trigger::Trigger,
    webhook::{Webhook, WebhookState, WebhookUrl},
};
use tidings_storage::{
    ConfiguredStore as _, Lease, Store,
    record::{
        AfterAttempt, AttemptResult, DedupKey, HealthChange, NewDelivery, NewEvent,
        NewNotification, Seq,
    },
    sqlite::{SqliteOptions, SqliteStore},
};
use tokio::{sync::mpsc, task::JoinSet};

const CALLERS: usize = 64;
const SPAN: Duration = Duration::from_secs(5);

struct Bench {
    store: SqliteStore,
    clock: Arc<SystemClock>,
    ids: Ids,
    environment: EnvironmentId,
    integration: IntegrationId,
    connection: ConnectionId,
    webhook: WebhookId,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let temporary = tempfile::tempdir()?;
    let folder = std::env::args_os()
        .nth(1)
        .map_or_else(|| temporary.path().to_owned(), Into::into);
    for round in 1..=3 {
        let ingest = Arc::new(Bench::open(&folder.join(format!("ingest-{round}"))).await?);
        run("ingest only", &ingest, |bench| async move {
            bench.record().await;
        })
        .await;
        ingest.store.close().await;

        let cycles = Arc::new(Bench::open(&folder.join(format!("cycles-{round}"))).await?);
        whole_cycles(&cycles).await;
        cycles.store.close().await;
    }
    Ok(())
}

/// Keeps all callers busy, and says how often they came round.
async fn run<F>(
    what: &str,
    bench: &Arc<Bench>,
    work: impl Fn(Arc<Bench>) -> F + Copy + Send + 'static,
) where
    F: Future<Output = ()> + Send,
{
    let (start, cpu) = (bench.clock.monotonic(), cpu_seconds());
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let bench = Arc::clone(bench);
        callers.spawn(async move {
            let mut waits = Vec::new();
            while bench.clock.monotonic() < start + SPAN {
                let begun = bench.clock.monotonic();
                work(Arc::clone(&bench)).await;
                waits.push(bench.since(begun));
            }
            waits
        });
    }
    let waits = callers.join_all().await.concat();
    report(what, waits, bench.since(start), cpu_seconds() - cpu);
}

/// As the gateway does it: ingest goes on, while others take what is queued and finish it.
async fn whole_cycles(bench: &Arc<Bench>) {
    let (start, cpu) = (bench.clock.monotonic(), cpu_seconds());
    let (queue, queued) = mpsc::channel::<Seq>(CALLERS);
    let queued = Arc::new(tokio::sync::Mutex::new(queued));
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (bench, queued) = (Arc::clone(bench), Arc::clone(&queued));
        callers.spawn(async move {
            let mut waits = Vec::new();
            loop {
                let Some(seq) = queued.lock().await.recv().await else {
                    return waits;
                };
                let begun = bench.clock.monotonic();
                bench.finish(seq).await;
                waits.push(bench.since(begun));
            }
        });
    }
    let mut recorders = JoinSet::new();
    for _ in 0..CALLERS {
        let bench = Arc::clone(bench);
        recorders.spawn(async move {
            while bench.clock.monotonic() < start + SPAN {
                bench.record().await;
            }
        });
    }
    // Reads the queue as enrich does, and hands it out; stops when all that was recorded is.
    let reader = Arc::clone(bench);
    let mut hands = JoinSet::new();
    hands.spawn(async move {
        let mut after = Seq::default();
        loop {
            let found = reader.store.queued_notifications(after, 512).await;
            let found = found.expect("the queue is readable");
            let ended = reader.clock.monotonic() > start + SPAN;
            if found.is_empty() {
                if ended {
                    return;
                }
                reader.clock.sleep(Duration::from_millis(1)).await;
            }
            for one in found {
                after = one.seq;
                if queue.send(one.seq).await.is_err() {
                    return;
                }
            }
        }
    });
    recorders.join_all().await;
    hands.join_all().await;
    let waits = callers.join_all().await.concat();
    report(
        "whole cycles",
        waits,
        bench.since(start),
        cpu_seconds() - cpu,
    );
}

fn report(what: &str, mut waits: Vec<Duration>, took: Duration, cpu: f64) {
    waits.sort();
    let at = |share: usize| waits[(waits.len() - 1) * share / 1_000].as_secs_f64() * 1_000.0;
    let count = u32::try_from(waits.len()).unwrap_or(u32::MAX);
    println!(
        "{what:12} {:>7.0}/s   p50 {:>6.2} ms   p99 {:>6.2} ms   p99.9 {:>7.2} ms   {:>5.1} us CPU each",
        f64::from(count) / took.as_secs_f64(),
        at(500),
        at(990),
        at(999),
        cpu * 1e6 / f64::from(count),
    );
}

/// Processor time of this process, from the system's own count (in hundredths of a second).
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks = stat.rsplit(')').next().unwrap_or_default();
    let ticks = ticks.split_whitespace().skip(11).take(2);
    ticks
        .filter_map(|ticks| ticks.parse::<f64>().ok())
        .sum::<f64>()
        / 100.0
}

impl Bench {
    async fn open(folder: &std::path::Path) -> Result<Self, Box<dyn std::error::Error>> {
        let config = config::load(None, [], Vec::new())?;
        let mut store = config.store;
        folder.clone_into(&mut store.data_dir);
        let clock = Arc::new(SystemClock::new());
        let entropy = Arc::new(SystemEntropy);
        let ids = Ids::new(Arc::clone(&clock) as _, Arc::clone(&entropy) as _);
        let store = SqliteStore::open(SqliteOptions {
            store,
            ingest: config.ingest,
            clock: Arc::clone(&clock) as _,
            entropy,
        })
        .await?;
        let bench = Self {
            environment: ids.environment(),
            integration: ids.next(),
            connection: ids.next(),
            webhook: ids.next(),
            store,
            clock,
            ids,
        };
        let environment = Environment {
            id: bench.environment,
            name: "bench".to_owned(),
            created_at: bench.clock.now(),
        };
        bench.store.create_environment(environment).await?;
        let webhook = Webhook {
            id: bench.webhook,
            environment: bench.environment,
            url: WebhookUrl::parse("https://app.example/hook")?,
            description: String::new(),
            triggers: vec![Trigger::parse("message.created")?],
            connections: Vec::new(),
            secret: Secret::new("whsec_c2VjcmV0"),
            state: WebhookState::Active,
            failing_since: None,
            created_at: bench.clock.now(),
        };
        bench.store.create_webhook(webhook).await?;
        Ok(bench)
    }

    fn since(&self, begun: Duration) -> Duration {
        self.clock.monotonic().saturating_sub(begun)
    }

    async fn record(&self) {
        let id: tidings_domain::ids::NotificationId = self.ids.next();
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, id.to_string().as_bytes());
        let mut key = [0; 16];
        key.copy_from_slice(&hash.as_ref()[..16]);
        let new = NewNotification {
            notification: Notification {
                id,
                environment: self.environment,
                integration: self.integration,
                origin: Origin::Notification,
                received_at: self.clock.now(),
                verdict: Verdict::Accepted,
                connection: Some(self.connection),
                subscription: Some(self.ids.next()),
                graph_subscription_id: Some("7f105c7d-2dc5-4530-97cd-4e7ae6534c07".to_owned()),
                tenant_id: Some(uuid::Uuid::from_u128(7)),
                change_type: Some(ChangeType::Created),
                lifecycle_event: None,
                resource: "users/87d349ed-44d7-43e1-9a83-5f2406dee5bd/messages/AAMkAGUwNjQ4ZjIxLTQ3Y2YtNDViMi".to_owned(),
                etag: Some("W/\"CQAAABYAAADkrWGo7bouTKlsgTZMr9KwAAAUWRHf\"".to_owned()),
                item: Bytes::from_static(&[b'x'; 850]),
            },
            dedup_key: Some(DedupKey(key)),
            client_state_hash: None,
            due_at: self.clock.now(),
            shard: Shard::FIRST,
        };
        let recorded = self.store.record_notifications(vec![new]).await;
        assert_eq!(recorded.ok().as_deref(), Some(&[Verdict::Accepted][..]));
    }

    async fn finish(&self, seq: Seq) {
        let now = self.clock.now();
        let delivery = NewDelivery {
            id: self.ids.next(),
            webhook: self.webhook,
        };
        let event = Event {
            id: self.ids.next(),
            environment: self.environment,
            connection: self.connection,
            subscription: Some(self.ids.next()),
            notification: Some(self.ids.next()),
            trigger: Trigger::Change {
                kind: tidings_domain::resource::ResourceKind::Message,
                change: ChangeType::Created,
            },
            subject:
                "users/87d349ed-44d7-43e1-9a83-5f2406dee5bd/messages/AAMkAGUwNjQ4ZjIxLTQ3Y2YtNDViMi"
                    .to_owned(),
            object_state: ObjectState::Deleted,
            created_at: now,
            body: Bytes::from_static(&[b'y'; 800]),
        };
        let events = vec![NewEvent {
            event,
            deliveries: vec![delivery],
        }];
        let finished = self
            .store
            .finish_notification(seq, Lease::of_the_only_node(), events.into())
            .await;
        assert!(finished.is_ok_and(|finished| finished));
        let result = AttemptResult {
            delivery: delivery.id,
            webhook: self.webhook,
            lease: Lease::of_the_only_node(),
            attempt: Attempt {
                id: self.ids.next(),
                number: 1,
                started_at: now,
                took: Duration::from_millis(2),
                outcome: AttemptOutcome::Success,
                status: Some(200),
                error: None,
                answer: Bytes::new(),
            },
            next: AfterAttempt::Delivered,
            health: HealthChange::None,
        };
        let recorded = self.store.record_attempt(result).await;
        assert!(recorded.is_ok());
    }
}
