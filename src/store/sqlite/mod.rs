//! The SQLite backend: one connection that writes, and a fixed set that reads.
//!
//! This file owns how a database file is opened and what every connection is told. SQL stands next to
//! the verb that runs it, one file an area, transactions in `writer`, and the schema in
//! `migrations`. Two things must hold: a verb that writes runs only inside the writer's transaction
//! (`SqliteStore::writable`), and whatever came from outside is bound, never part of a statement.

mod activity;
mod chat;
mod curation;
mod deliveries;
mod departure;
mod error;
mod file;
mod friends;
mod genres;
mod goals;
mod history;
mod list_items;
mod lists;
mod log;
mod manga;
mod migrations;
mod mutes;
mod notices;
mod opinions;
mod progress;
mod readings;
mod recommend;
mod refresh;
mod search;
mod stats;
mod users;
mod webhooks;
mod writer;

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use self::file::DatabaseFile;
use self::log::Log;
use self::migrations::MigrationError;
use self::writer::SqliteWriter;
use super::{OpenError, OpenStore, Store, StoreError, StoreOptions};

/// Opens the database at `path`: creates it where needed, brings its schema up to date, and connects
/// one writer and `options.readers` readers.
pub fn open(path: &str, options: &StoreOptions) -> Result<OpenStore, OpenError> {
    let failed = |why: &dyn std::fmt::Display| OpenError::Failed { path: path.to_owned(), why: why.to_string() };
    let file = create_file(path).map_err(|error| failed(&error))?;
    let mut conn = connect(&file, options.full_sync).map_err(|error| failed(&error))?;
    migrations::run(&mut conn, migrations::LANDED).map_err(|error| match error {
        MigrationError::TooNew { found, known } => OpenError::TooNew { path: path.to_owned(), found, known },
        MigrationError::Failed { .. } => failed(&error),
    })?;
    let readers = connect_readers(&file, options).map_err(|error| failed(&error))?;
    let log = Log::of(&file).map_err(|error| failed(&error))?;
    let file = DatabaseFile::new(file).map_err(|error| failed(&error))?;
    Ok(OpenStore { writer: Box::new(SqliteWriter::new(conn, file, log)), readers })
}

/// The verbs over one connection, whoever owns it: the writer itself, or the pool of the readers.
struct SqliteStore<C> {
    conn: C,
    orders: search::Orders,
}

impl<C> SqliteStore<C> {
    fn new(conn: C) -> Self {
        Self { conn, orders: search::Orders::default() }
    }
}

impl<C: Deref<Target = Connection>> SqliteStore<C> {
    /// The connection, if a verb may write on it: only inside the writer's transaction.
    ///
    /// A reader never has one open. The writer has one, until SQLite ends it by itself in the middle
    /// of a job; what the job writes after that would commit alone, and is refused here.
    fn writable(&self) -> Result<&Connection, StoreError> {
        match self.conn.is_autocommit() {
            true => Err(StoreError::Unavailable),
            false => Ok(&self.conn),
        }
    }
}

impl<C: DerefMut<Target = Connection>> Store for SqliteStore<C> {
    fn data_version(&mut self) -> Result<i64, StoreError> {
        Ok(self.conn.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?)
    }

    fn ping(&mut self) -> Result<(), StoreError> {
        // The schema table has a row in every database that was migrated, so this reads the file.
        Ok(self.conn.prepare_cached("SELECT 1 FROM sqlite_schema LIMIT 1")?.query_row([], |_| Ok(()))?)
    }
}

/// Runs several reads that must agree with each other (a page and its total). A panic in between
/// ends the snapshot as well: one left open would keep the log from ever being reset.
fn in_one_snapshot<T>(
    conn: &mut Connection,
    read: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let snapshot = conn.savepoint()?;
    let found = read(&snapshot)?;
    snapshot.commit()?;
    Ok(found)
}

/// Makes sure that the file and its folder exist, for their owner only: SQLite would create the file
/// readable by all. Its log and index files take over the file's mode.
///
/// The path comes back absolute, so that `:memory:` and the empty name are plain file names.
fn create_file(path: &str) -> io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
    Ok(path)
}

/// A connection that may write, told how to behave.
fn connect(file: &Path, full_sync: bool) -> Result<Connection, rusqlite::Error> {
    // No URI flag: a `?` in a path is part of its name. No mutex: a connection has one owner at a time.
    let conn = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    // A plan never depends on what is bound. Otherwise SQLite plans a statement anew at each change of a value that
    // it would have liked to know, a limit for instance.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    conn.execute_batch(PRAGMAS)?;
    conn.pragma_update(None, "synchronous", if full_sync { "FULL" } else { "NORMAL" })?;
    Ok(conn)
}

/// As many reading connections as asked for, each checked out of the pool for good: a reader never
/// waits for one.
fn connect_readers(file: &Path, options: &StoreOptions) -> Result<Vec<Box<dyn Store + Send>>, r2d2::Error> {
    let Ok(count @ 1..) = u32::try_from(options.readers) else { return Ok(Vec::new()) };
    let pool = r2d2::Pool::builder()
        .max_size(count)
        .max_lifetime(None)
        .idle_timeout(None)
        .test_on_check_out(false)
        .connection_timeout(BUSY_TIMEOUT)
        .build(Readers { file: file.to_owned(), full_sync: options.full_sync })?;
    let reader = |_| Ok(Box::new(SqliteStore::new(pool.get()?)) as Box<dyn Store + Send>);
    (0..count).map(reader).collect()
}

/// Makes the readers' connections for the pool: own, because `r2d2_sqlite` trails rusqlite.
struct Readers {
    file: PathBuf,
    full_sync: bool,
}

impl r2d2::ManageConnection for Readers {
    type Connection = Connection;
    type Error = rusqlite::Error;

    fn connect(&self) -> Result<Connection, rusqlite::Error> {
        let conn = connect(&self.file, self.full_sync)?;
        conn.pragma_update(None, "query_only", true)?;
        Ok(conn)
    }

    fn is_valid(&self, conn: &mut Connection) -> Result<(), rusqlite::Error> {
        conn.query_row("SELECT 1", [], |_| Ok(()))
    }

    fn has_broken(&self, _conn: &mut Connection) -> bool {
        false
    }
}

/// How long a connection waits for another process's lock before it answers `Busy`. Within this
/// process nobody waits: there is one writer, and readers don't block it.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Prepared statements kept by each connection: more than there are in this backend, so that none
/// is ever compiled twice. Beyond it the one unused for longest would be.
const STATEMENTS_MAX: usize = 256;

/// What every connection is told, the writer and the readers alike.
///
/// - The log is moved into the database after 8,000 pages (32 MiB) instead of 1,000: a group commit
///   alone can write a thousand pages, and moving them each time would write all of them twice and
///   wait for the disk twice. It is cut back to that size when it ever grew larger.
/// - 16 MiB of page cache; the operating system holds the rest. Memory mapping stays off, because a
///   read error would then be a signal that kills the server instead of an `Unavailable`.
/// - `trusted_schema` off: a database file handed to us can't make us call functions.
const PRAGMAS: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA wal_autocheckpoint = 8000;
    PRAGMA journal_size_limit = 33554432;
    PRAGMA foreign_keys = ON;
    PRAGMA trusted_schema = OFF;
    PRAGMA cache_size = -16384;
    PRAGMA temp_store = MEMORY;
";

/// A database of the newest schema with nothing in it, and the folder that it is in.
#[cfg(test)]
fn fresh() -> (tempfile::TempDir, Connection) {
    let folder = tempfile::tempdir().unwrap();
    let file = create_file(folder.path().join("hub.db").to_str().unwrap()).unwrap();
    let mut conn = connect(&file, false).unwrap();
    migrations::run(&mut conn, migrations::LANDED).unwrap();
    (folder, conn)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn options(readers: usize) -> StoreOptions {
        StoreOptions { url: String::new(), readers, full_sync: false }
    }

    /// Shows that folder, database and log can be read by their owner only.
    #[test]
    fn files_are_private() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("made/on/demand/hub.db");
        let _open = open(file.to_str().unwrap(), &options(1)).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(file.parent().unwrap()), 0o700);
        for name in ["hub.db", "hub.db-wal", "hub.db-shm"] {
            assert_eq!(mode(&file.with_file_name(name)), 0o600, "{name}");
        }
    }

    /// Shows that every connection has the settings that correctness rests on, by asking each.
    #[test]
    fn every_connection_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = create_file(folder.path().join("hub.db").to_str().unwrap()).unwrap();
        let ask = |conn: &Connection, name: &str| -> String {
            let value = conn.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0)).unwrap();
            match value {
                rusqlite::types::Value::Text(text) => text,
                other => format!("{other:?}"),
            }
        };
        let writer = connect(&file, true).unwrap();
        let reader = r2d2::ManageConnection::connect(&Readers { file, full_sync: true }).unwrap();
        for conn in [&writer, &reader] {
            assert_eq!(ask(conn, "journal_mode"), "wal");
            assert_eq!(ask(conn, "synchronous"), "Integer(2)");
            assert_eq!(ask(conn, "foreign_keys"), "Integer(1)");
            assert_eq!(ask(conn, "busy_timeout"), "Integer(5000)");
        }
        assert_eq!(ask(&writer, "query_only"), "Integer(0)");
        assert_eq!(ask(&reader, "query_only"), "Integer(1)");
    }

    /// Shows that a name with a meaning for SQLite is a plain file name here, and that a folder is refused.
    #[test]
    fn odd_paths() {
        let folder = tempfile::tempdir().unwrap();
        for name in [":memory:", "a?mode=memory", "file:x", "it's 100% ünï.db"] {
            let path = folder.path().join(name);
            open(path.to_str().unwrap(), &options(0)).unwrap();
            assert!(path.metadata().unwrap().len() > 0, "{name}");
        }
        let refused = open(folder.path().to_str().unwrap(), &options(0)).err().unwrap();
        assert!(matches!(refused, OpenError::Failed { .. }), "{refused}");
    }

    /// Shows that a file that is no database is refused with one line that names it.
    #[test]
    fn not_a_database() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("hub.db");
        std::fs::write(&file, "These are not the bytes you are looking for. ".repeat(99)).unwrap();
        let refused = open(file.to_str().unwrap(), &options(1)).err().unwrap().to_string();
        assert!(refused.contains("hub.db") && !refused.contains('\n'), "{refused}");
    }
}
