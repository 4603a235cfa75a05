//! The load generator: closed loop (as fast as answers come) and open loop (at a rate, whatever comes).

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tidings_domain::{Clock, clock::SystemClock};
use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinSet};

use crate::{
    bodies::{self, Subject},
    http1::Connection,
    quantiles::Latencies,
};

/// What to send, and where.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// The connections are spread over these.
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) path: String,
    pub(crate) subject: Subject,
    /// Notifications in each POST.
    pub(crate) size: u64,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Load {
    /// Answers 202, each with its latency.
    pub(crate) accepted: Latencies,
    /// Other answers.
    pub(crate) refused: u64,
    /// How long it took.
    pub(crate) took: Duration,
}

impl Load {
    /// Answers 202 per second.
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of requests stay far below 2^52"
    )]
    pub(crate) fn per_second(&self) -> f64 {
        self.accepted.count() as f64 / self.took.as_secs_f64()
    }
}

/// Numbers of notifications: unique over the whole run, so that none is a duplicate.
#[derive(Clone, Debug, Default)]
pub(crate) struct Numbers(Arc<AtomicU64>);

impl Numbers {
    pub(crate) fn take(&self, count: u64) -> u64 {
        self.0.fetch_add(count, Ordering::Relaxed)
    }

    pub(crate) fn so_far(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Sends over `connections` for `span`, each next request when the answer to the last has come.
pub(crate) async fn closed(
    clock: &Arc<SystemClock>,
    target: &Target,
    numbers: &Numbers,
    connections: usize,
    span: Duration,
) -> anyhow::Result<Load> {
    let started = clock.monotonic();
    let mut tasks = JoinSet::new();
    for connection in 0..connections {
        let (clock, target, numbers) = (Arc::clone(clock), target.clone(), numbers.clone());
        let address = target.addresses[connection % target.addresses.len()];
        tasks.spawn(async move {
            let mut load = Load::default();
            let mut connection = Connection::new(TcpStream::connect(address).await?)?;
            while clock.monotonic() < started + span {
                let request = bodies::request(
                    &target.path,
                    &target.subject,
                    numbers.take(target.size),
                    target.size,
                );
                let sent = clock.monotonic();
                exchange(&mut connection, &request, &mut load, || {
                    clock.monotonic().saturating_sub(sent)
                })
                .await?;
            }
            anyhow::Ok(load)
        });
    }
    gather(tasks, clock, started).await
}

/// Sends `per_second` for `span`; a latency counts from the moment at which its request was due, so that a stall of the
/// server is seen in every request that it made late.
pub(crate) async fn open(
    clock: &Arc<SystemClock>,
    target: &Target,
    numbers: &Numbers,
    connections: usize,
    span: Duration,
    per_second: f64,
) -> anyhow::Result<Load> {
    let started = clock.monotonic();
    let turns = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for connection in 0..connections {
        let (clock, target, numbers, turns) = (
            Arc::clone(clock),
            target.clone(),
            numbers.clone(),
            Arc::clone(&turns),
        );
        let address = target.addresses[connection % target.addresses.len()];
        tasks.spawn(async move {
            let mut load = Load::default();
            let mut connection = Connection::new(TcpStream::connect(address).await?)?;
            loop {
                let turn = turns.fetch_add(1, Ordering::Relaxed);
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "counts of requests stay far below 2^52"
                )]
                let due = started + Duration::try_from_secs_f64(turn as f64 / per_second)?;
                if due >= started + span {
                    return anyhow::Ok(load);
                }
                let request = bodies::request(
                    &target.path,
                    &target.subject,
                    numbers.take(target.size),
                    target.size,
                );
                let wait = due.saturating_sub(clock.monotonic());
                if !wait.is_zero() {
                    clock.sleep(wait).await;
                }
                exchange(&mut connection, &request, &mut load, || {
                    clock.monotonic().saturating_sub(due)
                })
                .await?;
            }
        });
    }
    gather(tasks, clock, started).await
}

async fn exchange(
    connection: &mut Connection,
    request: &[u8],
    load: &mut Load,
    latency: impl Fn() -> Duration + Send,
) -> anyhow::Result<()> {
    connection.stream.write_all(request).await?;
    let Some(answer) = connection.read().await? else {
        anyhow::bail!("the server closed a connection")
    };
    if connection.status(&answer) == 202 {
        load.accepted.record(latency());
    } else {
        load.refused += 1;
    }
    connection.consume(&answer);
    Ok(())
}

async fn gather(
    mut tasks: JoinSet<anyhow::Result<Load>>,
    clock: &Arc<SystemClock>,
    started: Duration,
) -> anyhow::Result<Load> {
    let mut all = Load::default();
    while let Some(one) = tasks.join_next().await {
        let one = one??;
        all.accepted.merge(one.accepted);
        all.refused += one.refused;
    }
    all.took = clock.monotonic().saturating_sub(started);
    Ok(all)
}
