//! Posts at full speed over keep-alive connections, and logs every id and every 202.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::JoinSet};
use url::Url;

use crate::{
    collection::{Subscribed, collection},
    wait,
};

/// Between two tries to connect to a server that is not there.
const RECONNECT: Duration = Duration::from_millis(10);

/// After so long Graph gives an answer up.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was sent and what was answered so far.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// Items of which a 202 was read.
    pub acknowledged: BTreeSet<String>,
    /// Answers by status; 0 counts those that never came.
    pub statuses: Vec<(u16, u64)>,
    /// The slowest answer.
    pub slowest: Duration,
}

#[derive(Debug)]
struct Shared {
    address: SocketAddr,
    url: Url,
    subscribed: Vec<Subscribed>,
    per_post: u64,
    pace: Duration,
    next: AtomicU64,
    stop: AtomicBool,
    log: Mutex<Log>,
}

/// A generator that posts until it is stopped. It outlives the server's restarts.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    connections: JoinSet<()>,
}

impl Load {
    /// Starts `connections` of them, each with `per_post` deletions in a POST to `notification_url`.
    pub fn start(
        notification_url: &Url,
        subscribed: &Subscribed,
        connections: usize,
        per_post: u64,
    ) -> Self {
        Self::paced(
            notification_url,
            std::slice::from_ref(subscribed),
            connections,
            per_post,
            Duration::ZERO,
        )
    }

    /// The same, for one subscription after the other, each connection with a pause of `pace` after each answer.
    pub fn paced(
        notification_url: &Url,
        subscribed: &[Subscribed],
        connections: usize,
        per_post: u64,
        pace: Duration,
    ) -> Self {
        let address = notification_url
            .socket_addrs(|| None)
            .expect("a notification URL with an address")[0];
        let shared = Arc::new(Shared {
            address,
            url: notification_url.clone(),
            subscribed: subscribed.to_vec(),
            per_post,
            pace,
            next: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            log: Mutex::default(),
        });
        let mut tasks = JoinSet::new();
        for _ in 0..connections {
            tasks.spawn(run(Arc::clone(&shared)));
        }
        Self {
            shared,
            connections: tasks,
        }
    }

    /// How many items have been acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        self.shared.log().acknowledged.len()
    }

    /// Waits until `more` items are acknowledged than now.
    pub async fn acknowledges(&self, more: usize) {
        let goal = self.acknowledged() + more;
        let what = format!("{goal} acknowledged items");
        wait::until(&what, || async {
            (self.acknowledged() >= goal).then_some(())
        })
        .await;
    }

    /// The slowest answer since this was last asked, or since the beginning; one that never came counts as ten seconds.
    pub fn take_slowest(&self) -> Duration {
        std::mem::take(&mut self.shared.log().slowest)
    }

    /// How many answers with this status there were so far.
    pub fn answers(&self, status: u16) -> u64 {
        let log = self.shared.log();
        let found = log.statuses.iter().find(|(own, _)| *own == status);
        found.map_or(0, |(_, count)| *count)
    }

    /// Waits until there are `more` answers with this status than now.
    pub async fn is_answered(&self, status: u16, more: u64) {
        let goal = self.answers(status) + more;
        let what = format!("{goal} answers {status}");
        wait::until(&what, || async {
            (self.answers(status) >= goal).then_some(())
        })
        .await;
    }

    /// Ends each connection after its answer; gives the log.
    pub async fn stop(mut self) -> Log {
        self.shared.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = wait::soon("the generator", self.connections.join_next()).await {
            ended.expect("the generator does not panic");
        }
        self.shared.log().clone()
    }
}

impl Shared {
    fn log(&self) -> std::sync::MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answered(&self, status: u16, items: Vec<String>, took: Duration) {
        let mut log = self.log();
        log.slowest = log.slowest.max(took);
        match log.statuses.iter_mut().find(|(own, _)| *own == status) {
            Some((_, count)) => *count += 1,
            None => log.statuses.push((status, 1)),
        }
        if status == 202 {
            log.acknowledged.extend(items);
        }
    }
}

async fn run(shared: Arc<Shared>) {
    while !shared.stop.load(Ordering::Relaxed) {
        let Ok(stream) = TcpStream::connect(shared.address).await else {
            wait::pass(RECONNECT).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let Ok((sender, connection)) = http1::handshake(TokioIo::new(stream)).await else {
            continue;
        };
        // Either ends the other: without its connection a sender fails, and a dropped sender ends its connection.
        let (_, ()) = tokio::join!(connection, post_on(&shared, sender));
    }
}

async fn post_on(shared: &Shared, mut sender: SendRequest<Full<Bytes>>) {
    while !shared.stop.load(Ordering::Relaxed) {
        let first = shared.next.fetch_add(shared.per_post, Ordering::Relaxed);
        let items: Vec<String> = (first..first + shared.per_post)
            .map(|number| format!("item-{number:08}"))
            .collect();
        let turn = usize::try_from(first / shared.per_post).expect("below 2^64");
        let subscribed = &shared.subscribed[turn % shared.subscribed.len()];
        let body = collection(items.iter().map(|item| subscribed.deleted(item)));
        let request = Request::post(shared.url.path())
            .header("host", shared.address.to_string())
            .header("content-type", "application/json")
            .body(Full::from(body))
            .expect("a request");
        let started = wait::now();
        let status = wait::at_most(PATIENCE, status_of(&mut sender, request)).await;
        let status = status.ok().flatten().unwrap_or(0);
        shared.answered(status, items, wait::now().saturating_sub(started));
        if status == 0 || sender.ready().await.is_err() {
            return;
        }
        if !shared.pace.is_zero() {
            wait::pass(shared.pace).await;
        }
    }
}

/// The status of the answer, once all of it is there.
async fn status_of(
    sender: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Option<u16> {
    let answer = sender.send_request(request).await.ok()?;
    let status = answer.status().as_u16();
    answer.into_body().collect().await.ok()?;
    Some(status)
}
