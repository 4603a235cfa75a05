//! An app's receiver: records every request, and answers as badly as a test wants.
//!
//! It speaks HTTP by hand, since no server library lets a test answer half a head.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};
use url::Url;

use crate::wait;

mod answer;

pub use answer::Answer;

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Path and query.
    pub path: String,
    /// Its headers, names in lower case, in their order.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Bytes,
    /// When it had been read, by [`wait::now`].
    pub at: Duration,
    /// Which connection it came on.
    pub connection: u64,
}

impl Delivery {
    /// A request that never travelled.
    pub fn made(headers: &[(&str, &str)], body: &[u8]) -> Self {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self {
            path: "/".to_owned(),
            headers: headers.iter().map(own).collect(),
            body: Bytes::copy_from_slice(body),
            at: Duration::ZERO,
            connection: 0,
        }
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_str())
    }

    /// A header's value, or that it is missing.
    pub(crate) fn required(&self, name: &str) -> Result<&str, String> {
        self.header(name)
            .ok_or_else(|| format!("there is no {name}"))
    }

    /// The event's id.
    pub fn id(&self) -> &str {
        self.header("webhook-id")
            .expect("a delivery has a webhook-id")
    }

    /// Which attempt it says it is.
    pub fn attempt(&self) -> u32 {
        let number = self.header("x-tidings-attempt");
        let number = number.expect("a delivery has x-tidings-attempt");
        number.parse().expect("x-tidings-attempt is a number")
    }

    /// The event.
    pub fn event(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a delivery's body is JSON")
    }

    /// The last part of the event's subject: the changed item.
    pub fn item(&self) -> String {
        let event = self.event();
        let subject = event["subject"].as_str().expect("an event has a subject");
        let item = subject.rsplit('/').next();
        item.expect("a subject has parts").to_owned()
    }
}

type Script = dyn Fn(&Delivery) -> Answer + Send + Sync;

struct State {
    deliveries: Mutex<Vec<Arc<Delivery>>>,
    count: watch::Sender<usize>,
    script: Mutex<Arc<Script>>,
}

/// A receiver that listens on a port of its own.
pub struct Receiver {
    address: SocketAddr,
    state: Arc<State>,
    serving: Option<JoinSet<()>>,
    seen: usize,
}

impl Receiver {
    /// One that answers 200 at once.
    pub async fn start() -> Self {
        Self::answering(|_| Answer::status(200)).await
    }

    /// One that answers as `script` says.
    pub async fn answering(script: impl Fn(&Delivery) -> Answer + Send + Sync + 'static) -> Self {
        let state = Arc::new(State {
            deliveries: Mutex::default(),
            count: watch::Sender::new(0),
            script: Mutex::new(Arc::new(script)),
        });
        // Of the same range as a gateway's, since a receiver can come back at its address too.
        let port = crate::gateway::free_port();
        let mut receiver = Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            state,
            serving: None,
            seen: 0,
        };
        receiver.up().await;
        receiver
    }

    /// From now on answers as `script` says.
    pub fn answer(&self, script: impl Fn(&Delivery) -> Answer + Send + Sync + 'static) {
        *lock(&self.state.script) = Arc::new(script);
    }

    /// Stops listening and breaks every connection.
    pub async fn down(&mut self) {
        if let Some(mut serving) = self.serving.take() {
            serving.shutdown().await;
        }
    }

    /// Listens again, at the same address.
    pub async fn up(&mut self) {
        let listener = TcpListener::bind(self.address).await;
        let listener = listener.expect("the receiver's port is free");
        let mut serving = JoinSet::new();
        serving.spawn(accept(listener, Arc::clone(&self.state)));
        self.serving = Some(serving);
    }

    /// A URL for a webhook.
    pub fn url(&self) -> Url {
        let url = format!("http://{}/hook", self.address);
        url.parse().expect("an address is a URL")
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Everything that has arrived so far.
    pub fn deliveries(&self) -> Vec<Arc<Delivery>> {
        self.since(0)
    }

    /// What has arrived after the first `n`.
    pub fn since(&self, n: usize) -> Vec<Arc<Delivery>> {
        lock(&self.state.deliveries)[n..].to_vec()
    }

    /// How many have arrived so far.
    pub fn count(&self) -> usize {
        *self.state.count.borrow()
    }

    /// The next one, in the order of arrival.
    pub async fn next(&mut self) -> Arc<Delivery> {
        let place = self.seen;
        self.seen = place + 1;
        self.wait_for(place + 1).await.swap_remove(place)
    }

    /// Waits until at least `n` have arrived; gives all.
    pub async fn wait_for(&self, n: usize) -> Vec<Arc<Delivery>> {
        let mut count = self.state.count.subscribe();
        let enough = count.wait_for(|count| *count >= n);
        let what = format!("{n} deliveries ({} so far)", self.count());
        let arrived = wait::soon(&what, enough).await;
        drop(arrived.expect("the receiver lives"));
        self.deliveries()
    }

    /// Whether at least `n` have arrived, or do within `span`.
    pub async fn gets(&self, n: usize, span: Duration) -> bool {
        let mut count = self.state.count.subscribe();
        let enough = count.wait_for(|count| *count >= n);
        wait::at_most(span, enough).await.is_ok()
    }

    /// Waits until `enough` of what has arrived; gives all.
    pub async fn wait_until(
        &self,
        what: &str,
        enough: impl Fn(&[Arc<Delivery>]) -> bool + Send + Sync,
    ) -> Vec<Arc<Delivery>> {
        let mut count = self.state.count.subscribe();
        wait::soon(what, async {
            loop {
                count.borrow_and_update();
                let deliveries = self.deliveries();
                if enough(&deliveries) {
                    return deliveries;
                }
                count.changed().await.expect("the receiver lives");
            }
        })
        .await
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    let mut number = 0;
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        number += 1;
        connections.spawn(serve(stream, number, Arc::clone(&state)));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, connection: u64, state: Arc<State>) {
    // Both sides wait for each other's acknowledgements otherwise.
    let _ = stream.set_nodelay(true);
    let mut stream = BufReader::new(stream);
    while let Some(delivery) = read(&mut stream, connection).await {
        let script = Arc::clone(&lock(&state.script));
        let answer = script(&delivery);
        lock(&state.deliveries).push(Arc::new(delivery));
        state.count.send_modify(|count| *count += 1);
        if !answer.give(stream.get_mut()).await {
            return;
        }
    }
}

/// Reads one request; `None` at the connection's end.
async fn read(stream: &mut BufReader<TcpStream>, connection: u64) -> Option<Delivery> {
    let start = line(stream).await?;
    let path = start.split(' ').nth(1)?.to_owned();
    let mut headers = Vec::new();
    loop {
        let header = line(stream).await?;
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':')?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length: usize = length.map_or(Some(0), |(_, value)| value.parse().ok())?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Delivery {
        path,
        headers,
        body: body.into(),
        at: wait::now(),
        connection,
    })
}

async fn line(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    match stream.read_line(&mut line).await {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(line.trim_end().to_owned()),
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
