//! A gateway that is served on a real port, and a client that sends bytes.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tidings_domain::{
    Clock, Entropy, Secret, Timestamp,
    clock::ManualClock,
    config::{self, Config},
    entropy::SeededEntropy,
    ids::EnvironmentId,
};
use tidings_egress::{AddressPolicy, Egress};
use tidings_pipeline::{
    gateway::{Gateway, Parts},
    manage::NewIntegration,
};
use tidings_storage::{
    Store,
    sqlite::{SqliteOptions, SqliteStore},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

pub(super) struct Served {
    pub(super) gateway: Arc<Gateway>,
    pub(super) clock: ManualClock,
    pub(super) webhook_secret: String,
    pub(super) tasks_without_connections: usize,
    address: SocketAddr,
    environment: EnvironmentId,
    _folder: tempfile::TempDir,
}

impl Served {
    /// Serves the integration `mail` with the default configuration, changed by `change`.
    pub(super) async fn start(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config::load(None, [], Vec::new()).unwrap();
        config.store.data_dir = folder.path().to_owned();
        change(&mut config);
        let manual = ManualClock::new(Timestamp::from_millis(1_767_323_045_000));
        let clock: Arc<dyn Clock> = Arc::new(manual.clone());
        let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(11));
        let options = SqliteOptions {
            store: config.store.clone(),
            ingest: config.ingest.clone(),
            clock: Arc::clone(&clock),
            entropy: Arc::clone(&entropy),
        };
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(options).await.unwrap());
        let egress = || Egress::new(AddressPolicy::new(Vec::new()), Arc::clone(&clock)).unwrap();
        let gateway = Gateway::start(Parts {
            store,
            clock: Arc::clone(&clock),
            entropy,
            graph_egress: egress(),
            webhook_egress: egress(),
            public_url: "https://tidings.example".parse().unwrap(),
            config,
        })
        .await
        .unwrap();
        let environment = gateway.manage.create_environment("test").await.unwrap().id;
        let new = NewIntegration {
            environment,
            key: "mail".to_owned(),
            client_id: "app".to_owned(),
            client_secret: Secret::new("app secret"),
            webhook_secret: None,
            login_url: None,
            graph_url: None,
        };
        let integration = gateway.manage.create_integration(new).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        crate::start(&gateway, listener);
        Self {
            tasks_without_connections: gateway.supervisor.tasks().len(),
            webhook_secret: integration.webhook_secret.expose().to_owned(),
            gateway,
            clock: manual,
            address,
            environment,
            _folder: folder,
        }
    }

    /// The path of the notification URL.
    pub(super) fn url(&self) -> String {
        format!("/webhook/{}/mail", self.environment)
    }

    pub(super) async fn connect(&self) -> Client {
        Client {
            stream: TcpStream::connect(self.address).await.unwrap(),
            read: Vec::new(),
        }
    }

    /// Waits until the next one to be woken is so in exactly this time.
    pub(super) async fn someone_sleeps_for(&self, span: Duration) {
        // A bound, so that a limit that is not kept fails the test and does not hang it.
        for _ in 0..20_000_000 {
            if self.clock.next_wake() == Some(span) {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!(
            "nobody waits for {span:?}: the next wake is in {:?}",
            self.clock.next_wake()
        );
    }
}

/// A connection, and what was read from it beyond the last answer.
pub(super) struct Client {
    stream: TcpStream,
    read: Vec<u8>,
}

/// An answer, taken apart.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Answered {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

impl Client {
    pub(super) async fn send(&mut self, bytes: &str) {
        self.stream.write_all(bytes.as_bytes()).await.unwrap();
    }

    /// The next answer.
    pub(super) async fn answer(&mut self) -> Answered {
        let end = loop {
            if let Some(end) = self.read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end;
            }
            assert!(self.more().await, "the connection ended within a head");
        };
        let head: Vec<u8> = self.read.drain(..end + 4).collect();
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines
            .next()
            .unwrap()
            .split(' ')
            .nth(1)
            .unwrap()
            .parse()
            .unwrap();
        let headers: Vec<(String, String)> = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let mut answered = Answered {
            status,
            headers,
            body: Vec::new(),
        };
        let length = answered
            .header("content-length")
            .map_or(0, |length| length.parse().unwrap());
        while self.read.len() < length {
            assert!(self.more().await, "the connection ended within a body");
        }
        answered.body = self.read.drain(..length).collect();
        answered
    }

    /// Whether the server ends the connection, without anything more.
    pub(super) async fn is_closed(&mut self) -> bool {
        !self.more().await && self.read.is_empty()
    }

    async fn more(&mut self) -> bool {
        let mut bytes = [0; 4_096];
        // A reset is an end too: the server closed while bytes of ours were on their way.
        let read = self.stream.read(&mut bytes).await.unwrap_or(0);
        self.read.extend_from_slice(&bytes[..read]);
        read > 0
    }
}
