//! Opening connections to the database file.

use std::{cell::Cell, path::Path, time::Duration};

use rusqlite::{Connection, Error, OpenFlags, config::DbConfig};

/// The first version without a bug that corrupts a WAL when a checkpoint and a write meet in two connections (SQLite's
/// release notes of 3.51.3).
pub(super) const OLDEST_VERSION: i32 = 3_051_003;

/// The database file's name in the data folder.
pub(super) const FILE_NAME: &str = "tidings.db";

/// Bytes of a page. Of twice SQLite's default, half as many are written for what comes in, and a lone notification still
/// costs few.
pub(super) const PAGE: u32 = 8_192;

/// How much of the file the writer keeps in memory, in KiB: what a few hundred thousand dedup keys need. More comes
/// from the system's page cache.
const WRITER_CACHE_KIB: i32 = 32 * 1_024;
const READER_CACHE_KIB: i32 = 2 * 1_024;

/// A log that grew longer, because a reader held it back, is cut to this when it begins anew.
const WAL_KEPT: i64 = 64 << 20;

/// Only other programs make us wait, such as somebody's `sqlite3` on the same file.
const BUSY: Duration = Duration::from_millis(250);

const STATEMENTS: usize = 96;

thread_local! {
    /// Frames in the WAL after the last commit on this thread. SQLite's hook takes no state of its own.
    static WAL_FRAMES: Cell<i32> = const { Cell::new(0) };
}

/// Bytes in the WAL after the last commit of this thread's writing connection.
pub(super) fn wal_bytes() -> u64 {
    /// A page and its frame header (SQLite's "WAL-mode file format" page).
    const FRAME: u64 = PAGE as u64 + 24;
    u64::try_from(WAL_FRAMES.get()).unwrap_or(0) * FRAME
}

/// To be called when all of the WAL was copied, and the next commit begins at its start.
pub(super) fn wal_was_copied() {
    WAL_FRAMES.set(0);
}

/// The one connection that writes.
pub(super) fn open_writer(path: &Path) -> Result<Connection, Error> {
    let sql = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // Both before the first table, on a new file; without effect afterwards.
    sql.pragma_update(None, "page_size", PAGE)?;
    sql.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    sql.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0))?;
    sql.pragma_update(None, "synchronous", "FULL")?;
    sql.pragma_update(None, "foreign_keys", true)?;
    sql.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    sql.pragma_update(None, "temp_store", "MEMORY")?;
    sql.pragma_update_and_check(None, "journal_size_limit", WAL_KEPT, |row| {
        row.get::<_, i64>(0)
    })?;
    // After a failed fsync nothing may be copied from the WAL by a connection that only goes away.
    sql.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    // This also turns off automatic checkpoints, which would come inside somebody's commit.
    sql.wal_hook(Some(|_, frames| {
        WAL_FRAMES.set(frames);
        Ok(())
    }));
    Ok(sql)
}

/// Has the log removed when `sql`, the last connection, is closed.
pub(super) fn remove_log_on_close(sql: &Connection) -> Result<(), Error> {
    sql.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)
        .map(|_| ())
}

/// One of those that read.
pub(super) fn open_reader(path: &Path) -> Result<Connection, Error> {
    let sql = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    sql.pragma_update(None, "query_only", true)?;
    sql.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
    sql.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(sql)
}

fn open(path: &Path, flags: OpenFlags) -> Result<Connection, Error> {
    // Never SQLITE_OPEN_CREATE: a file that vanished while we run must not come back empty.
    let sql = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    sql.busy_timeout(BUSY)?;
    sql.set_prepared_statement_cache_capacity(STATEMENTS);
    // A mapped file would turn an I/O error into a signal that ends the process.
    sql.pragma_update(None, "mmap_size", 0)?;
    Ok(sql)
}
