//! A raw TCP receiver of deliveries that can be as bad as any.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
    task::JoinSet,
};

/// What it does about a request.
pub(super) enum Reply {
    /// Writes these bytes and reads the next request.
    Answer(Vec<u8>),
    /// Writes these bytes, over and over.
    Endless(Vec<u8>, Vec<u8>),
    /// Writes these bytes and is silent from then on.
    Hang(Vec<u8>),
    /// Writes these bytes and resets the connection.
    Reset(Vec<u8>),
    /// Answers once the test says so.
    WhenTold(Vec<u8>),
}

/// A plain success.
pub(super) fn ok() -> Reply {
    Reply::Answer(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec())
}

/// A request as it came.
pub(super) struct Delivered {
    pub(super) line: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

pub(super) struct Receiver {
    address: SocketAddr,
    came: mpsc::UnboundedReceiver<Delivered>,
    closed: mpsc::UnboundedReceiver<()>,
    requests: Arc<AtomicUsize>,
    told: Arc<Semaphore>,
    serving: JoinSet<()>,
}

impl Receiver {
    pub(super) async fn answering(answer: &'static [u8]) -> Self {
        Self::start(|_| Reply::Answer(answer.to_vec())).await
    }

    /// `script` says what to do about each request, by its number, from 1.
    pub(super) async fn start(script: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::serve(listener, script)
    }

    pub(super) fn serve(
        listener: TcpListener,
        script: impl Fn(usize) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        let ((tell, came), (close, closed)) =
            (mpsc::unbounded_channel(), mpsc::unbounded_channel());
        let shared = Arc::new(Shared {
            script: Box::new(script),
            tell,
            close,
            requests: Arc::default(),
            told: Arc::new(Semaphore::new(0)),
        });
        let (requests, told) = (Arc::clone(&shared.requests), Arc::clone(&shared.told));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(connection(stream, Arc::clone(&shared)));
            }
        });
        Self {
            address,
            came,
            closed,
            requests,
            told,
            serving,
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/hook?k=v", self.address)
    }

    /// The next request that has come.
    pub(super) async fn next(&mut self) -> Delivered {
        self.came.recv().await.unwrap()
    }

    /// Waits until a connection was closed by the other side while we were still writing or reading.
    pub(super) async fn hung_up(&mut self) {
        self.closed.recv().await.unwrap();
    }

    pub(super) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// Lets this many requests that wait, or will, be answered.
    pub(super) fn tell(&self, answers: usize) {
        self.told.add_permits(answers);
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort_all();
    }
}

struct Shared {
    script: Box<dyn Fn(usize) -> Reply + Send + Sync>,
    tell: mpsc::UnboundedSender<Delivered>,
    close: mpsc::UnboundedSender<()>,
    requests: Arc<AtomicUsize>,
    told: Arc<Semaphore>,
}

async fn connection(mut stream: TcpStream, shared: Arc<Shared>) {
    while let Some(request) = read_request(&mut stream).await {
        let number = shared.requests.fetch_add(1, Ordering::SeqCst) + 1;
        let reply = (shared.script)(number);
        // The test may have seen enough.
        let _ = shared.tell.send(request);
        let written = match reply {
            Reply::Answer(answer) => stream.write_all(&answer).await,
            Reply::Hang(start) => {
                let _ = stream.write_all(&start).await;
                let _ = read_request(&mut stream).await;
                break;
            }
            Reply::Endless(start, again) => {
                let _ = stream.write_all(&start).await;
                while stream.write_all(&again).await.is_ok() {}
                break;
            }
            Reply::Reset(start) => {
                let _ = stream.write_all(&start).await;
                // Without lingering, closing sends RST instead of FIN.
                stream.set_zero_linger().unwrap();
                return;
            }
            Reply::WhenTold(answer) => {
                shared.told.acquire().await.unwrap().forget();
                stream.write_all(&answer).await
            }
        };
        if written.is_err() {
            break;
        }
    }
    let _ = shared.close.send(());
}

async fn read_request(stream: &mut TcpStream) -> Option<Delivered> {
    let mut bytes = Vec::new();
    loop {
        if let Some(head) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let text = String::from_utf8(bytes[..head].to_vec()).unwrap();
            let mut lines = text.split("\r\n");
            let line = lines.next().unwrap().to_owned();
            let headers: HeaderMap = lines
                .map(|header| header.split_once(": ").unwrap())
                .map(|(name, value)| {
                    let name: HeaderName = name.parse().unwrap();
                    (name, HeaderValue::from_str(value).unwrap())
                })
                .collect();
            let length: usize = headers["content-length"].to_str().unwrap().parse().unwrap();
            if bytes.len() >= head + 4 + length {
                let body = bytes[head + 4..].to_vec();
                return Some(Delivered {
                    line,
                    headers,
                    body,
                });
            }
        }
        let mut buffer = [0; 8_192];
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
        }
    }
}
