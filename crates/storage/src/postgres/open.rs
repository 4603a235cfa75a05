//! From a URL to a running store.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use sqlx::{ConnectOptions as _, PgConnection};
use tidings_domain::{
    Clock, Entropy,
    clock::within,
    config::{DatabaseUrl, IngestConfig, PostgresConfig, StoreConfig},
};
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    PostgresStore, Shared, database,
    health::Health,
    hints::{self, Hints},
    history::History,
    migrate::{self, MigrateError},
    node::Node,
    partitions,
    pool::{Places, Pool},
    signals::{self, Signals},
    target, unlock, upkeep,
    writer::Lanes,
};
use crate::{
    Holdings, StoreError,
    rejected::Budget,
    seal::{KeyFileError, KeyId},
};

/// How long the first connection may take. Whoever starts can wait longer than whoever serves.
const FIRST_CONNECT: Duration = Duration::from_secs(10);

/// What a store on PostgreSQL is made of.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// Which database.
    pub url: DatabaseUrl,
    /// Its key, this node's name, connections and leases.
    pub postgres: PostgresConfig,
    /// Its limits.
    pub store: StoreConfig,
    /// How long ingest waits, and what it keeps of the rejected.
    pub ingest: IngestConfig,
    /// Where the times in rows come from.
    pub clock: Arc<dyn Clock>,
    /// What deadlines and leases are measured by: the system's clock, also where a test moves `clock` by days, since the
    /// database at the other end is real.
    pub timer: Arc<dyn Clock>,
    /// Where nonces come from.
    pub entropy: Arc<dyn Entropy>,
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Only a part of another store is in it yet.
    #[error(
        "another store is being copied into the database {database}, or was in part: let `tidings copy` finish, or run \
         it again with the same source; it goes on where it was"
    )]
    CopyUnfinished {
        /// Which one, without user and password.
        database: String,
    },
    /// The database cannot be reached.
    #[error("cannot connect to the database {database}: {detail}")]
    Connect {
        /// Which one, without user and password.
        database: String,
        /// What failed.
        detail: String,
    },
    /// The database failed at something it must be able to do.
    #[error("the database does not do what is needed: {detail}")]
    Database {
        /// What it said.
        detail: String,
    },
    /// The key file cannot be used.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// The file that the configuration names is not there.
    #[error(
        "there is no sealing key file {}: copy the one that the other nodes use, or make one with `tidings \
         sealing-key create` if the database is new", .path.display()
    )]
    KeyMissing {
        /// Where it must be.
        path: PathBuf,
    },
    /// The key has the right id, but is damaged.
    #[error(
        "the sealing key file says it holds key {id}, but its content is damaged: put it back from a backup"
    )]
    KeyDamaged {
        /// The key's id.
        id: KeyId,
    },
    /// The key is another one than the database's secrets are sealed with.
    #[error(
        "the database is sealed with key {wanted}, but the sealing key file holds key {found}: use the file that the \
         other nodes use"
    )]
    KeyOther {
        /// The id of the key that is wanted.
        wanted: KeyId,
        /// The id of the key that was found.
        found: KeyId,
    },
    /// The database has another form than this program needs.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// No key file is configured.
    #[error(
        "a store on PostgreSQL needs a sealing key that all nodes share: set postgres.sealing_key_file \
         (`tidings sealing-key create` makes the file, once)"
    )]
    NoKeyFile,
    /// The database does not say which key it is sealed with.
    #[error(
        "the database has tables, but does not say which key it is sealed with: it is damaged, or none of ours"
    )]
    NoKeyNoted,
    /// Commits would be answered before they are on disk.
    #[error(
        "the database has {setting} = off, so that a crash loses what was acknowledged: turn it on"
    )]
    NotDurable {
        /// The setting.
        setting: &'static str,
    },
    /// The server is too old.
    #[error(
        "the database server has version {found} (as server_version_num says it); at least 150000 is needed"
    )]
    OldServer {
        /// Its version, as `server_version_num` tells it.
        found: u32,
    },
    /// The server is a copy that takes no writes.
    #[error("the database server is a standby: connect to the primary")]
    Standby,
    /// The URL says something that cannot be.
    #[error("the URL of the database {database} cannot be used: {detail}")]
    Url {
        /// Which one, without user and password.
        database: String,
        /// What is wrong.
        detail: String,
    },
    /// The store could not take up its work.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl OpenError {
    pub(super) fn database(error: &sqlx::Error) -> Self {
        Self::Database {
            detail: error.to_string(),
        }
    }
}

impl PostgresStore {
    /// Opens the store of a database that was migrated, and takes a share of the work. Call it inside a tokio runtime.
    pub async fn open(options: PostgresOptions) -> Result<Self, OpenError> {
        Self::open_for(options, true).await
    }

    /// Opens the store for a command that asks or changes something and leaves: it takes no share of the work, holds no
    /// shard and hears no signal, and the other nodes do not count it.
    pub async fn open_as_guest(options: PostgresOptions) -> Result<Self, OpenError> {
        Self::open_for(options, false).await
    }

    async fn open_for(options: PostgresOptions, work: bool) -> Result<Self, OpenError> {
        let seal = Arc::new(unlock::seal(&options)?);
        let mut first = connect(&options).await?;
        let synchronous = database::verify(&mut first).await?;
        migrate::check(&mut first).await?;
        unlock::check(&mut first, &seal).await?;
        if target::is_unfinished(&mut first).await? {
            return Err(OpenError::CopyUnfinished {
                database: options.url.to_string(),
            });
        }
        database::close(first).await;

        let identity = Identity::new(&options);
        let connect = database::options(&options.url, &identity.name)?
            .options([("synchronous_commit", &synchronous)]);
        if database::is_open_to_others(&connect) {
            tracing::warn!(
                database = %options.url,
                "the way to the database is not protected: use sslmode=verify-full and sslrootcert in its URL"
            );
        }
        let timer = &options.timer;
        let places = Places::of(options.postgres.connections);
        let holdings = Holdings::leased(Arc::clone(timer));
        let history = History::new(identity.id.clone(), holdings.clone());
        let shared = Arc::new(Shared {
            database: options.url.to_string(),
            pool: Pool::new(connect.clone(), places, Arc::clone(timer), history),
            seal,
            clock: Arc::clone(&options.clock),
            timer: Arc::clone(timer),
            hints: Hints::new(holdings.clone()),
            holdings,
            node: identity.id,
            signals: Signals::default(),
            prod: Notify::new(),
            reading: Mutex::default(),
            health: Health::default(),
            rejected: Budget::new(
                options.ingest.rejected_per_second,
                options.clock.monotonic(),
            ),
            keep_rejected: options.ingest.keep_rejected,
            max_wait: options.ingest.max_wait.0,
        });
        partitions::make_ahead(&shared).await?;
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        if work {
            let mut node = Node::new(Arc::clone(&shared), identity.name, options.postgres.lease.0);
            node.begin().await?;
            tasks.spawn(node.run(stop.clone()));
            tasks.spawn(signals::listen(Arc::clone(&shared), connect, stop.clone()));
            tasks.spawn(upkeep::run(Arc::clone(&shared), stop.clone()));
        }
        let lanes = Lanes::start(&shared, options.store.queue, places.work);
        tasks.spawn(hints::send(Arc::clone(&shared), stop.clone()));
        tasks.close();
        Ok(Self {
            shared,
            lanes,
            tasks,
            stop,
        })
    }
}

/// Who this node is.
struct Identity {
    /// For people.
    name: String,
    /// Another one at each start: what a former run of this node held is not held by this one.
    id: String,
}

impl Identity {
    fn new(options: &PostgresOptions) -> Self {
        let name = options.postgres.node.clone().unwrap_or_else(machine);
        let random = options.entropy.u64();
        Self {
            id: format!("{name}-{random:016x}"),
            name,
        }
    }
}

/// What this machine is called.
fn machine() -> String {
    let name = rustix::system::uname();
    let name = name.nodename().to_string_lossy();
    let plain = |c: &char| c.is_ascii_graphic();
    let name: String = name.chars().filter(plain).take(40).collect();
    if name.is_empty() {
        "node".to_owned()
    } else {
        name
    }
}

/// A connection for one who opens or migrates.
pub(super) async fn connect(options: &PostgresOptions) -> Result<PgConnection, OpenError> {
    let failed = |detail| OpenError::Connect {
        database: options.url.to_string(),
        detail,
    };
    let how = database::options(&options.url, "start")?;
    within(&*options.timer, FIRST_CONNECT, how.connect())
        .await
        .map_err(|_| failed("it does not answer".to_owned()))?
        .map_err(|error| failed(error.to_string()))
}
