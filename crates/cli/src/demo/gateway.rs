//! The gateway on the stage: one node on SQLite in a temporary folder, or several on one PostgreSQL behind one address.

use std::{
    fs,
    io::Write as _,
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use ipnet::Ipv4Net;
use tidings_domain::{
    Ids, Secret,
    config::{self, Config, DatabaseUrl},
};
use tidings_pipeline::manage::{self, FirstStartError};
use tidings_storage::{
    Store,
    postgres::{PostgresStore, migrate},
    seal::SealingKey,
};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{balancer, stage::ANY};
use crate::{
    context::Context,
    exit::{Exit, Failure},
    serve::node::{KEY_FILE, Node},
    store::{cannot_open, options},
};

/// What runs the gateway.
#[derive(Debug)]
pub(super) struct Gateway {
    /// Where it is.
    pub(super) url: String,
    /// Where everything is kept, for people.
    pub(super) kept_in: String,
    /// The file with the admin key.
    pub(super) admin_key_file: PathBuf,
    nodes: Vec<Node>,
}

impl Gateway {
    /// One node, with everything in `folder`.
    pub(super) async fn alone(folder: &Path, context: &Context) -> Result<Self, Failure> {
        let data_dir = folder.join("data");
        let mut config = configuration();
        config.store.data_dir.clone_from(&data_dir);
        let node = Node::start(config, &context.clock, &context.entropy).await?;
        Ok(Self {
            url: format!("http://{}", node.address()),
            kept_in: format!("SQLite in {}", data_dir.display()),
            admin_key_file: data_dir.join(KEY_FILE),
            nodes: vec![node],
        })
    }

    /// Several nodes that share an empty database. Graph reaches them through one address; the API is asked at the first,
    /// since what one node was told holds on the others a moment later.
    pub(super) async fn shared(
        database: DatabaseUrl,
        nodes: usize,
        folder: &Path,
        tasks: &TaskTracker,
        stop: &CancellationToken,
        context: &Context,
    ) -> Result<Self, Failure> {
        let sealing_key = folder.join("sealing.key");
        SealingKey::create_file(&sealing_key, &*context.entropy)
            .map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
        let mut config = configuration();
        config.store.database_url = Some(database.clone());
        config.postgres.sealing_key_file = Some(sealing_key);
        let admin_key_file = folder.join(KEY_FILE);
        prepare(&config, &admin_key_file, context).await?;

        let listener = TcpListener::bind(ANY).await?;
        let front = format!("http://{}/", listener.local_addr()?);
        config.server.public_url = front.parse().ok();
        let mut running = Vec::new();
        for number in 1..=nodes {
            config.postgres.node = Some(format!("demo-{number}"));
            running.push(Node::start(config.clone(), &context.clock, &context.entropy).await?);
        }
        let addresses: Vec<SocketAddr> = running.iter().map(Node::address).collect();
        let url = format!("http://{}", addresses[0]);
        tasks.spawn(balancer::run(listener, addresses, stop.clone()));
        Ok(Self {
            url,
            kept_in: format!("{database}, by {nodes} nodes behind {front}"),
            admin_key_file,
            nodes: running,
        })
    }

    /// Whether what one node was told still has to reach others.
    pub(super) fn has_others(&self) -> bool {
        self.nodes.len() > 1
    }

    /// Stops every node.
    pub(super) async fn stop(&self) {
        for node in &self.nodes {
            node.stop().await;
        }
    }
}

/// Brings the empty database to its form and puts the admin key into a file.
async fn prepare(config: &Config, admin_key_file: &Path, context: &Context) -> Result<(), Failure> {
    let options = options(config, &context.clock, &context.entropy)
        .expect("invariant: the caller has set a database");
    let steps = migrate::status(&options).await.map_err(cannot_open)?;
    if steps.iter().any(|step| step.applied_at.is_some()) {
        return Err(Failure::new(
            Exit::Failed,
            format!(
                "{} is in use: the demo fills a database of its own",
                options.url
            ),
        )
        .hint("make an empty one for it, with `createdb`, and remove it afterwards"));
    }
    migrate::apply(&options).await.map_err(cannot_open)?;
    let store = PostgresStore::open(options).await.map_err(cannot_open)?;
    let prepared = manage::prepare(
        &store,
        &Ids::new(Arc::clone(&context.clock), Arc::clone(&context.entropy)),
        &*context.clock,
        &*context.entropy,
        |key| {
            write_private(admin_key_file, key).map_err(|error| FirstStartError::Key {
                path: Some(admin_key_file.to_owned()),
                error,
            })
        },
    )
    .await;
    store.close().await;
    prepared
        .map(drop)
        .map_err(|error| Failure::new(Exit::Failed, error.to_string()))
}

fn write_private(path: &Path, key: &Secret) -> std::io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options.open(path)?.write_all(key.expose().as_bytes())
}

fn configuration() -> Config {
    let mut config = config::load(None, Vec::new(), Vec::new())
        .expect("invariant: the defaults are a configuration");
    config.server.listen = ANY;
    // Nothing is written while a small disk is nearly full, and a demo writes little.
    config.store.disk_floor_bytes = 0;
    config.egress.allow = vec![Ipv4Net::new_assert([127, 0, 0, 0].into(), 8).into()];
    config.egress.allow_graph.clone_from(&config.egress.allow);
    config
}
