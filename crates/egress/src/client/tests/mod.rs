//! The client against real sockets.

use std::{
    future::Future,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use tidings_domain::{
    Timestamp,
    clock::{ManualClock, SystemClock},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
};

use super::*;
use crate::resolver::Resolving;

mod addresses;
mod exchange;
mod tls;

/// A raw TCP server on loopback: each connection is handed to `serve`.
struct Peer {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    tasks: JoinSet<()>,
}

type Serving = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Peer {
    async fn start(serve: impl Fn(TcpStream) -> Serving + Send + 'static) -> Self {
        Self::start_at("127.0.0.1", serve).await
    }

    async fn start_at(host: &str, serve: impl Fn(TcpStream) -> Serving + Send + 'static) -> Self {
        let listener = TcpListener::bind((host, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&accepted);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counter.fetch_add(1, Ordering::SeqCst);
                connections.spawn(serve(stream));
            }
        });
        Self {
            address,
            accepted,
            tasks,
        }
    }

    /// A server that answers every request of a connection with these bytes.
    async fn answering(answer: &'static [u8]) -> Self {
        Self::start(move |mut stream| {
            Box::pin(async move {
                while read_request(&mut stream).await.is_some() {
                    if stream.write_all(answer).await.is_err() {
                        return;
                    }
                }
            })
        })
        .await
    }

    fn url(&self, path: &str) -> Url {
        Url::parse(&format!("http://{}{path}", self.address)).unwrap()
    }

    fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.tasks.abort_all();
    }
}

/// Reads a request with a `content-length` body; `None` at the end of the connection.
async fn read_request(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut request = Vec::new();
    loop {
        if let Some(head) = request.windows(4).position(|window| window == b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&request[..head]).to_lowercase();
            let length = text
                .split("content-length: ")
                .nth(1)
                .and_then(|rest| rest.split("\r\n").next())
                .map_or(0, |length| length.parse().unwrap());
            if request.len() >= head + 4 + length {
                return Some(request);
            }
        }
        let mut buffer = [0; 4_096];
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(read) => request.extend_from_slice(&buffer[..read]),
        }
    }
}

fn post(url: Url) -> Request {
    Request {
        method: Method::POST,
        url,
        headers: HeaderMap::new(),
        body: Bytes::from_static(b"{\"n\":1}"),
        deadline: Duration::from_secs(15),
        answer_cap: 16 * 1_024,
        on_cap: OnCap::Cut,
    }
}

fn loopback() -> AddressPolicy {
    AddressPolicy::new(vec![
        "127.0.0.0/8".parse().unwrap(),
        "::1/128".parse().unwrap(),
    ])
}

/// An egress that may reach loopback, on the system's clock.
fn open_egress() -> Egress {
    Egress::new(loopback(), Arc::new(SystemClock::new())).unwrap()
}

/// The same on a clock that stands still.
fn open_egress_by_hand() -> (Egress, ManualClock) {
    let clock = ManualClock::new(Timestamp::from_millis(0));
    let egress = Egress::new(loopback(), Arc::new(clock.clone())).unwrap();
    (egress, clock)
}

/// Sends beside the test.
fn send(egress: &Egress, request: Request) -> JoinSet<Result<Answer, EgressError>> {
    let mut sending = JoinSet::new();
    let egress = egress.clone();
    sending.spawn(async move { egress.send(request).await });
    sending
}

async fn outcome(mut sending: JoinSet<Result<Answer, EgressError>>) -> Result<Answer, EgressError> {
    sending.join_next().await.unwrap().unwrap()
}

/// A resolver that gives the next of its answers each time.
struct Scripted(Mutex<Vec<Vec<IpAddr>>>);

fn scripted(answers: &[&[&str]]) -> Arc<dyn Resolve> {
    let parse = |ips: &&[&str]| ips.iter().map(|ip| ip.parse().unwrap()).collect();
    let answers = answers.iter().rev().map(parse).collect();
    Arc::new(Scripted(Mutex::new(answers)))
}

impl Resolve for Scripted {
    fn resolve<'a>(&'a self, _: &'a str) -> Resolving<'a> {
        let answer = self.0.lock().unwrap().pop().unwrap_or_default();
        Box::pin(std::future::ready(Ok(answer)))
    }
}
