//! A gateway in this process, on a runtime of its own that can be taken away from under it.

use std::{net::SocketAddr, path::Path, sync::Arc, thread::park_timeout, time::Duration};

use tidings_domain::{
    Clock, Entropy,
    config::{self, Config},
};
use tidings_egress::{AddressPolicy, Egress};
use tidings_pipeline::gateway::{Gateway as Running, Parts};
use tidings_storage::{
    Store,
    sqlite::{OpenError, SqliteOptions, SqliteStore},
};
use tokio::{net::TcpListener, runtime::Runtime};

/// How often an old gateway's store is asked whether it is closed, and how long that takes at most.
const ASK: Duration = Duration::from_millis(1);
const ASKED: u32 = 20_000;

/// How a gateway is made, again and again, at the same address and on the same store.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) config: Config,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

/// A gateway that runs.
#[derive(Debug)]
pub(crate) struct Gateway {
    runtime: Runtime,
}

impl Settings {
    /// One that keeps everything in `folder` and may reach nothing but this machine.
    pub(crate) fn new(
        address: SocketAddr,
        folder: &Path,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        let mut config = config::load(None, Vec::new(), Vec::new()).expect("the defaults");
        let loopback = "127.0.0.0/8".parse().expect("a network");
        config.server.listen = address;
        folder.clone_into(&mut config.store.data_dir);
        config.store.disk_floor_bytes = 0;
        config.egress.allow = vec![loopback];
        config.egress.allow_graph = vec![loopback];
        Self {
            config,
            clock,
            entropy,
        }
    }

    async fn run(self) {
        let Self {
            config,
            clock,
            entropy,
        } = self;
        let store = open(&config, &clock, &entropy).await;
        let listener = TcpListener::bind(config.server.listen).await;
        let listener = listener.expect("the gateway's port is free");
        let egress = |allow: &[ipnet::IpNet]| {
            let policy = AddressPolicy::new(allow.to_vec());
            Egress::new(policy, Arc::clone(&clock)).expect("an HTTP client")
        };
        let folder = config.store.data_dir.clone();
        let gateway = Running::start(Parts {
            store,
            clock: Arc::clone(&clock),
            entropy,
            graph_egress: egress(&config.egress.allow_graph),
            webhook_egress: egress(&config.egress.allow),
            public_url: format!("http://{}/", config.server.listen)
                .parse()
                .expect("a URL"),
            config,
        });
        let gateway = gateway.await.expect("the gateway starts");
        let first = gateway.manage.first_start(&folder).await;
        first.expect("the data folder can be prepared");
        tidings_server::start(&gateway, listener);
    }
}

async fn open(
    config: &Config,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> Arc<dyn Store> {
    let options = SqliteOptions {
        store: config.store.clone(),
        ingest: config.ingest.clone(),
        clock: Arc::clone(clock),
        entropy: Arc::clone(entropy),
    };
    for _ in 0..ASKED {
        match SqliteStore::open(options.clone()).await {
            Ok(store) => return Arc::new(store),
            // What the one before had begun to write ends first, as a disk's cache would.
            Err(OpenError::InUse { .. }) => park_timeout(ASK),
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the store of a gateway that was killed stays in use");
}

impl Gateway {
    /// Starts one.
    pub(crate) fn start(settings: &Settings) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .thread_name("gateway")
            .build()
            .expect("a runtime");
        let settings = settings.clone();
        runtime.block_on(settings.run());
        Self { runtime }
    }

    /// Ends it between any two steps of what it does, as SIGKILL would.
    pub(crate) fn kill(self) {
        self.runtime.shutdown_background();
    }
}
