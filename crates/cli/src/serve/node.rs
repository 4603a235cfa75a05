//! One node: store, gateway and HTTP faces, from configuration to stop.

use std::{
    fmt::Display,
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use tidings_domain::{
    Clock, Entropy, config::Config, environment::Environment, ids::EnvironmentId,
};
use tidings_egress::{AddressPolicy, Egress};
use tidings_pipeline::{
    gateway::{Gateway, Parts},
    supervisor::Stopped,
};
use tidings_storage::Store;
use tokio::net::TcpListener;
use url::Url;

use crate::{
    address::reachable,
    exit::{Exit, Failure},
    store::{self, Opened},
};

/// Where clients on the same machine read the address listened on.
const ADDRESS_FILE: &str = "server.addr";
/// Where the first admin key is.
pub(crate) const KEY_FILE: &str = "admin.key";

/// A node that listens and works.
#[derive(Debug)]
pub(crate) struct Node {
    address: SocketAddr,
    environment: EnvironmentId,
    data_dir: Option<PathBuf>,
    store: Arc<dyn Store>,
    gateway: Arc<Gateway>,
}

impl Node {
    /// Starts all of it. When this returns, requests are answered.
    pub(crate) async fn start(
        config: Config,
        clock: &Arc<dyn Clock>,
        entropy: &Arc<dyn Entropy>,
    ) -> Result<Self, Failure> {
        let listen = config.server.listen;
        let listener = TcpListener::bind(listen).await.map_err(|error| {
            cannot(&format!("listen at {listen}"), &error)
                .hint("is another program there? `--listen` chooses another address")
        })?;
        let opened = store::open(&config, clock, entropy).await?;
        let store = Arc::clone(&opened.store);
        let started = Self::start_on(opened, config, listener, clock, entropy).await;
        if started.is_err() {
            // Other nodes would leave a share of the work to this one until its lease ran out.
            store.close().await;
        }
        started
    }

    /// Starts what works on an open store. If that fails, nothing of it runs; the store stays open.
    async fn start_on(
        opened: Opened,
        config: Config,
        listener: TcpListener,
        clock: &Arc<dyn Clock>,
        entropy: &Arc<dyn Entropy>,
    ) -> Result<Self, Failure> {
        let Opened { store, data_dir } = opened;
        let address = listener.local_addr()?;
        let egress = |allow: &[ipnet::IpNet]| {
            Egress::new(AddressPolicy::new(allow.to_vec()), Arc::clone(clock))
                .map_err(|error| cannot("make an HTTP client", &error))
        };
        let gateway = Gateway::start(Parts {
            store: Arc::clone(&store),
            clock: Arc::clone(clock),
            entropy: Arc::clone(entropy),
            graph_egress: egress(&config.egress.allow_graph)?,
            webhook_egress: egress(&config.egress.allow)?,
            public_url: public_url(&config, address)?,
            config,
        })
        .await
        .map_err(|error| cannot("start the gateway", &error))?;
        let environment = match &data_dir {
            Some(folder) => gateway
                .manage
                .first_start(folder)
                .await
                .map_err(|error| cannot("prepare the data folder", &error)),
            None => oldest_environment(&*store).await,
        };
        let environment = match environment {
            Ok(environment) => environment.id,
            Err(failure) => {
                gateway.stop().await;
                return Err(failure);
            }
        };
        tidings_server::start(&gateway, listener);
        let node = Self {
            address,
            environment,
            data_dir,
            store,
            gateway,
        };
        if let Err(error) = node.write_address() {
            node.gateway.stop().await;
            return Err(cannot("write to the data folder", &error));
        }
        Ok(node)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its default environment.
    pub(crate) fn environment(&self) -> EnvironmentId {
        self.environment
    }

    /// Its data folder, absolute, if it has one.
    pub(crate) fn data_dir(&self) -> Option<&Path> {
        self.data_dir.as_deref()
    }

    /// The file with the admin key that was made at the first start, if it was put into one.
    pub(crate) fn admin_key_file(&self) -> Option<PathBuf> {
        Some(self.data_dir()?.join(KEY_FILE))
    }

    /// Takes nothing new, lets what is under way finish within the configured time, and closes the store.
    pub(crate) async fn stop(&self) -> Stopped {
        // From here on another program may get the address, and is not to be sent the admin key. If the file cannot be
        // removed, nobody can read it either, or it was gone.
        if let Some(folder) = &self.data_dir {
            let _ = fs::remove_file(folder.join(ADDRESS_FILE));
        }
        let stopped = self.gateway.stop().await;
        self.store.close().await;
        stopped
    }

    /// Whole or not at all: a client may read at any moment.
    fn write_address(&self) -> io::Result<()> {
        let Some(folder) = &self.data_dir else {
            return Ok(());
        };
        let unfinished = folder.join(format!("{ADDRESS_FILE}.new"));
        fs::write(&unfinished, self.address.to_string())?;
        fs::rename(&unfinished, folder.join(ADDRESS_FILE))
    }
}

/// Whoever has prepared the database has made it.
async fn oldest_environment(store: &dyn Store) -> Result<Environment, Failure> {
    let environments = store.environments().await;
    let environments = environments.map_err(|error| cannot("read the environments", &error))?;
    environments.into_iter().next().ok_or_else(|| {
        Failure::new(Exit::Failed, "the database has no environment yet")
            .hint("`tidings migrate apply` makes it, and the first admin key")
    })
}

/// Under which URL Graph reaches this node. Unset, only a Graph on this machine can.
fn public_url(config: &Config, address: SocketAddr) -> Result<Url, Failure> {
    match &config.server.public_url {
        Some(url) => Ok(url.clone()),
        None => Url::parse(&format!("http://{}/", reachable(address)))
            .map_err(|error| cannot("use the address listened on", &error)),
    }
}

fn cannot(what: &str, error: &dyn Display) -> Failure {
    Failure::new(Exit::Failed, format!("cannot {what}: {error}"))
}
