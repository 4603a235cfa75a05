//! From an empty or used folder to a running store.

use std::{
    fs::{DirBuilder, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    thread::JoinHandle,
    time::Duration,
};

use rusqlite::{Connection, Error, OptionalExtension as _};
use tidings_domain::{
    Clock, Entropy,
    config::{IngestConfig, StoreConfig},
};
use tokio::{
    runtime::Handle,
    sync::{oneshot, watch},
};
use tokio_util::task::TaskTracker;

use super::{
    SqliteStore, database,
    migrate::{MigrateError, migrate},
    reader::Readers,
    writer::{self, Gauges, Parts, Writer},
};
use crate::{
    rejected::Budget,
    seal::{self, KeyFileError, KeyId, Seal, SealingKey},
};

/// What a store is made of.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// Where it is, and its limits.
    pub store: StoreConfig,
    /// How long ingest waits, and what it keeps of the rejected.
    pub ingest: IngestConfig,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where keys and nonces come from.
    pub entropy: Arc<dyn Entropy>,
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("another process uses the data folder {}: stop it first, or choose another folder", .folder.display())]
    InUse {
        /// Which folder.
        folder: PathBuf,
    },
    /// The folder cannot be made or used.
    #[error("cannot use the data folder {}: {source}", .folder.display())]
    Folder {
        /// Which folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is a database, but the key its secrets are sealed with is gone.
    #[error(
        "the database is sealed with key {wanted}, and there is no key file {}: put it back from a backup",
        .path.display()
    )]
    KeyMissing {
        /// The key's id.
        wanted: KeyId,
        /// Where it must be.
        path: PathBuf,
    },
    /// The key is another one than the database's secrets are sealed with.
    #[error(
        "the database is sealed with key {wanted}, but {} holds key {found}: put the right one back from a backup",
        .path.display()
    )]
    KeyOther {
        /// The id of the key that is wanted.
        wanted: KeyId,
        /// The id of the key that was found.
        found: KeyId,
        /// Where it was found.
        path: PathBuf,
    },
    /// The key has the right id, but is damaged.
    #[error("{} says it holds key {id}, but its content is damaged: put it back from a backup", .path.display())]
    KeyDamaged {
        /// The key's id.
        id: KeyId,
        /// Where it was found.
        path: PathBuf,
    },
    /// The key file cannot be used.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// The tables cannot be brought to the form that this binary works with.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// The SQLite that was linked is too old.
    #[error(
        "the SQLite of this build is {found}; 3.51.3 is the first that does not corrupt its log"
    )]
    OldSqlite {
        /// Its version.
        found: &'static str,
    },
    /// SQLite cannot open the database.
    #[error("cannot open the database {}: {source}", .path.display())]
    Sqlite {
        /// Which file.
        path: PathBuf,
        /// What SQLite said.
        source: Error,
    },
    /// The writer's thread could not be started, or ended at once.
    #[error("cannot start the threads of the store: {0}")]
    Threads(io::Error),
}

impl SqliteStore {
    /// Opens the store of a data folder, and makes both where they do not exist. Call it inside a tokio runtime.
    pub async fn open(options: SqliteOptions) -> Result<Self, OpenError> {
        let (ready, opened) = oneshot::channel();
        let (is_closed, closed) = watch::channel(false);
        let runtime = Handle::current();
        std::thread::Builder::new()
            .name("tidings-writer".to_owned())
            .spawn(move || match start(&options) {
                Ok(started) => serve(started, ready, closed, &runtime, &is_closed),
                Err(error) => {
                    // Whoever asked has gone.
                    let _ = ready.send(Err(error));
                }
            })
            .map_err(OpenError::Threads)?;
        opened
            .await
            .unwrap_or_else(|_| Err(OpenError::Threads(io::Error::other("the writer panicked"))))
    }
}

struct Started {
    sql: Connection,
    parts: Parts,
    writer: Writer,
    readers: Readers,
    threads: Vec<JoinHandle<()>>,
    budget: Budget,
    keep_rejected: u32,
    lock: File,
}

fn start(options: &SqliteOptions) -> Result<Started, OpenError> {
    if rusqlite::version_number() < database::OLDEST_VERSION {
        return Err(OpenError::OldSqlite {
            found: rusqlite::version(),
        });
    }
    let folder = &options.store.data_dir;
    let in_folder = |source| OpenError::Folder {
        folder: folder.clone(),
        source,
    };
    make_private_folder(folder).map_err(in_folder)?;
    let lock = lock(folder)?;
    let path = folder.join(database::FILE_NAME);
    make_private(&path).map_err(in_folder)?;

    let with_sqlite = |source| OpenError::Sqlite {
        path: path.clone(),
        source,
    };
    let sql = database::open_writer(&path).map_err(with_sqlite)?;
    let seal = Arc::new(unlock(&sql, options).map_err(|error| match error {
        Unlock::Open(error) => error,
        Unlock::Sqlite(source) => with_sqlite(source),
    })?);
    let gauges = Arc::new(Gauges::default());
    count(&sql, &gauges).map_err(with_sqlite)?;

    let clock = &options.clock;
    let (readers, threads) =
        Readers::start(&path, options.store.readers, clock).map_err(OpenError::Threads)?;
    Ok(Started {
        sql,
        parts: Parts {
            path,
            folder: folder.clone(),
            disk_floor: options.store.disk_floor_bytes,
            seal,
            clock: Arc::clone(clock),
            gauges,
        },
        writer: Writer::new(
            options.store.queue,
            options.ingest.max_wait.0,
            Arc::clone(clock),
        ),
        readers,
        threads,
        budget: Budget::new(options.ingest.rejected_per_second, clock.monotonic()),
        keep_rejected: options.ingest.keep_rejected,
        lock,
    })
}

/// Runs the writer on this thread until the store is closed.
fn serve(
    started: Started,
    ready: oneshot::Sender<Result<SqliteStore, OpenError>>,
    closed: watch::Receiver<bool>,
    runtime: &Handle,
    is_closed: &watch::Sender<bool>,
) {
    let Started {
        sql,
        parts,
        writer,
        readers,
        threads,
        budget,
        keep_rejected,
        lock,
    } = started;
    let store = SqliteStore {
        path: parts.path.clone(),
        seal: Arc::clone(&parts.seal),
        clock: Arc::clone(&parts.clock),
        writer: writer.clone(),
        readers,
        gauges: Arc::clone(&parts.gauges),
        rejected: budget,
        keep_rejected,
        health_wait: Duration::from_millis(250),
        closed,
    };
    // If whoever asked has gone, the store is dropped here, and the writer ends at once.
    let _ = ready.send(Ok(store));
    let tasks = TaskTracker::new();
    let sql = writer.run(parts, sql, runtime, &tasks);
    for thread in threads {
        // A reader that panicked has said so; there is nothing left to do with it.
        let _ = thread.join();
    }
    if let Some(sql) = sql {
        // With the readers gone all of the log can be copied, and the next start has nothing to recover.
        if let Err(error) =
            writer::checkpoint(&sql, "TRUNCATE").and_then(|_| database::remove_log_on_close(&sql))
        {
            tracing::warn!(%error, "cannot copy the log into the database; the next start will");
        }
    }
    drop(lock);
    is_closed.send_replace(true);
}

pub(super) fn lock(folder: &Path) -> Result<File, OpenError> {
    let in_folder = |source| OpenError::Folder {
        folder: folder.to_owned(),
        source,
    };
    let path = folder.join("tidings.lock");
    make_private(&path).map_err(in_folder)?;
    let file = File::options().write(true).open(path).map_err(in_folder)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse {
            folder: folder.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(in_folder(source)),
    }
}

/// Makes a file that only its owner can read, unless it exists. SQLite gives its log the same rights.
fn make_private(path: &Path) -> io::Result<()> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Makes a folder that only its owner can enter, unless it exists: whoever made it has decided on its rights.
fn make_private_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

enum Unlock {
    Open(OpenError),
    Sqlite(Error),
}

impl<E: Into<OpenError>> From<E> for Unlock {
    fn from(error: E) -> Self {
        Self::Open(error.into())
    }
}

/// Finds the key that the database wants, makes one for a new database, and brings the tables up to date.
fn unlock(sql: &Connection, options: &SqliteOptions) -> Result<Seal, Unlock> {
    let folder = &options.store.data_dir;
    let path = folder.join(seal::FILE_NAME);
    let wanted = wanted_key(sql).map_err(Unlock::Sqlite)?;
    let found = SealingKey::read(folder)?;
    let key = match (&wanted, found) {
        (None, Some(found)) => found,
        (None, None) => {
            let key = SealingKey::random(&*options.entropy);
            key.write(folder)?;
            key
        }
        (Some(wanted), Some(found)) if wanted.id == found.id() => found,
        (Some(wanted), Some(found)) => {
            return Err(Unlock::Open(OpenError::KeyOther {
                wanted: wanted.id,
                found: found.id(),
                path,
            }));
        }
        (Some(wanted), None) => {
            return Err(Unlock::Open(OpenError::KeyMissing {
                wanted: wanted.id,
                path,
            }));
        }
    };
    let seal = Seal::new(&key, Arc::clone(&options.entropy));
    if let Some(wanted) = wanted.filter(|wanted| wanted.check != seal.check_value()) {
        return Err(Unlock::Open(OpenError::KeyDamaged {
            id: wanted.id,
            path,
        }));
    }
    migrate(sql, options.clock.now(), |sql| {
        let mut insert = sql.prepare("INSERT INTO meta (name, value) VALUES (?, ?)")?;
        insert.execute(("key_id", seal.key_id().0.as_slice()))?;
        insert.execute(("key_check", seal.check_value().as_slice()))?;
        Ok(())
    })?;
    Ok(seal)
}

struct WantedKey {
    id: KeyId,
    check: [u8; 32],
}

/// The key that the database was sealed with; `None` if it is new.
fn wanted_key(sql: &Connection) -> Result<Option<WantedKey>, Error> {
    if !sql.table_exists(None, "meta")? {
        return Ok(None);
    }
    sql.query_row(
        "SELECT (SELECT value FROM meta WHERE name = 'key_id'), (SELECT value FROM meta WHERE name = 'key_check')",
        [],
        |row| {
            Ok(WantedKey {
                id: KeyId(row.get(0)?),
                check: row.get(1)?,
            })
        },
    )
    .optional()
}

fn count(sql: &Connection, gauges: &Gauges) -> Result<(), Error> {
    let (queued, pending) = sql.query_row(
        "SELECT (SELECT count(*) FROM queue), (SELECT count(*) FROM deliveries WHERE state = 'pending')",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    gauges.queued.store(queued, Ordering::Relaxed);
    gauges.pending.store(pending, Ordering::Relaxed);
    Ok(())
}
