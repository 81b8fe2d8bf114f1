//! Room in the write-ahead log, ahead of time.
//!
//! SQLite lets its log grow page by page until it moves it into the database, and from then on writes over
//! it. While a file grows, each sync also waits until the file system has noted the new length: commits take
//! half as long again. So when the log has grown, it is made longer by many pages at once. They are zeros,
//! which nobody takes for pages: each page in the log bears the log's own salt.
//!
//! What must hold: only the writer does so, within a transaction. It has the lock then, so nobody else,
//! another process for one, puts pages where the zeros go.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The log of a database.
pub(super) struct Log {
    path: PathBuf,
    /// Open once there is a log. To close it drops no lock: SQLite has those on other files.
    file: Option<File>,
    /// How long it was last time: if it is longer now, it has grown by itself.
    bytes: u64,
}

impl Log {
    /// The log of the database in this file.
    pub(super) fn of(database: &Path) -> io::Result<Self> {
        let mut path = database.canonicalize()?.into_os_string();
        path.push("-wal");
        Ok(Self { path: path.into(), file: None, bytes: 0 })
    }

    /// Makes the log longer if it has grown. Where that fails it grows page by page, as it would anyway.
    pub(super) fn make_room(&mut self) {
        if let Err(error) = self.try_make_room() {
            tracing::debug!(path = %self.path.display(), %error, "the log got no room ahead of time");
        }
    }

    fn try_make_room(&mut self) -> io::Result<()> {
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(OpenOptions::new().write(true).open(&self.path)?),
        };
        let bytes = file.metadata()?.len();
        let grown = bytes > std::mem::replace(&mut self.bytes, bytes);
        if grown && bytes < BYTES_MAX {
            let room = ROOM_BYTES.min(BYTES_MAX - bytes) as usize;
            file.write_all_at(&vec![0; room], bytes)?;
            self.bytes += room as u64;
        }
        Ok(())
    }
}

/// How much longer it is made: some hundred transactions of a few pages, and some milliseconds of one.
const ROOM_BYTES: u64 = 1 << 20;

/// How long it is made at most: what SQLite cuts it back to (`journal_size_limit`).
const BYTES_MAX: u64 = 32 << 20;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rusqlite::Connection;

    use super::super::{PRAGMAS, fresh};
    use super::*;

    fn write(conn: &Connection, log: &mut Log, number: i64) -> u64 {
        conn.execute_batch("BEGIN IMMEDIATE").unwrap();
        log.make_room();
        conn.execute("INSERT INTO t VALUES (?1, randomblob(5000))", [number]).unwrap();
        conn.execute_batch("COMMIT").unwrap();
        log.path.metadata().unwrap().len()
    }

    fn rows(path: &Path) -> i64 {
        let conn = Connection::open(path).unwrap();
        let check: String = conn.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(check, "ok");
        conn.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap()
    }

    /// Shows that the log grows in a few steps, that what is in it is found by whoever finds the files after
    /// a crash, and that it begins small again when it was emptied.
    #[test]
    fn the_log_grows_in_steps() {
        let (folder, conn) = fresh();
        conn.execute_batch("CREATE TABLE t (number INTEGER, bytes BLOB)").unwrap();
        let path = folder.path().join("hub.db");
        let mut log = Log::of(&path).unwrap();
        let lengths: BTreeSet<u64> = (0..300).map(|number| write(&conn, &mut log, number)).collect();
        // 300 rows of two pages and more are three megabytes: each took one growth and one step.
        assert!((3..=8).contains(&lengths.len()), "{lengths:?}");
        let copy = tempfile::tempdir().unwrap();
        for name in ["hub.db", "hub.db-wal"] {
            std::fs::copy(folder.path().join(name), copy.path().join(name)).unwrap();
        }
        assert_eq!(rows(&copy.path().join("hub.db")), 300);
        conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        assert_eq!(log.path.metadata().unwrap().len(), 0);
        write(&conn, &mut log, 300);
        assert!(write(&conn, &mut log, 301) > ROOM_BYTES);
        assert_eq!(rows(&path), 302);
    }

    /// Shows that no room is made beyond the length that SQLite cuts the log back to.
    #[test]
    fn the_log_is_made_no_longer_than_it_may_be() {
        assert!(PRAGMAS.contains(&format!("journal_size_limit = {BYTES_MAX};")));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hub.db");
        std::fs::write(&path, "").unwrap();
        let mut log = Log::of(&path).unwrap();
        log.make_room();
        assert!(!log.path.exists(), "a log is SQLite's to make");
        let file = File::create(&log.path).unwrap();
        for (bytes, made) in [(BYTES_MAX - 10, BYTES_MAX), (BYTES_MAX + 10, BYTES_MAX + 10)] {
            file.set_len(bytes).unwrap();
            log.make_room();
            assert_eq!(file.metadata().unwrap().len(), made);
        }
    }
}
