//! The writer lane: many jobs, one commit.
//!
//! Each group is one transaction, each job in it a savepoint, so a job that fails or panics is undone
//! alone. A job's result is final only when [`Writer::run`] returns: durable, or an error.
//!
//! The trap this file exists for: SQLite may end a transaction by itself (disk full, I/O error, out of
//! memory, interrupted). What earlier jobs wrote is then gone although they succeeded, and what later
//! jobs write would commit one by one. So after each job the writer asks whether its transaction still
//! stands. If not, every job so far is voided, and the rest begins a new transaction.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rusqlite::Connection;

use super::SqliteStore;
use crate::store::{Job, StoreError, Writer};

/// Owns the one connection that writes.
pub(super) struct SqliteWriter {
    store: SqliteStore<Box<Connection>>,
}

impl SqliteWriter {
    pub(super) fn new(conn: Connection) -> Self {
        Self { store: SqliteStore { conn: Box::new(conn) } }
    }

    /// Runs jobs from the front in one transaction, and returns how many now have their final result:
    /// all of them, or, when the transaction was lost, those that went down with it.
    fn run_transaction(&mut self, group: &mut [&mut dyn Job]) -> usize {
        if let Err(error) = self.begin() {
            void(group, error);
            return group.len();
        }
        for index in 0..group.len() {
            if self.run_in_savepoint(&mut *group[index]).is_err() || self.store.conn.is_autocommit() {
                self.abandon();
                void(&mut group[..=index], StoreError::Unavailable);
                return index + 1;
            }
        }
        if self.execute("COMMIT").is_err() {
            self.abandon();
            void(group, StoreError::Unavailable);
        }
        group.len()
    }

    /// Begins with the lock in hand: a transaction that reads first could later fail to get it.
    fn begin(&mut self) -> Result<(), StoreError> {
        debug_assert!(self.store.conn.is_autocommit(), "the last transaction has ended");
        self.execute("BEGIN IMMEDIATE")
    }

    /// Runs one job; what it wrote stays only if it says so. `Err` when the savepoint could not be
    /// closed, and nothing in this transaction can be trusted.
    fn run_in_savepoint(&mut self, job: &mut dyn Job) -> Result<(), StoreError> {
        self.execute("SAVEPOINT job")?;
        let kept = catch_unwind(AssertUnwindSafe(|| job.run(&mut self.store))).unwrap_or_else(|_| {
            job.void(StoreError::Unavailable);
            false
        });
        if !kept {
            self.execute("ROLLBACK TO job")?;
        }
        self.execute("RELEASE job")
    }

    /// Ends a transaction that came to nothing. SQLite may have ended it already, and then says so.
    fn abandon(&mut self) {
        if !self.store.conn.is_autocommit() {
            let _ = self.execute("ROLLBACK");
        }
        tracing::error!("a transaction was lost; every job in it is answered as unavailable");
    }

    fn execute(&self, sql: &str) -> Result<(), StoreError> {
        self.store.conn.prepare_cached(sql)?.execute([])?;
        Ok(())
    }
}

impl Writer for SqliteWriter {
    fn run(&mut self, group: &mut [&mut dyn Job]) {
        let mut settled = 0;
        while settled < group.len() {
            settled += self.run_transaction(&mut group[settled..]);
        }
    }

    fn checkpoint(&mut self) -> Result<(), StoreError> {
        // The row says how far it got. A reader in the way is no failure: the log is just kept.
        Ok(self.store.conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
    }
}

/// Voids jobs, those that failed by themselves as well: a `Conflict` may have been with a row that
/// is gone now.
fn void(group: &mut [&mut dyn Job], error: StoreError) {
    for job in group {
        job.void(error);
    }
}
