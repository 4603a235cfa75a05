//! A notification endpoint on a raw socket: it keeps every byte that comes and answers as it is told.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

/// One request, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    /// Request line and headers, with the blank line.
    pub(crate) head: String,
    /// The body.
    pub(crate) body: Vec<u8>,
}

/// What a request is answered.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// Whatever is right: the handshake's token, else 202.
    Right,
    /// These bytes.
    Bytes(String),
    /// Nothing, ever.
    Silence,
    /// This status, without a body.
    Status(u16),
}

/// A notification endpoint.
pub(crate) struct Receiver {
    pub(crate) url: String,
    shared: Arc<Shared>,
    _serving: JoinSet<()>,
}

struct Shared {
    reply: Mutex<Reply>,
    received: watch::Sender<Vec<Received>>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            reply: Mutex::new(Reply::Right),
            received: watch::Sender::new(Vec::new()),
        });
        let mut serving = JoinSet::new();
        let all = Arc::clone(&shared);
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(connection(stream, Arc::clone(&all)));
            }
        });
        Self {
            url,
            shared,
            _serving: serving,
        }
    }

    /// Answers every further request so.
    pub(crate) fn reply(&self, reply: Reply) {
        *self.shared.reply.lock().unwrap() = reply;
    }

    /// All requests, once there are `count`.
    pub(crate) async fn received(&self, count: usize) -> Vec<Received> {
        let mut news = self.shared.received.subscribe();
        let all = news.wait_for(|all| all.len() >= count).await.unwrap();
        all.clone()
    }

    /// All items of notifications, once there are `count`, in the order in which they came.
    pub(crate) async fn items(&self, count: usize) -> Vec<Value> {
        let mut news = self.shared.received.subscribe();
        let all = news
            .wait_for(|all| items(all).len() >= count)
            .await
            .unwrap();
        items(&all)
    }

    /// How many requests have come.
    pub(crate) fn count(&self) -> usize {
        self.shared.received.borrow().len()
    }

    /// Forgets what has come.
    pub(crate) fn forget(&self) {
        self.shared.received.send_modify(Vec::clear);
    }
}

fn items(all: &[Received]) -> Vec<Value> {
    all.iter()
        .filter(|one| !one.body.is_empty())
        .flat_map(|one| one.json()["value"].as_array().unwrap().clone())
        .collect()
}

impl Received {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Method and target.
    pub(crate) fn target(&self) -> (&str, &str) {
        let mut words = self.head.split(' ');
        (words.next().unwrap(), words.next().unwrap())
    }

    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .find(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }

    /// The decoded token of a handshake.
    pub(crate) fn token(&self) -> Option<String> {
        let (_, query) = self.target().1.split_once('?')?;
        url::form_urlencoded::parse(query.as_bytes())
            .find(|(name, _)| name == "validationToken")
            .map(|(_, token)| token.into_owned())
    }
}

async fn connection(mut stream: TcpStream, shared: Arc<Shared>) {
    while let Some(received) = read(&mut stream).await {
        let token = received.token();
        shared.received.send_modify(|all| all.push(received));
        let reply = shared.reply.lock().unwrap().clone();
        let bytes = match (reply, token) {
            (Reply::Bytes(bytes), _) => bytes,
            (Reply::Right, Some(token)) => format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\n\r\n{token}",
                token.len()
            ),
            (Reply::Right, None) => "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n".to_owned(),
            (Reply::Status(status), _) => {
                format!("HTTP/1.1 {status} Any\r\ncontent-length: 0\r\n\r\n")
            }
            (Reply::Silence, _) => std::future::pending().await,
        };
        if stream.write_all(bytes.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<Received> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut received = Received {
        head,
        body: bytes[end..].to_vec(),
    };
    let length: usize = received
        .header("content-length")
        .map_or(0, |length| length.parse().unwrap());
    while received.body.len() < length {
        if stream.read_buf(&mut received.body).await.ok()? == 0 {
            return None;
        }
    }
    Some(received)
}
