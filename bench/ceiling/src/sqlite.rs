//! SQLite alone: durable progress updates in groups, nothing around them.
//!
//! It owns a database of the same shape as the server's and runs the same two statements for an update: the
//! upsert of the user's row, which returns what it became, and the history row. There is deliberately no
//! queue, savepoint, JSON or socket. What must hold: every group is one transaction whose COMMIT reaches
//! the disk (`WAL`, `synchronous = FULL`) before the next begins.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};

/// Runs `count` updates, `groups_of` to a commit, in a new database in `dir`, and returns how long they took.
/// `indexes` adds the ones a server reads by. Creating the schema and its users is not counted; the checkpoints that fall into the run are.
pub fn run(dir: &Path, groups_of: usize, count: usize, indexes: bool) -> Result<Duration, Box<dyn std::error::Error>> {
    std::fs::create_dir_all(dir)?;
    let mut db = Connection::open(dir.join("ceiling.db"))?;
    prepare(&mut db)?;
    if indexes {
        db.execute_batch(INDEXES)?;
    }
    let users: Vec<String> = (0..USERS).map(user_id).collect();
    let start = Instant::now();
    for first in (0..count).step_by(groups_of.max(1)) {
        write_group(&mut db, &users, first..count.min(first + groups_of.max(1)))?;
    }
    Ok(start.elapsed())
}

fn prepare(db: &mut Connection) -> rusqlite::Result<()> {
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "foreign_keys", true)?;
    // An upsert opens a statement journal. With the default, SQLite allocates 64 KiB for it each time, which the
    // C allocator takes from the system and gives back: 200,000 `brk` calls for 100,000 updates, half the run.
    db.pragma_update(None, "temp_store", "MEMORY")?;
    let transaction = db.transaction()?;
    transaction.execute_batch(SCHEMA)?;
    for index in 0..USERS {
        transaction.execute(
            "INSERT INTO users (id, username) VALUES (?1, ?2)",
            params![user_id(index), format!("reader-{index}")],
        )?;
    }
    transaction.commit()
}

fn write_group(db: &mut Connection, users: &[String], updates: std::ops::Range<usize>) -> rusqlite::Result<()> {
    let transaction = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    {
        let mut upsert = transaction.prepare_cached(UPSERT)?;
        let mut insert = transaction.prepare_cached(INSERT_HISTORY)?;
        for update in updates {
            let user = &users[update % users.len()];
            let chapter = (update / users.len()) as i64 * 1000;
            let row = upsert.query_row(params![user, MANGA, "reading", chapter, NOW], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, Option<i64>>(2)?))
            })?;
            insert.execute(params![user, MANGA, row.0, row.1, row.2, "bench", NOW])?;
        }
    }
    transaction.commit()
}

/// A text as long as the server's ids, a UUID.
fn user_id(index: usize) -> String {
    format!("00000000-0000-4000-8000-{index:012}")
}

/// As many readers as the server is measured with.
const USERS: usize = 1000;

/// The one series they read.
const MANGA: i64 = 1;

/// A time of receipt; its value costs the same whatever it is.
const NOW: i64 = 1_790_000_000_000;

const SCHEMA: &str = "
CREATE TABLE users (id TEXT PRIMARY KEY, username TEXT NOT NULL UNIQUE) WITHOUT ROWID;
CREATE TABLE manga (id INTEGER PRIMARY KEY, slug TEXT NOT NULL UNIQUE);
INSERT INTO manga (id, slug) VALUES (1, 'bench-series');
CREATE TABLE progress (
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    manga_id INTEGER NOT NULL REFERENCES manga (id) ON DELETE CASCADE,
    in_library INTEGER NOT NULL DEFAULT 0,
    status TEXT NOT NULL,
    chapter_thousandths INTEGER NOT NULL DEFAULT 0,
    volume INTEGER,
    page INTEGER,
    rereads INTEGER NOT NULL DEFAULT 0,
    started_at INTEGER,
    completed_at INTEGER,
    private INTEGER NOT NULL DEFAULT 0,
    note TEXT,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, manga_id)
) WITHOUT ROWID;
CREATE TABLE history (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    manga_id INTEGER NOT NULL REFERENCES manga (id) ON DELETE CASCADE,
    status TEXT NOT NULL,
    chapter_thousandths INTEGER NOT NULL,
    volume INTEGER,
    device TEXT,
    created_at INTEGER NOT NULL
);
";

/// What a server needs besides to answer "what did I read lately" and "what happened to this series": random
/// pages in every commit, a cost of the design and so not part of the least that must be done.
const INDEXES: &str = "
CREATE INDEX progress_by_updated_at ON progress (user_id, updated_at);
CREATE INDEX history_by_user ON history (user_id, seq, manga_id);
";

const UPSERT: &str = "
INSERT INTO progress (user_id, manga_id, status, chapter_thousandths, started_at, updated_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?5)
ON CONFLICT (user_id, manga_id) DO UPDATE SET
    status = excluded.status,
    chapter_thousandths = excluded.chapter_thousandths,
    started_at = coalesce(started_at, excluded.started_at),
    updated_at = excluded.updated_at
RETURNING status, chapter_thousandths, volume, page, rereads, private, updated_at";

const INSERT_HISTORY: &str = "
INSERT INTO history (user_id, manga_id, status, chapter_thousandths, volume, device, created_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows that every update is in the database, the last short group too and with indexes or without, by
    /// counting rows after a run.
    #[test]
    fn every_update_is_written() {
        for indexes in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            run(dir.path(), 1000, 2500, indexes).unwrap();
            let db = Connection::open(dir.path().join("ceiling.db")).unwrap();
            let count = |table: &str| {
                db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0)).unwrap()
            };
            assert_eq!((count("progress"), count("history")), (1000, 2500));
        }
    }
}
